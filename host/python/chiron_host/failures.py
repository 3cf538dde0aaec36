"""Turns an exception of a function into text: what, and where in its code."""

import os
import traceback
from types import TracebackType
from typing import List, Optional

_OWN = os.path.dirname(os.path.abspath(__file__))
# Characters of a traceback that are kept: its end tells most.
MAX_TRACE = 1 << 15
MAX_MESSAGE = 1 << 12


def message(err: BaseException) -> str:
    """Return what the exception says of itself, in bounds."""
    if isinstance(err, SystemExit):
        code = err.code
        return "the handler called sys.exit(%s)" % ("" if code is None else repr(code)[:MAX_MESSAGE])
    try:
        text = str(err)
    except Exception:  # an exception may fail to describe itself
        text = "<no description: str() of it raises>"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _frames(err: BaseException, within: str) -> "traceback.StackSummary":
    """Return the frames below our own and the import machinery's."""
    tb: Optional[TracebackType] = err.__traceback__
    kept: List[traceback.FrameSummary] = []
    # A runaway recursion has thousands of frames: keep the ends.
    summary = traceback.extract_tb(tb, limit=None if _depth(tb) < 500 else -50)
    for frame in summary:
        if frame.filename.startswith("<frozen importlib") or os.path.dirname(frame.filename) == _OWN:
            continue
        kept.append(frame)
    return traceback.StackSummary.from_list(kept)


def _depth(tb: Optional[TracebackType]) -> int:
    n = 0
    while tb is not None:
        n += 1
        tb = tb.tb_next
    return n


def where(err: BaseException, within: str = "") -> str:
    """Return file:line of the failure, in the function's own folder where it can be."""
    if isinstance(err, SyntaxError) and err.filename:
        return f"{err.filename}:{err.lineno or 0}"
    summary = _frames(err, within)
    if not summary:
        return ""
    for frame in reversed(summary):
        if within and os.path.abspath(frame.filename).startswith(within + os.sep):
            return f"{frame.filename}:{frame.lineno or 0}"
    return f"{summary[-1].filename}:{summary[-1].lineno or 0}"


def describe(err: BaseException, within: str = "") -> str:
    """Return one line: type, message, file:line."""
    text = err.msg if isinstance(err, SyntaxError) and err.msg else message(err)
    line = "{}: {}".format(type(err).__name__, " ".join(text.split())) if text else type(err).__name__
    place = where(err, within)
    return f"{line} ({place})" if place else line


def trace(err: BaseException, within: str = "") -> str:
    """Return the traceback as Python prints it, without our own frames."""
    lines = []
    summary = _frames(err, within)
    if summary:
        lines.append("Traceback (most recent call last):\n")
        lines += summary.format()
    lines += traceback.format_exception_only(type(err), err)
    context = None if err.__suppress_context__ else err.__context__
    for cause, text in ((err.__cause__, "caused by"), (context, "while handling")):
        if cause is not None:
            lines.append(f"{text} {describe(cause, within)}\n")
            break
    text = "".join(lines)
    if len(text) > MAX_TRACE:
        text = "…" + text[-MAX_TRACE:]
    return text.encode("utf-8", "backslashreplace").decode()
