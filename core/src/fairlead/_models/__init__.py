"""The nouns: instruments, market events, orders, accounts."""
