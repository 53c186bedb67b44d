"""From the bytes of an export, however packed and written, to blocks of whole records.

:mod:`~redemption_analytics.reading.files` reads a file: it asks ``detect`` what the file holds, and
lets ``split`` cut its text where records start. A :mod:`~redemption_analytics.reading.blocks` is
what the parser takes.
"""
