"""Loading: the jobs, which take a source the whole way to tables."""
