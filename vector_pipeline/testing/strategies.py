"""Hypothesis strategies: metadata as people and programs write it, and filters over it."""

from typing import Any

from hypothesis import strategies as st

KEYS = ["a", "a.b", "it's", 'q"x', "ü/~", "$", "*", "0", "[0]", "a b", "\\"]
"""Keys that a careless translation would read as syntax."""
FIELDS = [key for key in KEYS if not key.startswith("$")]
_SAID = ["", "1", "true", "null", "it's", 'say "x"', "naïve ☃", "\\n", "%", "🙂"]
_LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")
PLAIN_TEXTS = st.sampled_from(_SAID) | st.text(_LETTERS, max_size=4)
TEXTS = st.sampled_from([*_SAID, "a\x00b"]) | st.text(st.characters(codec="utf-8"), max_size=4)
"""With NUL, which some databases cannot hold."""
NUMBERS = (
    st.integers(-3, 3)
    | st.sampled_from([0.5, -0.0, 1.0, 2**53, 2**53 + 1, 2**63, -(2**63), 1e300, 1e-300, 0.1])
    | st.floats(allow_nan=False, allow_infinity=False)
)


def scalars(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Any]:
    """What a filter compares with."""
    return texts | NUMBERS | st.booleans()


def metadata(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects of few keys: scalars, lists of mixed kinds, nulls, something nested."""
    inner = scalars(texts)
    values = inner | st.none() | st.lists(inner | st.none(), max_size=3) | st.just({"deep": [1, None]})
    return st.dictionaries(st.sampled_from(KEYS), values, max_size=4)


def _operators(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={f"${name}": value for name, value in strategies.items()}).filter(bool)


@st.composite
def filters_of(draw: st.DrawFn, rows: list[dict[str, Any]], texts: st.SearchStrategy[str] = TEXTS) -> dict[str, Any]:
    """Filters that speak of what stands in ``rows``: independent ones hardly ever select anything."""
    pairs = [(key, value) for row in rows for key, value in row.items() if key in FIELDS]
    if not pairs:
        return draw(filters(texts))
    parts: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        key, value = draw(st.sampled_from(pairs))
        given = draw(st.sampled_from(value or [None])) if isinstance(value, list) else value
        if not isinstance(given, str | int | float):
            parts.append({key: {"$exists": draw(st.booleans())}})
            continue
        operators = ["$eq", "$ne", "$in", "$nin"]
        if not isinstance(given, str | bool):
            operators += ["$gt", "$gte", "$lt", "$lte"]
        operator = draw(st.sampled_from(operators))
        others = draw(st.lists(scalars(texts), max_size=2))
        parts.append({key: {operator: [*others, given] if operator in ("$in", "$nin") else given}})
    return parts[0] if len(parts) == 1 else {draw(st.sampled_from(["$and", "$or"])): parts}


def filters(texts: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[dict[str, Any]]:
    """Filters with every operator, nested a little."""
    one = scalars(texts)
    lists = st.lists(one, max_size=3)
    conditions = st.one_of(
        one,
        _operators(eq=one, ne=one, **{"in": lists}),
        _operators(gt=NUMBERS, gte=NUMBERS, lt=NUMBERS, lte=NUMBERS),
        _operators(nin=lists, exists=st.booleans()),
    )
    return st.recursive(
        st.dictionaries(st.sampled_from(FIELDS), conditions, min_size=1, max_size=2),
        lambda part: st.dictionaries(
            st.sampled_from(["$and", "$or"]), st.lists(part, min_size=1, max_size=3), min_size=1
        ),
        max_leaves=4,
    )
