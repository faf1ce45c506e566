"""Transformer-Patcher: a few neurons more in the last feed-forward network for each edit."""
