"""What exports mean, in plain Python: one decoded record at a time, brought into form or refused.

The native reader means the same; that it does, differential tests show.
"""
