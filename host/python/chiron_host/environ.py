"""Environment variables on which functions of one process disagree.

All other variables are in the process's real environment. These are seen
through os.environ and os.getenv by the thread that runs the function.
"""

import _thread
import os
from typing import Any, Dict, Iterator

_NONE: Dict[str, str] = {}


class _Current(_thread._local):
    own: Dict[str, str] = _NONE


_current = _Current()


def use(own: Dict[str, str]) -> None:
    """Let this thread see ``own`` from now on."""
    _current.own = own


class _Environ(type(os.environ)):  # type: ignore[misc]
    """os.environ with the current function's variables before the process's."""

    def __getitem__(self, key: str) -> str:
        own = _current.own
        if key in own:
            return own[key]
        value: str = super().__getitem__(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        if key in _current.own:
            _current.own[key] = value
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if key in _current.own:
            del _current.own[key]
        else:
            super().__delitem__(key)

    def __iter__(self) -> Iterator[str]:
        own = _current.own
        yield from list(own)
        for key in super().__iter__():
            if key not in own:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)


def install() -> None:
    """Replace os.environ; needed only where functions disagree."""
    base: Any = os.environ
    ours = _Environ.__new__(_Environ)
    ours.__dict__.update(base.__dict__)
    os.environ = ours  # noqa: B003 - it holds the same variables
