"""Merging: what was seen more than once becomes one row."""
