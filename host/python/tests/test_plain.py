"""A value that is handed over is what JSON makes of it, and nobody else's."""

import collections
import json
import random
from typing import Any, Callable, Dict, List

import pytest

from chiron_host import handlers, plain

LIMIT = 1 << 20
LONG = "x" * 1000


def through_json(value: Any) -> Any:
    return handlers.from_json(handlers.to_json(value).decode())


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are alike in every type, order and sign."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def containers(value: Any) -> List[Any]:
    found: List[Any] = []
    if type(value) in (dict, list):
        found.append(value)
        for v in value.values() if type(value) is dict else value:
            found += containers(v)
    return found


class Text(str):
    pass


class Number(int):
    pass


def holds_itself() -> Any:
    value: List[Any] = [LONG]
    value.append(value)
    return value


def deep() -> Any:
    value: Any = LONG
    for _ in range(100_000):
        value = [value, LONG]
    return value


VALUES: Dict[str, Callable[[], Any]] = {
    "scalars": lambda: [LONG, 1, -0.0, 1.5e300, True, None, ""],
    "numbers": lambda: list(range(1000)),
    "floats": lambda: [i / 7 for i in range(1000)],
    "nested": lambda: {"a": {"b": [LONG, {"c": [1, [LONG]]}]}, "d": LONG},
    "many": lambda: [{"a": i, "b": str(i)} for i in range(500)],
    "string": lambda: LONG,
    "characters": lambda: {"é": "é\u2028\x00" + LONG, "n": [LONG]},
    "nothing": lambda: None,
    "empty": lambda: [{}, [], "", LONG],
    "tuple": lambda: (LONG, 1),
    "inner tuple": lambda: [LONG, (1, 2)],
    "keys": lambda: {1: LONG, None: 1, False: 2, 1.5: 3},
    "one key": lambda: {"a": LONG, 2: 1},
    "subclasses": lambda: [Text(LONG), Number(3), collections.OrderedDict(a=LONG)],
    "surrogate": lambda: ["\ud83d" + LONG],
    "surrogates": lambda: ["\ud83d\ude00" + LONG],
    "key of surrogates": lambda: {"\ud83d\ude00": LONG},
    "large int": lambda: [LONG, 1 << 100, -(1 << 64)],
    "nan": lambda: [LONG, float("nan")],
    "infinity": lambda: {"a": LONG, "b": float("-inf")},
    "set": lambda: [LONG, {1}],
    "bytes": lambda: {"a": LONG, "b": b"x"},
    "huge int": lambda: [LONG, 10**5000],
    "bad key": lambda: {"a": LONG, (1,): 2},
    "itself": holds_itself,
    "deep": deep,
    "long": lambda: ["x" * LIMIT],
    "long when escaped": lambda: ["\0" * (LIMIT // 6)],
    "just": lambda: "x" * (LIMIT - 2),
    "just too long": lambda: "x" * (LIMIT - 1),
}


@pytest.mark.parametrize("name", VALUES)
def test_is_what_json_makes_of_it(name: str) -> None:
    make = VALUES[name]
    try:
        body = handlers.to_json(make())
        if len(body) > LIMIT:
            raise handlers.BadResult(f"the handler returned {len(body)} bytes: over the limit of {LIMIT}")
        want = through_json(make())
    except handlers.BadResult as err:
        with pytest.raises(handlers.BadResult) as caught:
            plain.hand_over([make()], LIMIT)
        assert str(caught.value) == str(err)
        return
    assert same(plain.hand_over([make()], LIMIT), want)


def test_what_nobody_else_has_goes_as_it_is() -> None:
    value = {"a": {"b": [LONG, {"c": LONG}]}}
    parts = [id(c) for c in containers(value)]
    box: List[Any] = [value]
    del value
    assert plain.ALONE > 0
    assert [id(c) for c in containers(plain.hand_over(box, LIMIT))] == parts


@pytest.mark.parametrize("path", [(), ("a",), ("a", "b"), ("a", "b", 1)])
def test_what_somebody_has_is_copied(path: "tuple[Any, ...]") -> None:
    value: Any = {"a": {"b": [LONG, {"c": LONG}]}, "e": [LONG]}
    held = value
    for step in path:
        held = held[step]
    theirs, before = {id(c) for c in containers(held)}, json.dumps(held)
    box = [value]
    del value
    got = plain.hand_over(box, LIMIT)
    assert theirs.isdisjoint(id(c) for c in containers(got))
    for c in containers(got):
        c.clear()
    assert json.dumps(held) == before


def test_one_part_in_two_places_becomes_two() -> None:
    part = [LONG]
    box: List[Any] = [{"a": part, "b": part, "c": [part]}]
    del part
    got = plain.hand_over(box, LIMIT)
    assert len({id(c) for c in containers(got)}) == len(containers(got)) == 5


# What a value at random is made of: the last four are not taken as they are.
ATOMS: List[Any] = [0, -1, 1.5, -0.0, 1e22, "", "a", "é", LONG, True, None, 1 << 70]
ODD: List[Any] = ["\ud800", (), Text("t"), float("nan")]


def build(draw: random.Random, depth: int, parts: List[Any]) -> Any:
    """Return a value at random; ``parts`` are its containers, some of which it has twice."""
    kind = draw.random()
    if parts and kind < 0.1:
        return draw.choice(parts)
    if depth == 0 or kind < 0.4:
        return draw.choice(ODD if draw.random() < 0.02 else ATOMS)
    n = draw.choice((0, 1, 2, 3, 20))
    value: Any
    if kind < 0.7:
        value = [build(draw, depth - 1, parts) for _ in range(n)]
    else:
        value = {draw.choice(("k", "é", LONG)) + str(i): build(draw, depth - 1, parts) for i in range(n)}
    parts.append(value)
    return value


def test_any_value() -> None:
    draw = random.Random(1)
    handed = 0
    for _ in range(3000):
        parts: List[Any] = []
        value = build(draw, 3, parts)
        if draw.random() < 0.5:
            parts.clear()  # nobody else has any of it
        try:
            want = through_json(value)
        except handlers.BadResult:
            with pytest.raises(handlers.BadResult):
                plain.hand_over([value], 1 << 30)
            continue
        held = [(p, repr(p), {id(c) for c in containers(p)}) for p in parts]
        whole = id(value)
        box = [value]
        del value
        got = plain.hand_over(box, 1 << 30)
        handed += id(got) == whole and type(got) in (dict, list)
        assert same(got, want)
        mine = containers(got)
        assert len({id(c) for c in mine}) == len(mine)
        for p, text, theirs in held:
            assert repr(p) == text
            assert theirs.isdisjoint(id(c) for c in mine)
    assert handed > 50


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("a", True),
        ("é" * 5, True),
        ("é" * 6, False),
        ("x" * 11, False),
        ("\ud800", False),
        (Text("a"), False),
        (b"a", False),
    ],
)
def test_text(value: Any, want: bool) -> None:
    assert plain.text(value, 10) is want
