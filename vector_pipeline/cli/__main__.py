"""``python -m vector_pipeline.cli``: the same as ``vector-pipeline``."""

from vector_pipeline.cli import main

if __name__ == "__main__":
    main()
