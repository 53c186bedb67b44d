"""Flattening: from the columns of nested answers to the rows of ten tables."""
