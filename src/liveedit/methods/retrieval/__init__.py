"""Retrieval: the nearest correction is put before the question; nothing in the model changes."""
