"""Where edits live."""
