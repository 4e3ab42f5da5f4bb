"""Which datasets of a configuration can be used, and what is wrong with the others.

Laws
----
1. A mistake in one dataset's part breaks that dataset; the others are as if it did not stand there. Its name stays taken: what
   is broken is told of by name, and is never taken for something that was deleted.
2. What is wrong with the file itself, its environments, or with every dataset is wrong with the whole.
"""

import os.path
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from vector_pipeline.config.mistakes import concerns_datasets, explain
from vector_pipeline.config.models import Config
from vector_pipeline.config.people import owners_in
from vector_pipeline.config.pieces import BrokenDataset, Piece, included, rebased
from vector_pipeline.errors import ConfigError


def assembled(path: Path, tree: yaml.Node | None, data: Mapping[str, Any]) -> Config:
    """The configuration of ``path`` with everything that it includes. ``ConfigError`` where nothing of it can be used."""
    patterns, own = data.get("include"), data.get("datasets", {})
    main = Piece(path, tree, {str(name): value for name, value in own.items()} if isinstance(own, dict) else {})
    if not _are_patterns(patterns) or not isinstance(own, dict):
        return _whole(path, tree, data)  # It says which of the two is wrong.
    pieces, unread = [main], list[BrokenDataset]()
    for _, found in included(path, tree, patterns or []):
        if isinstance(found, Piece):
            pieces.append(found)
        else:
            unread += found
    taken, broken = _names(pieces, unread)
    written = (
        own
        if len(pieces) == 1 and len(taken) == len(own)
        else {name: piece.datasets[name] for name, piece in taken.items()}
    )
    if broken and not written:
        raise ConfigError(_first(broken))
    return _sound({**data, "datasets": written}, main, taken, broken)


def _are_patterns(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) and one for one in value))


def _names(pieces: list[Piece], unread: list[BrokenDataset]) -> tuple[dict[str, Piece], list[BrokenDataset]]:
    """The piece of each name that stands in one alone; and what is broken, each name once: all of ``unread``, of files that cannot
    be used, and names that stand in several files, whether those can be used or not.
    """
    holders: dict[str, list[Piece]] = {}
    for piece in pieces:
        for name in piece.datasets:
            holders.setdefault(name, []).append(piece)
    lost: dict[str, list[BrokenDataset]] = {}
    for one in unread:
        lost.setdefault(one.name, []).append(one)
    broken = [
        _twice(name, holders.get(name, []), lost.get(name, []))
        for name in dict.fromkeys([*lost, *holders])
        if name in lost or len(holders[name]) > 1
    ]
    return {name: held[0] for name, held in holders.items() if len(held) == 1 and name not in lost}, broken


def _twice(name: str, held: list[Piece], lost: list[BrokenDataset]) -> BrokenDataset:
    """A name that stands in several files: which, whose they are, and what else is wrong with them."""
    if not held and len(lost) == 1:
        return lost[0]
    files = [*(one.path for one in held), *(one.file for one in lost)]
    found = [*(owners_in(one.datasets[name]) for one in held), *(one.owners for one in lost)]
    owners = tuple(dict.fromkeys(who for one in found for who in one))
    reason = f"dataset {name} stands in {' and '.join(map(str, files))}: a name is one dataset's. Rename one of them"
    also = "".join(f"; {one.reason}" for one in lost)
    return BrokenDataset(name, reason + also, owners, files[-1], tuple(files[:-1]))


def _sound(whole: dict[str, Any], main: Piece, taken: Mapping[str, Piece], broken: list[BrokenDataset]) -> Config:
    """Law 1: all of it, or what is left without the datasets that are wrong by themselves."""
    around = {"datasets": {*taken, *(one.name for one in broken)}, "base": main.path.parent}
    try:
        return _finished(Config.model_validate(whole, context=around), main, taken, broken)
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for name in whole["datasets"]:
            said = _alone(whole, name, main, taken.get(str(name), main), around)
            if said is not None:
                wrong[str(name)] = said
        if len(wrong) == len(whole["datasets"]) or not wrong:
            _raise_first(error, main, taken, wrong)
    broken = broken + [
        BrokenDataset(name, said, owners_in(taken[name].datasets[name]), taken[name].path)
        for name, said in wrong.items()
    ]
    left = {name: value for name, value in whole["datasets"].items() if str(name) not in wrong}
    try:
        config = Config.model_validate({**whole, "datasets": left}, context=around)
    except ValidationError as error:
        raise ConfigError(explain(main.path, main.tree, error)) from None
    return _finished(config, main, taken, broken)


def _alone(whole: dict[str, Any], name: object, main: Piece, piece: Piece, around: Mapping[str, object]) -> str | None:
    """What is wrong with a dataset when it is the only one; None where nothing is."""
    try:
        Config.model_validate({**whole, "datasets": {name: whole["datasets"][name]}}, context=around)
    except ValidationError as error:
        return _said(error, main, piece)
    return None


def _said(error: ValidationError, main: Piece, piece: Piece) -> str:
    """A mistake where it stands: in the dataset's own file, or in the environments."""
    where = piece if concerns_datasets(error) else main
    return explain(where.path, where.tree, error)


def _raise_first(error: ValidationError, main: Piece, taken: Mapping[str, Piece], wrong: Mapping[str, str]) -> NoReturn:
    """Law 2: in the words of one file where there is one, else of the first dataset."""
    several = len({id(piece) for piece in taken.values()} | {id(main)}) > 1
    if several and wrong and concerns_datasets(error):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ConfigError(f"{next(iter(wrong.values()))}{more}") from None
    raise ConfigError(explain(main.path, main.tree, error)) from None


def _whole(path: Path, tree: yaml.Node | None, data: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(path, tree, error)) from None


def _first(broken: list[BrokenDataset]) -> str:
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"{broken[0].reason}{more}"


def _finished(config: Config, main: Piece, taken: Mapping[str, Piece], broken: list[BrokenDataset]) -> Config:
    """With paths as they are meant, and with what is broken."""
    below = {
        name: rebased(one, PurePath(os.path.relpath(taken[name].path.parent, main.path.parent)))
        for name, one in config.datasets.items()
    }
    same = all(below[name] is one for name, one in config.datasets.items())
    made = config if same else config.model_copy(update={"datasets": below})
    return made.knowing({name: taken[name].path for name in below}, {one.name: one for one in broken})
