"""From the columns that the reader gives to the rows of ten tables, with their keys."""
