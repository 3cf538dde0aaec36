"""Hands a handler's value to the next handler of its process, as if it had gone through JSON.

The next handler must see what decoding the encoded value gives: the same
floats, no tuples, no keys but str. And what it changes, nobody else may see. So a
value goes as it is where it is built of dict, list, str, int, float, bool and None
alone (no subclasses) and where nobody but the value itself refers to its dicts
and lists: the interpreter counts references, so it can be told. What somebody
refers to is copied, its strings and numbers are not. Everything else, and whatever
would not fit into a body, takes the way through JSON, and fails there as it would.

So do small values: encoding and decoding a dict of a few takes 4 microseconds,
looking through it as long. It pays for long strings and for lists of many numbers.
"""

from math import isfinite
from operator import is_
from sys import getrefcount
from typing import Any, Dict, List, Set, Union

from chiron_host import handlers

Container = Union[Dict[str, Any], List[Any]]

_CONTAINERS = {dict, list}
_PLAIN: Set[type] = {dict, list, str, int, float, bool, type(None)}
_STR = {str}
# Ints in these bounds have at most 20 characters, floats 24 (repr(-1.7976931348623157e+308)).
_LEAST, _MOST = -(1 << 63), 1 << 63
_NUMBER = 26
# The most characters that JSON makes of one (\u0000), and bytes of UTF-8 are fewer.
_ESCAPED = 6


# A container takes as long to look through as so many bytes to encode and decode.
_COST = 256
_FEW = 8
# Values of so few parts are encoded and decoded faster than looked through.
_GLANCE = 40


class _Other(Exception):
    """The value is to go through JSON."""


def hand_over(box: List[Any], limit: int) -> Any:
    """Return what the next handler is given of ``box[0]``, which nobody but the box must hold.

    ``limit`` is the most bytes that it may have as JSON. Raise BadResult where
    it is not JSON, or too long.
    """
    if not _small(box[0]):
        look = _Look()
        try:
            owned: Any = look.own(box, True)
            if look.size <= limit:
                return owned[0]
        except (_Other, RecursionError):
            pass  # JSON says what is wrong with it, if anything is
    body = handlers.to_json(box[0])
    if len(body) > limit:
        raise handlers.BadResult(f"the handler returned {len(body)} bytes: over the limit of {limit}")
    return handlers.from_json(body.decode())


def text(value: Any, limit: int) -> bool:
    """Tell whether a str is itself after UTF-8, and fits."""
    if type(value) is not str:
        return False
    if value.isascii():
        return len(value) <= limit
    try:
        return len(value.encode()) <= limit
    except UnicodeEncodeError:
        return False


class _Look:
    """Looks through one value."""

    __slots__ = ("containers", "size")

    def __init__(self) -> None:
        self.size = 0  # at most so many bytes as JSON
        self.containers = 0

    def own(self, value: Container, alone: bool) -> Container:
        """Return ``value``, or a copy where somebody else may refer to it (not ``alone``)."""
        if not alone:
            value = value.copy()  # at once, for whoever refers to it may change it meanwhile
        if type(value) is dict:
            if value and set(map(type, value)) != _STR:
                raise _Other
            self._strings(list(value))
            values: List[Any] = list(value.values())
        else:
            values = value  # type: ignore[assignment]
        kinds = set(map(type, values))
        if not kinds <= _PLAIN:
            raise _Other
        self.size += 2 + _NUMBER * len(values)
        if str in kinds:
            self._strings(_only(str, values, kinds))
        if int in kinds:
            numbers = _only(int, values, kinds)
            if min(numbers) < _LEAST or max(numbers) > _MOST:
                raise _Other
        if float in kinds and not all(map(isfinite, _only(float, values, kinds))):
            raise _Other
        if kinds.isdisjoint(_CONTAINERS):
            return value
        if values is not value:
            values.clear()  # or its references would count
        inner = inside(value)
        self.containers += len(inner)
        if self.containers > _FEW and (self.containers * _COST > self.size or _small(inner[0])):
            raise _Other
        owned = [self.own(v, n <= ALONE) for v, n in zip(inner, references(inner))]
        if not all(map(is_, inner, owned)):
            _replace(value, owned)
        return value

    def _strings(self, values: List[str]) -> None:
        if not all(map(str.isascii, values)):
            try:
                for value in values:
                    value.encode()
            except UnicodeEncodeError:  # a surrogate: two of them come back as one character
                raise _Other from None
        self.size += _ESCAPED * sum(map(len, values)) + 4 * len(values)  # quotes, colon, comma


def _small(value: Any) -> bool:
    """Tell, at a glance, whether a value takes no longer through JSON."""
    if type(value) is str:
        return len(value) <= _COST
    if type(value) not in _CONTAINERS:
        return True
    seen, within = 0, [value]
    for c in within:  # which grows meanwhile
        seen += len(c)
        if seen > _GLANCE:
            return False
        for v in list(c.values() if type(c) is dict else c):  # others may change it
            if type(v) is str:
                if len(v) > _COST:
                    return False
            elif type(v) in _CONTAINERS:
                within.append(v)
    return True


def _only(kind: type, values: List[Any], kinds: Set[type]) -> List[Any]:
    return values if len(kinds) == 1 else [v for v in values if type(v) is kind]


def inside(value: Container) -> List[Container]:
    """Return the containers that ``value`` holds."""
    values: Any = value.values() if type(value) is dict else value
    return [v for v in values if type(v) in _CONTAINERS]


def references(inner: List[Container]) -> List[int]:
    """Return how many references there are to each of the list's elements."""
    return list(map(getrefcount, inner))


def _replace(value: Container, owned: List[Container]) -> None:
    """Put others in the place of the containers that ``value`` holds."""
    each = iter(owned)
    holder: Any = value
    for at, old in list(holder.items() if type(holder) is dict else enumerate(holder)):
        if type(old) in _CONTAINERS:
            holder[at] = next(each)


def _alone() -> int:
    """Return how many references this interpreter counts to what only its container refers to.

    Interpreters differ in what they count of their own. -1, so that everything
    is copied, where one cannot tell such an object from one with another reference.
    """
    counts = set()
    alone: List[Container] = [{"k": []}, [{}], [[], {}]]
    for value in alone:
        counts.update(references(inside(value)))
    other: List[Any] = []
    shared: Container = [other]
    return max(counts) if len(counts) == 1 and references(inside(shared))[0] > max(counts) else -1


ALONE = _alone()
