"""Editing methods: the contract, the registry, and a folder for each method.

A folder ``NAME`` holds ``method.py``, whose ``METHOD`` is the class; ``shared`` has what several
of them need.
"""
