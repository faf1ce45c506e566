"""A package that cannot be imported."""

raise ImportError("its own library is missing")
