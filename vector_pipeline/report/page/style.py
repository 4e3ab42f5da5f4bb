"""Stylesheets: one of the page, one of a picture that stands alone; marks of charts look the same in both."""

from functools import cache
from importlib.resources import files


@cache
def stylesheet(name: str) -> str:
    """``page`` or ``picture``, with the rules of both."""
    folder = files("vector_pipeline.report.page").joinpath("templates")
    return "".join(folder.joinpath(f"{one}.css").read_text(encoding="utf-8") for one in (name, "roles"))
