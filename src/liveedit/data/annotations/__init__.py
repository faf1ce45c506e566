"""Rows of the public editing benchmarks and of emoji-edit, in the same terms."""
