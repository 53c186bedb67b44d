"""Reading: from bytes, however packed and written, to blocks of whole records."""
