"""What a strategy's author uses."""
