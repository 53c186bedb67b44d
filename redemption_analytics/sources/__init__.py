"""Sources: which files hold exports, what is in an archive, and when an export was made."""
