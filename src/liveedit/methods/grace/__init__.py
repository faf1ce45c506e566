"""GRACE: a codebook of activations, whose values replace what leaves one feed-forward network."""
