"""Names that the code location of ``counted`` and its tests share: importing that module changes a process."""

FOLDER = "VECTOR_PIPELINE_TEST_ASKED"
"""Variable that names the folder; a process has a file of its own in it."""
CLEANED = "cleaned up"
"""File in that folder, which a step that was interrupted has made."""
