"""SERAC: a memory, a classifier of scope, and a small model that answers in scope."""
