"""What lies in a folder: for sides that count what a commit added."""

from pathlib import Path


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
