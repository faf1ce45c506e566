"""Scope: does the right edit answer, for every wording, every view and every look-alike?"""
