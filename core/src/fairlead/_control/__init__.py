"""The way to a running engine: a Unix socket, its protocol, a client, and the list of the engines of this host."""
