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
