"""WISE: edits live in a side memory, a copy of one feed-forward matrix, apart from the model's."""
