"""Speed and memory of the main job, beside what else would do it: ``python -m benchmarks``."""
