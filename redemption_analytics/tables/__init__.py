"""The tables of a bundle, in frames of any kind: what they are and what they tell.

Modules here are given tables, not the bundle, and stand below all that reads or computes them.
"""
