"""The shell around the kernel: wiring, connections, time, folders. Everything that waits is here."""
