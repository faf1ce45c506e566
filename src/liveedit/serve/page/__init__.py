"""The page at ``/``: ask, see what fired, correct, take back; for people who do not program."""
