"""Tables: frames of every kind, whether they are valid, and what a bundle of them tells."""
