"""MEND: a network turns a correction's gradient into a change of feed-forward layers."""
