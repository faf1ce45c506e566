"""Methods that change what leaves one feed-forward network."""
