"""``bridge fit``, ``status``, ``on`` and ``off``."""

from pathlib import Path

import pytest

from tests.bridge.conftest import write
from tests.cli.conftest import RunCommand, vp  # noqa: F401  (a fixture)


def test_from_the_fit_to_the_end(vp: RunCommand, served: Path) -> None:  # noqa: F811
    none = vp("bridge", "status", "--project", served)
    assert "No bridge of handbook was fitted." in none.out
    assert f"Next: vector-pipeline bridge fit --space new --project {served}" in none.out
    fit = vp("bridge", "fit", "--space", "new", "--project", served)
    assert fit.code == 0, fit.err
    cost, head, *_ = fit.out.splitlines()
    assert cost.startswith(
        "Fits from space new to old on 120 texts of version 1: 0 have vectors of deterministic new, 120 are embedded"
    )
    assert head.split()[:3] == ["map", "settings", "recall"]
    assert "procrustes" in fit.out
    assert "passes: of the first 8 documents that deterministic old finds, it surely brings" in fit.out
    assert f"Next: vector-pipeline bridge on --space new --project {served}" in fit.out
    ready = vp("bridge", "status", "--project", served)
    assert ready.out.splitlines()[1].endswith("  off")
    assert f"Next: vector-pipeline bridge on --project {served}" in ready.out
    on = vp("bridge", "on", "--project", served)
    assert on.code == 0, on.err
    assert 'open_index("handbook", space="new")' in on.out
    shown = vp("bridge", "status", "--json", "--project", served).json["bridges"]
    assert [(one["on"], one["used"], one["spaces"]) for one in shown] == [(True, True, ["new", "old"])]
    table = vp("bridge", "status", "--project", served).out.splitlines()
    assert table[0].split()[-1] == "state"
    assert table[1].endswith("  on")
    assert table[2] == f"{shown[0]['fingerprint']} is on: readers who ask for its space go through it."
    assert "Off: 1 bridge of handbook." in vp("bridge", "off", "--project", served).out
    assert "No bridge of handbook was on." in vp("bridge", "off", "handbook", "--project", served).out
    assert vp("bridge", "off", "--json", "--project", served).json == {"dataset": "handbook", "ended": 0}


def test_what_is_not_good_enough_ends_with_an_error(vp: RunCommand, served: Path) -> None:  # noqa: F811
    write(served, bridge="    bridge: {min_recall: 0.95}")
    fit = vp("bridge", "fit", "handbook", "--space", "new", "--sample", "100", "--project", served)
    assert fit.code == 1
    assert "does not pass" in fit.out
    assert "is not good enough, and is kept but cannot be turned on" in fit.err
    assert vp("bridge", "fit", "--space", "new", "--json", "--project", served).json["passed"] is False
    on = vp("bridge", "on", "--project", served)
    assert on.code == 1
    assert "95% were wanted" in on.err
    assert "not good enough" in vp("bridge", "status", "--project", served).out


@pytest.mark.parametrize("words", [("fit",), ("fit", "--space", "new", "--sample", "20"), ("fit", "a", "b")])
def test_wrong_usage_is_one_line(vp: RunCommand, served: Path, words: tuple[str, ...]) -> None:  # noqa: F811
    ran = vp("bridge", *words, "--project", served)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_prices_are_told_before(vp: RunCommand, served: Path) -> None:  # noqa: F811
    write(served, model="new, prices: {per_million_tokens: 1000000}")
    cost = vp("bridge", "fit", "--space", "new", "--project", served).out.splitlines()[0]
    assert "USD" in cost
