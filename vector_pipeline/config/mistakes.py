"""What is wrong with a configuration, as one line: file, line, key, what is allowed there."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vector_pipeline.config.fields import MEMORY_PATTERN, NAME_PATTERN
from vector_pipeline.config.gates import GATE_KEYS
from vector_pipeline.config.models import ELSEWHERE, Config
from vector_pipeline.config.s3 import BUCKET_PATTERN

_EXTRA = "extra_forbidden"
_KEY = "[key]"
_PATTERNS = {
    NAME_PATTERN: "a name has lower-case letters, digits and _, begins with a letter, and is at most 40 long",
    MEMORY_PATTERN: "must be a size such as 500MB or 2GB",
    BUCKET_PATTERN: "a bucket's name has 3 to 63 lower-case letters, digits, dots and dashes, and no s3:// before it",
}
# Pydantic's own words speak of inputs, dictionaries and instances: of Python, not of the file.
_WORDS = {
    "missing": "missing key: add it",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "list_type": "must be a list, such as [one, two]",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} entry",
    "finite_number": "must be a finite number",
    "union_tag_invalid": "must be {expected_tags}",
    "union_tag_not_found": "missing key {discriminator}: add it",
    "literal_error": "must be {expected}",
}
_MAPPINGS = {"dict_type", "model_type", "model_attributes_type", "dict_attributes_type"}
_NULL, _STR = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"
_Loc = Sequence[int | str]


def duplicate(tree: yaml.Node | None) -> tuple[int, str] | None:
    """Line and name of the first key that stands twice in one mapping: YAML would silently drop the first of them."""
    for mapping in _mappings(tree, set()):
        seen = set()
        for key, _ in mapping.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (key.tag, id(key))
            if name in seen:
                return key.start_mark.line + 1, str(key.value)
            seen.add(name)
    return None


def explain(path: Path, tree: yaml.Node | None, error: ValidationError) -> str:
    """The first mistake in the file's order as one line, and how many more there are."""
    found = sorted(
        ((_line(tree, _place(problem)), problem) for problem in error.errors(include_input=False, include_url=False)),
        # An unknown key often explains the missing one beside it: name it first.
        key=lambda item: (item[1]["type"] != _EXTRA, item[0]),
    )
    line, problem = found[0]
    place = ".".join(str(part) for part in _visible(tree, _place(problem)))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{path}:{line}: {place + ': ' if place else ''}{_wording(tree, problem)}{more}"


def concerns_datasets(error: ValidationError) -> bool:
    """Whether every mistake stands with a dataset, and none with the rest of the file."""
    problems = error.errors(include_input=False, include_url=False)
    return all(_place(problem)[:1] == ("datasets",) for problem in problems)


def _wording(
    tree: yaml.Node | None, problem: ErrorDetails, loc: _Loc | None = None, node: yaml.Node | None = None
) -> str:
    """``loc``, ``node``: where the section stands as which it is checked, and what is written."""
    kind, context = problem["type"], problem.get("ctx", {})
    node, loc = (node, loc) if loc is not None else (_node(tree, problem["loc"]), problem["loc"])
    empty = ", but is empty" if node is not None and node.tag == _NULL else ""
    if kind == ELSEWHERE:
        # Of a section that is checked as if it stood somewhere else: in the same words, about the lines where it does stand.
        return _wording(
            tree, context["problem"], (*context["as"], *context["problem"]["loc"]), _node(tree, context["at"])
        )
    if kind == _EXTRA:
        return f"unknown key{_suggest(loc)}"
    if kind == "literal_error" and loc[-1] == _KEY:
        close = difflib.get_close_matches(str(loc[-2]), GATE_KEYS, n=1, cutoff=0.5)
        return f"unknown gate{f'; did you mean {close[0]}?' if close else '.'} The gates: {', '.join(GATE_KEYS)}"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"must match {context['pattern']}")
    if kind in _MAPPINGS:
        known = _fields(Config, [part for part in loc if isinstance(part, str)], inside=True)
        return (
            f"must be a mapping with keys of: {', '.join(known)}{empty}"
            if known
            else f"must be a mapping from names to settings{empty}"
        )
    if kind == "string_type" and loc[-1] == _KEY:
        return "a name must be text that begins with a letter: YAML reads this key as a number or a truth value"
    if kind == "string_type" and isinstance(node, yaml.ScalarNode) and not empty:
        return "must be text: put it between quotes"
    if kind.startswith("int_"):
        return f"must be a whole number{empty}"
    if kind.startswith("float_"):
        return f"must be a number{empty}"
    if kind in _WORDS:
        said = _WORDS[kind].format(**{name: _plain(value) for name, value in context.items()})
        return said + (empty if kind != "missing" else "")
    return problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _plain(value: Any) -> str:
    """A number, or pydantic's list ``'a', 'b' or 'c'``, for people."""
    words = str(value).replace("'", "")
    return words if " or " in words or ", " not in words else " or ".join(words.rsplit(", ", 1))


def _place(problem: ErrorDetails) -> tuple[int | str, ...]:
    """Where the mistake is: a validator of a whole mapping says in ``at`` which of its keys is wrong."""
    context = problem.get("ctx", {})
    if problem["type"] == "union_tag_invalid":
        return (*problem["loc"], str(context["discriminator"]).strip("'"))
    at: tuple[str, ...] = context.get("at", ())
    return (*problem["loc"], *at)


def _mappings(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.MappingNode]:
    # An alias is the same node again, and may lie inside itself.
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value, seen)


def _visible(tree: yaml.Node | None, loc: _Loc) -> list[int | str]:
    """The location without pydantic's own steps (names of union members), which stand nowhere in the file."""
    shown: list[int | str] = []
    node = tree
    for index, part in enumerate(loc):
        child = _child(node, part)
        if child is not None:
            shown.append(_written(node, part))
            node = child
        elif (index == len(loc) - 1 and part != _KEY) or (index == len(loc) - 2 and loc[-1] == _KEY):
            shown.append(part)
    return shown


def _child(node: yaml.Node | None, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if _is(key, part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child: yaml.Node = node.value[part]
        return child
    return None


def _is(key: yaml.Node, part: int | str) -> bool:
    if key.tag == _STR or not isinstance(key, yaml.ScalarNode):
        return bool(key.value == part)
    # Pydantic calls a key that is no text by what Python makes of it: 1 for `1`, 0 for `no`.
    value = yaml.safe_load(key.value)
    return str(int(value) if isinstance(value, bool) else value) == str(part)


def _written(node: yaml.Node | None, part: int | str) -> int | str:
    """The step as it stands in the file."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(key.value) for key, _ in pairs if _is(key, part)), part)


def _node(tree: yaml.Node | None, loc: _Loc) -> yaml.Node | None:
    """The value at ``loc``; None where the file has none."""
    node = tree
    for index, part in enumerate(loc):
        child = _child(node, part)
        if child is None and index == len(loc) - 1:
            return None
        node = child or node
    return node


def _line(tree: yaml.Node | None, loc: _Loc) -> int:
    """Line (from 1) of the key at ``loc``, or of the nearest thing around it that is in the file."""
    node, line = tree, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            key = next((key for key, _ in node.value if _is(key, part)), None)
            if key is not None:
                line = key.start_mark.line + 1
        child = _child(node, part)
        if child is not None:
            if isinstance(node, yaml.SequenceNode):
                line = child.start_mark.line + 1
            node = child
    return line


def _suggest(loc: _Loc) -> str:
    """The known key nearest to an unknown one."""
    known = _fields(Config, [part for part in loc[:-1] if isinstance(part, str)])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _fields(model: type[BaseModel], path: Sequence[str], *, inside: bool = False) -> list[str]:
    """Field names of the model that stands at ``path``; ``inside``: none where a mapping of names stands there."""
    current: Any = model
    for part in path:
        models = _models_in(current)
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        tagged = [m for m in models if part in _tags(m)]
        named = getattr(current, "__origin__", None) is dict
        current = current.__args__[1] if named else fields[0] if fields else (tagged[0] if tagged else current)
    if inside and getattr(current, "__origin__", None) is dict:
        return []
    names = [name for m in _models_in(current) for name in m.model_fields]
    return list(dict.fromkeys(names))[:40]


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    kind = model.model_fields.get("kind")
    return tuple(getattr(kind.annotation, "__args__", ())) if kind else ()


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
