"""The kernel: one thread, synchronous, deterministic, no I/O. Inputs in, facts and commands out."""
