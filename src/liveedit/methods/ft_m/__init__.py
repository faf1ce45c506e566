"""FT-M: one feed-forward layer is tuned on a correction's target, with all else masked."""
