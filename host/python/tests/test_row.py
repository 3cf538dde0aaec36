"""Rows: what a worker refuses, and when it stops."""

import struct
import time
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from driver import Host, Worker

from chiron_host import frames
from chiron_host.worker import EXIT_PROTOCOL

SOURCES = {
    "echo": "def handle(req):\n    return req\n",
    "naps": "import time\ndef handle(req):\n    time.sleep(0.2)\n    return req\n",
    "forks": "import os\ndef handle(req):\n    return 'child' if os.fork() == 0 else 'parent'\n",
    "writes": "def handle(req):\n    with open(%r, 'a') as f:\n        f.write(req)\n    return req\n",
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    functions = []
    for name, source in SOURCES.items():
        file = tmp_path / (name + ".py")
        file.write_text(source % str(tmp_path / "written") if "%r" in source else source)
        functions.append({"name": name, "file": str(file)})
    host = Host()
    host.configure(functions)
    yield host
    host.close()


def row(
    first: int, rest: List[Tuple[int, int]], body: bytes = b"x", deadline: int = 0, bound: int = 0
) -> bytes:
    table = frames.ROW_BOUND.pack(bound) + b"".join(frames.ROW_ENTRY.pack(i, 0, 0, t) for i, t in rest)
    return call(first, table, body, deadline)


def call(first: int, table: bytes, body: bytes = b"x", deadline: int = 0) -> bytes:
    size = frames.CALL_HEADER.size + len(table) + len(body) - frames.LENGTH_SIZE
    return (
        frames.CALL_HEADER.pack(size, frames.CALL, frames.ROW, first, 0, 0, len(table), deadline)
        + table
        + body
    )


STOP = frames.CALL_HEADER.pack(frames.CALL_HEADER.size - frames.LENGTH_SIZE, frames.STOP, 0, 0, 0, 0, 0, 0)
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("first", "table"),
    [
        (0, b""),
        (0, frames.ROW_BOUND.pack(0)),
        (0, frames.ROW_BOUND.pack(0) + b"x" * 15),
        (0, frames.ROW_BOUND.pack(0) + frames.ROW_ENTRY.pack(0, 0, 0, 1) * frames.MAX_ROW),
        (0, frames.ROW_BOUND.pack(0) + frames.ROW_ENTRY.pack(4, 0, 0, 1)),
        (4, frames.ROW_BOUND.pack(0) + frames.ROW_ENTRY.pack(0, 0, 0, 1)),
    ],
)
def test_bad_rows_end_the_worker(host: Host, first: int, table: bytes) -> None:
    worker = host.spawn()
    worker.lanes[0].sock.sendall(call(first, table))
    assert host.exited(worker).status == EXIT_PROTOCOL << 8


def outcomes(worker: Worker, n: int) -> List[Tuple[int, bytes]]:
    replies = [worker.lanes[0].reply() for _ in range(n)]
    return [(r.outcome, r.body) for r in replies]


def test_longest_row(host: Host) -> None:
    worker = host.spawn()
    worker.lanes[0].sock.sendall(row(0, [(0, SECOND)] * (frames.MAX_ROW - 1)))
    assert outcomes(worker, frames.MAX_ROW) == [(frames.OK, b"")] * (frames.MAX_ROW - 1) + [(frames.OK, b"x")]


def test_stop(host: Host, tmp_path: Path) -> None:
    worker = host.spawn()
    worker.lanes[0].sock.sendall(row(1, [(3, SECOND)]) + STOP)
    assert outcomes(worker, 1) == [(frames.STOPPED, b"")]
    # Too late, alone and with the next call behind it.
    worker.lanes[0].sock.sendall(STOP)
    assert worker.call(0, b"a").body == b"a"
    worker.lanes[0].sock.sendall(STOP + STOP + row(0, [(0, SECOND)], b"b"))
    assert outcomes(worker, 2) == [(frames.OK, b""), (frames.OK, b"b")]
    assert not (tmp_path / "written").exists()


def test_deadline(host: Host, tmp_path: Path) -> None:
    """What ended after its time is followed by nothing."""
    worker = host.spawn()
    now = time.monotonic_ns()
    worker.lanes[0].sock.sendall(row(1, [(3, SECOND)], deadline=now + SECOND // 10))
    assert outcomes(worker, 1) == [(frames.STOPPED, b"")]
    worker.lanes[0].sock.sendall(row(0, [(1, SECOND // 10), (3, SECOND)]))
    assert outcomes(worker, 2) == [(frames.OK, b""), (frames.STOPPED, b"")]
    worker.lanes[0].sock.sendall(
        row(0, [(1, 9 * SECOND), (3, SECOND)], bound=time.monotonic_ns() + SECOND // 10)
    )
    assert outcomes(worker, 2) == [(frames.OK, b""), (frames.STOPPED, b"")]
    assert not (tmp_path / "written").exists()


def test_fork_runs_no_next_function(host: Host, tmp_path: Path) -> None:
    worker = host.spawn()
    worker.lanes[0].sock.sendall(row(2, [(3, SECOND)]))
    assert outcomes(worker, 2) == [(frames.OK, b""), (frames.OK, b"parent")]
    worker.close()
    host.exited(worker)
    assert (tmp_path / "written").read_text() == "parent"


def test_closed_lane_ends_the_row(host: Host, tmp_path: Path) -> None:
    worker = host.spawn()
    worker.lanes[0].sock.sendall(row(1, [(3, SECOND)]))
    worker.lanes[0].close()
    assert host.exited(worker).status == 0
    assert not (tmp_path / "written").exists()


def test_table() -> None:
    """The same bytes as in host/frame_test.go."""
    table = bytes.fromhex(
        "2100000000000000" + "0400000000000000" + "0500000000000000" + "0600000000000000" + "00ca9a3b00000000"
    )
    assert frames.parse_row(memoryview(table), 7) == (33, [(4, 5), (6, SECOND)])
    assert struct.calcsize("<HHIq") == frames.ROW_ENTRY.size == 16
