"""sys.stdout and sys.stderr of the host: what a call prints goes to its lane.

A silent handler pays nothing but one attribute per call. Lines that no call
printed (imports, threads that a handler started) go to the descriptor itself,
as does all that bypasses sys.stdout (C code, subprocesses).
"""

import _thread
import io
import os
import sys
from typing import Any, Callable, Iterable, List, Optional

from chiron_host import frames

# Bytes of log that one call may send; what is over is dropped, with a note.
MAX_LOG_PER_CALL = 1 << 20
# A line without an end is sent once it has grown to this many characters.
MAX_LINE = 1 << 14

Send = Callable[[bytes], None]


class CallLog:
    """What one lane's current call prints. Belongs to the lane's thread."""

    __slots__ = ("_pending", "_room", "_send", "used")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pending: List[List[str]] = [[], [], []]  # by stream
        self._room = MAX_LOG_PER_CALL
        # Set by the first write; the lane calls end only then.
        self.used = False

    def write(self, stream: int, text: str) -> None:
        self.used = True
        pending = self._pending[stream]
        if "\n" not in text and len(text) < MAX_LINE:
            pending.append(text)
            if len(pending) < 64 or sum(map(len, pending)) < MAX_LINE:
                return
        else:
            pending.append(text)
        whole = "".join(pending)
        pending.clear()
        end = whole.rfind("\n") + 1
        if len(whole) - end < MAX_LINE:
            if end < len(whole):
                pending.append(whole[end:])
            whole = whole[:end]
        if whole:
            self._emit(stream, whole)

    def _emit(self, stream: int, text: str) -> None:
        if self._room <= 0:
            return
        data = text.encode("utf-8", "backslashreplace")
        if len(data) > self._room:
            kept = data[: self._room].decode("utf-8", "ignore")  # whole characters
            note = f"\n[the rest of this call's output was dropped: over {MAX_LOG_PER_CALL} bytes]\n"
            data = (kept + note).encode()
            self._room = 0
        else:
            self._room -= len(data)
        self._send(
            frames.LOG_HEADER.pack(
                frames.LOG_HEADER.size - frames.LENGTH_SIZE + len(data), frames.LOG, stream, 0
            )
            + data
        )

    def end(self) -> None:
        """Send what has no line end yet and be ready for the next call."""
        for stream in (frames.STDOUT, frames.STDERR):
            pending = self._pending[stream]
            if pending:
                text = "".join(pending)
                pending.clear()
                self._emit(stream, text)
        self._room = MAX_LOG_PER_CALL
        self.used = False


class _Current(_thread._local):
    log: Optional[CallLog] = None


_current = _Current()


def attach(log: Optional[CallLog]) -> None:
    """Send what this thread prints from now on to ``log`` (None: to the descriptor)."""
    _current.log = log


class _Bytes(io.RawIOBase):
    """``sys.stdout.buffer``: bytes join the text."""

    def __init__(self, owner: "Stream") -> None:
        self._owner = owner

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._owner.fileno()

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._owner.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)


class Stream(io.TextIOBase):
    """A text stream that dispatches on the thread that writes."""

    def __init__(self, stream: int, fd: int) -> None:
        self._stream = stream
        self._fd = fd
        self._bytes = _Bytes(self)
        self.name = "<stdout>" if stream == frames.STDOUT else "<stderr>"
        self.mode = "w"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def line_buffering(self) -> bool:
        return True

    @property
    def buffer(self) -> Any:
        return self._bytes

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._fd

    def reconfigure(self, **_: Any) -> None:
        """Accepted and ignored: handlers call it to set encoding or buffering."""

    def flush(self) -> None:
        """Whole lines are sent at once; part of a line waits for its end."""

    def close(self) -> None:
        """Closing the process's streams would take them from other calls."""

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        log = _current.log
        if log is not None:
            log.write(self._stream, text)
        else:
            _write_all(self._fd, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except OSError:  # nobody reads any more: output is no reason to fail
            return


def install() -> None:
    """Replace sys.stdout and sys.stderr, for every import and handler to come."""
    sys.stdout = sys.__stdout__ = Stream(frames.STDOUT, 1)  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = Stream(frames.STDERR, 2)  # type: ignore[misc,assignment]
