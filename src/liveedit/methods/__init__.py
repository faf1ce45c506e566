"""Editing methods; one folder each."""
