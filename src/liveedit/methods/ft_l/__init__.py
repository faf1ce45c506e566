"""FT-L: one feed-forward layer is tuned on a correction, within a norm."""
