"""What functions print: by call, in order, in bounds."""

import io
import os
import sys
import threading
from typing import Any, Iterator, List, Tuple

import pytest

from chiron_host import frames, streams


class Sent:
    """Takes what a CallLog sends."""

    def __init__(self) -> None:
        self.frames: List[Tuple[int, str]] = []

    def __call__(self, data: bytes) -> None:
        length, kind, stream, zero = frames.LOG_HEADER.unpack_from(data)
        assert (length + frames.LENGTH_SIZE, kind, zero) == (len(data), frames.LOG, 0)
        self.frames.append((stream, data[frames.LOG_HEADER.size :].decode()))


@pytest.fixture
def sent() -> Iterator[Sent]:
    sent = Sent()
    streams.attach(streams.CallLog(sent))
    yield sent
    streams.attach(None)


def stdout() -> "streams.Stream":
    return streams.Stream(frames.STDOUT, 1)


def test_lines_are_sent_whole(sent: Sent) -> None:
    out = stdout()
    for part in ("a", "b\nc", "d\ne\n", "f"):
        assert out.write(part) == len(part)
    assert sent.frames == [(1, "ab\n"), (1, "cd\ne\n")]
    log: Any = streams._current.log
    assert log.used
    log.end()
    assert sent.frames[-1] == (1, "f")
    assert not log.used


def test_streams_do_not_mix(sent: Sent) -> None:
    out, err = stdout(), streams.Stream(frames.STDERR, 2)
    out.write("out")
    err.write("err\n")
    out.write("\n")
    assert sent.frames == [(2, "err\n"), (1, "out\n")]


def test_a_line_without_end_is_sent_in_pieces(sent: Sent) -> None:
    out = stdout()
    for _ in range(5 * streams.MAX_LINE // 16):
        out.write("0123456789abcdef")
    assert len(sent.frames) >= 4
    assert sum(len(text) for _, text in sent.frames) >= 4 * streams.MAX_LINE


def test_a_flood_is_cut_and_says_so(sent: Sent) -> None:
    out = stdout()
    line = "x" * 99 + "\n"
    for _ in range(3 * streams.MAX_LOG_PER_CALL // 100):
        out.write(line)
    text = "".join(text for _, text in sent.frames)
    assert streams.MAX_LOG_PER_CALL <= len(text) < streams.MAX_LOG_PER_CALL + 200
    assert text.endswith("[the rest of this call's output was dropped: over 1048576 bytes]\n")
    log: Any = streams._current.log
    log.end()
    sent.frames.clear()
    out.write("next call\n")
    assert sent.frames == [(1, "next call\n")]


def test_cut_inside_a_character(sent: Sent) -> None:
    stdout().write("x" + "é" * streams.MAX_LOG_PER_CALL + "\n")
    assert sent.frames  # Sent decodes: what is cut is still UTF-8


def test_everything_that_writes(sent: Sent) -> None:
    out: Any = stdout()
    print("print", "it", file=out)
    out.writelines(["w\n", "l\n"])
    out.buffer.write(b"bytes \xff\n")
    out.buffer.flush()
    out.flush()
    out.reconfigure(encoding="latin-1", line_buffering=False)
    out.close()
    print("\ud800", file=out)
    assert "".join(text for _, text in sent.frames) == "print it\nw\nl\nbytes \\xff\n\\ud800\n"
    assert (out.encoding, out.errors, out.isatty(), out.writable(), out.closed) == (
        "utf-8",
        "backslashreplace",
        False,
        True,
        False,
    )
    assert (out.fileno(), out.buffer.fileno(), out.line_buffering, out.name) == (1, 1, True, "<stdout>")
    with pytest.raises(TypeError, match="must be str, not bytes"):
        out.write(b"bytes")
    with pytest.raises(io.UnsupportedOperation):
        out.read()


def test_other_threads_write_to_the_descriptor(sent: Sent) -> None:
    read, write = os.pipe()
    out = streams.Stream(frames.STDOUT, write)
    thread = threading.Thread(target=print, args=("from a thread",), kwargs={"file": out})
    thread.start()
    thread.join()
    os.close(write)
    assert os.read(read, 100) == b"from a thread\n"
    assert os.read(read, 100) == b""
    os.close(read)
    assert sent.frames == []
    streams.attach(None)
    out.write("nobody reads\n")  # is no reason to fail


def test_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    streams.install()
    assert isinstance(sys.stdout, streams.Stream)
    assert isinstance(sys.stderr, streams.Stream)
    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    assert isinstance(sys.__stdout__, streams.Stream)
