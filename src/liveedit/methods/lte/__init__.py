"""LTE: the model is tuned to follow corrections that are told before a question."""
