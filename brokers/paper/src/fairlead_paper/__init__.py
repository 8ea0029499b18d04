"""Paper trading for fairlead: the simulated venue as a broker."""
