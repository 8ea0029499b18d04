"""What fairlead keeps on disk: journal and tape, the run's folder, the account's home."""
