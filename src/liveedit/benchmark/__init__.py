"""Benchmarks of lifelong editing: datasets, protocol, metrics."""
