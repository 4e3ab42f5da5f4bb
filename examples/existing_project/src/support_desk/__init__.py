"""A Dagster project as somebody has it: before vector-pipeline came, it had `defs/articles.py` and nothing else."""
