"""Suggestions as text, and the way into a dataset's own file.

Laws
----
1. A file of canaries is never written anew: text is added to it, and every character that stood there stays, but for the brackets
   of an empty list.
2. Nothing is added twice: neither an id nor a question with its filter.
3. What is written was read back first: the old canaries, then the new ones, or nothing is written.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vector_pipeline.errors import ConfigError, InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.verify.canaries.entry import CanaryEntry
from vector_pipeline.verify.canaries.file import Canary, parse_canaries
from vector_pipeline.verify.suggest.log import normal
from vector_pipeline.verify.suggest.suggestion import Suggested, Suggestion

_K = 3
"""How far down the document of a suggestion may slip."""
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Block:
    """One canary, and the lines that a YAML file says it with: comments first, no indentation."""

    canary: Canary
    lines: tuple[str, ...]
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a file."""

    path: Path
    added: int
    known: int
    """Canaries that it held already."""
    made: bool
    """There was no such file."""


def block_of(suggestion: Suggestion) -> Block:
    """A suggestion, with a comment that says why."""
    value: dict[str, Any] = {"query": _clean(suggestion.query), "expect": [suggestion.document], "k": _K}
    if suggestion.filter:
        value["filter"] = dict(suggestion.filter)
    second = f", {suggestion.margin:.3f} before {suggestion.hits[1].document}" if len(suggestion.hits) > 1 else ""
    why = f"# {suggestion.why}; score {suggestion.score:.3f}{second}"
    keys = [f"{key}: {json.dumps(one, ensure_ascii=False)}" for key, one in value.items()]
    lines = (_clean(why), f"- {keys[0]}", *(f"  {one}" for one in keys[1:]))
    return Block(CanaryEntry.model_validate(value).canary(), lines, value)


def suggestions_text(dataset: str, found: Suggested, blocks: Sequence[Block], accept: str) -> str:
    """A file of suggestions. ``accept``: the command that takes it."""
    where = " ".join(
        part
        for part in (f"version {found.asked.version}", f"in {found.asked.name}" if found.asked.name else "")
        if part
    )
    head = [
        f"# Canaries that were suggested for {dataset} from {where}. Every expected document is what is found today:",
        "# look whether it is the right one, take out what is not, and then:",
        f"#   {accept}",
        "canaries:",
    ]
    return "\n".join([*head, *(f"  {line}" for block in blocks for line in block.lines)]) + "\n"


def blocks_of(path: Path) -> list[Block]:
    """Canaries of a file of suggestions with their comments. ``ConfigError`` names file and line."""
    text = _read(path).removeprefix("\ufeff")
    file = parse_canaries(path, text)
    if path.suffix in _LINES:
        values = [json.loads(line) for line in text.split("\n") if line.strip()]
        values = [value for value in values if list(value) != ["pass_rates"]]
        return [Block(canary, _plain(value), value) for canary, value in zip(file.canaries, values, strict=True)]
    values = yaml.safe_load(text)["canaries"]
    lines = text.splitlines()
    starts = [_comments_above(lines, line - 1) for line in file.lines]
    nodes = _list(path, text)
    assert isinstance(nodes, yaml.SequenceNode), path
    made = []
    for number, (canary, value) in enumerate(zip(file.canaries, values, strict=True)):
        if nodes.flow_style or "- " not in lines[file.lines[number] - 1]:
            made.append(Block(canary, _plain(value), value))
            continue
        end = starts[number + 1] if number + 1 < len(starts) else _end(lines, path, text)
        indent = lines[file.lines[number] - 1].index("-")
        own = [line[indent:] if not line[:indent].strip() else line.lstrip() for line in lines[starts[number] : end]]
        made.append(Block(canary, tuple(line.rstrip() for line in own), value))
    return made


def add(path: Path, blocks: Iterable[Block]) -> Added:
    """Add canaries to a dataset's file; it is made where there is none. ``ConfigError`` where law 3 cannot be kept."""
    path = path.resolve()
    exists = path.exists()
    text = _read(path) if exists else ""
    held = parse_canaries(path, text, may_be_empty=True).canaries
    ids = {one.id for one in held}
    asked = {_name(one) for one in held}
    new: list[Block] = []
    known = 0
    for block in blocks:
        if block.canary.id in ids or _name(block.canary) in asked:
            known += 1
            continue
        ids.add(block.canary.id)
        asked.add(_name(block.canary))
        new.append(block)
    if new:
        after = _with(path, text, new)
        if parse_canaries(path, after).canaries != (*held, *(block.canary for block in new)):
            raise ConfigError(f"{path}: canaries cannot be added to it by themselves", fix="Put them in by hand")
        write(path, after)
    return Added(path, len(new), known, not exists)


def _with(path: Path, text: str, blocks: Sequence[Block]) -> str:
    """Law 1."""
    end = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += end
    if path.suffix in _LINES:
        return text + "".join(json.dumps(block.value, ensure_ascii=False) + end for block in blocks)
    node = _list(path, text)
    if node is None:
        return text + "".join(
            f"{line}{end}" for line in ["canaries:", *(f"  {one}" for b in blocks for one in b.lines)]
        )
    if isinstance(node, yaml.ScalarNode) or not node.value:
        text, indent = text[: node.start_mark.index] + text[node.end_mark.index :], "  "
    elif isinstance(node, yaml.SequenceNode) and node.flow_style:
        raise ConfigError(
            f"{path}: canaries stand in brackets, where nothing can be added",
            fix="Write each on lines of its own, after a dash",
        )
    else:
        indent = " " * node.start_mark.column
    added = [f"{indent}{line}".rstrip() + end for block in blocks for line in block.lines]
    lines = text.splitlines(keepends=True)
    at = _end([line.rstrip("\r\n") for line in lines], path, text)
    return "".join([*lines[:at], *added, *lines[at:]])


def _list(path: Path, text: str) -> yaml.Node | None:
    """What stands under ``canaries:``; None where there is no such key."""
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    if tree is None:
        return None
    assert isinstance(tree, yaml.MappingNode), path
    return next((value for key, value in tree.value if key.value == "canaries"), None)


def _end(lines: Sequence[str], path: Path, text: str) -> int:
    """The line after the last canary: comments above the next key belong to that."""
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(tree, yaml.MappingNode), path
    keys = [key.start_mark.line for key, _ in tree.value]
    own = next(key.start_mark.line for key, _ in tree.value if key.value == "canaries")
    after = [line for line in keys if line > own]
    return _comments_above(lines, min(after)) if after else len(lines)


def _comments_above(lines: Sequence[str], line: int) -> int:
    while line > 0 and (not lines[line - 1].strip() or lines[line - 1].lstrip().startswith("#")):
        line -= 1
    return line


def _plain(value: dict[str, Any]) -> tuple[str, ...]:
    """A canary that came without lines of its own."""
    keys = [f"{key}: {json.dumps(one, ensure_ascii=False)}" for key, one in value.items()]
    return (f"- {keys[0]}", *(f"  {one}" for one in keys[1:]))


def _name(canary: Canary) -> str:
    return canonical_json([normal(canary.query), canary.filter])


def _clean(text: str) -> str:
    """On one line, without signs that YAML does not take."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: canaries cannot be read: {reason}", fix="Check its name") from None


def write(path: Path, text: str) -> None:
    """The whole file or nothing: a reader never meets half of it."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            if path.exists():
                shutil.copymode(path, name)
            else:
                Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
