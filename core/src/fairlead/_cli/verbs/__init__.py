"""What the command line understands: declarations only; what a verb does is imported when it is called."""
