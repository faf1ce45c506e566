"""`liveedit demo`: a few corrections, put to the test and shown on one self-contained page."""
