"""DuckDB extensions, from their wheels: no network, nothing written to the home folder.

Each extension comes as a wheel ``duckdb-extension-<name>`` of DuckDB's own version and is loaded from the file in it.
Where there is no such wheel (a newer DuckDB), DuckDB installs it itself, which needs the network.
"""

from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import duckdb

from vector_pipeline.errors import UnavailableError


def extension_file(name: str) -> Path | None:
    """File of an extension's wheel that fits the DuckDB that runs here; None where there is none."""
    try:
        spec = find_spec(f"duckdb_extension_{name}")
    except (ModuleNotFoundError, PackageNotFoundError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.is_file():
            return file
    return None


def unsigned(*names: str) -> bool:
    """Whether to connect with ``allow_unsigned_extensions``: all of these come in wheels, which pip has checked as it did our code.

    DuckDB would hash tens of megabytes at every opening, a fifth of a second each, to learn the same. What it downloads itself is
    checked. ``load_extensions`` ends the permission.
    """
    return all(extension_file(name) is not None for name in names)


def load_extensions(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Load several, then accept no unsigned one any more."""
    for name in names:
        load_extension(con, name)
    con.execute("SET allow_unsigned_extensions = false")


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension (``ducklake``, ``vss``, …) into a connection's database. Loading it twice is no error.

    ``UnavailableError`` where it can be neither loaded from its wheel nor installed by DuckDB.
    """
    if not name.isidentifier():
        raise UnavailableError(f"{name!r} is no name of a DuckDB extension")
    file = extension_file(name)
    try:
        if file is not None:
            con.execute(f"LOAD '{str(file).replace(chr(39), chr(39) * 2)}'")
        else:
            con.execute(f"INSTALL {name}")
            con.execute(f"LOAD {name}")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        raise UnavailableError(
            f"DuckDB's extension {name} cannot be loaded: {reason}", fix=f"pip install {wheel}"
        ) from error
