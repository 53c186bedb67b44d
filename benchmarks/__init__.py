"""Speed and memory of the main job: ``python -m benchmarks``."""
