"""Bodies in shared memory: what a worker takes, what it gives, and what it refuses."""

import contextlib
import fcntl
import mmap
import os
import socket
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest
from driver import Host, Worker

from chiron_host import frames, shared
from chiron_host.worker import EXIT_PROTOCOL

ECHO = "def handle(req):\n    return req\n"
BODY = b"0123456789" * 20_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    file = tmp_path / "handler.py"
    file.write_text(ECHO)
    host = Host()
    host.configure([{"name": "echo", "file": str(file)}], share_over=1000)
    yield host
    host.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def memfd(body: bytes, seals: int = shared.STEADY, length: int = -1) -> int:
    fd = shared.create()
    shared.write(fd, memoryview(body))
    if length >= 0:
        os.ftruncate(fd, length)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def send(worker: Worker, fds: List[int], size: int, slot: int = 0, flags: int = frames.SHARED) -> None:
    """Send a call whose body is ``size`` bytes of shared memory; close the descriptors."""
    payload = frames.SHARED_SIZE.pack(size) if flags & frames.SHARED else b""
    head = frames.CALL_HEADER.pack(
        frames.CALL_HEADER.size - frames.LENGTH_SIZE + len(payload), frames.CALL, flags, 0, 0, slot, 0, 0
    )
    packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if fds else []
    worker.lanes[0].sock.sendmsg([head + payload], rights)
    for fd in fds:
        os.close(fd)


def receive(worker: Worker) -> Tuple[int, int, List[int]]:
    """Return a shared reply's flags, size and descriptors."""
    sock = worker.lanes[0].sock
    data, ancillary, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(16))
    fields = frames.REPLY_HEADER.unpack_from(data)
    assert fields[1] == frames.REPLY
    assert fields[2] == frames.OK
    assert len(data) == frames.REPLY_HEADER.size + frames.SHARED_SIZE.size == fields[0] + frames.LENGTH_SIZE
    (size,) = frames.SHARED_SIZE.unpack_from(data, frames.REPLY_HEADER.size)
    fds: List[int] = []
    for _, _, packed in ancillary:
        fds += memoryview(packed).cast("i").tolist()
    return fields[4], size, fds


def content(fd: int, size: int) -> bytes:
    with contextlib.closing(mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)) as mapped:
        return mapped[:]


def test_both_ways(host: Host) -> None:
    worker = host.spawn()
    for _ in range(3):
        send(worker, [memfd(BODY)], len(BODY))
        flags, size, (fd,) = receive(worker)
        assert (flags, size) == (frames.SHARED | frames.NEW, len(BODY))
        assert content(fd, size) == BODY
        # Nobody can change it any more.
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & 0xF == shared.STEADY | shared.SEAL_WRITE
        os.close(fd)


def test_small_replies_stay_in_the_frame(host: Host) -> None:
    worker = host.spawn()
    send(worker, [memfd(b"small")], 5)
    assert worker.lanes[0].reply().body == b"small"
    assert worker.call(0, b"x" * 1000).body == b"x" * 1000


def test_a_slot_is_written_again_only_when_told(host: Host) -> None:
    worker = host.spawn()
    files: List[Tuple[int, bytes]] = []

    def call(body: bytes, slot: int, flags: int = frames.SHARED) -> List[int]:
        send(worker, [memfd(body)], len(body), slot, flags)
        _, size, fds = receive(worker)
        assert size == len(body)
        return fds

    for i in range(4):
        body = bytes([65 + i]) * 100_000
        (fd,) = call(body, 1)
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & 0xF == shared.STEADY
        files.append((fd, body))
    for fd, body in files:
        assert content(fd, len(body)) == body
    last = files[-1][0]
    for size in (100_000, 5000, 100_000 + 4096):  # the last: longer, in its slack
        assert call(b"z" * size, 1, frames.SHARED | frames.REUSE) == []
        assert content(last, size) == b"z" * size
    # Too long for it, and another slot: new files.
    (larger,) = call(b"y" * 300_000, 1, frames.SHARED | frames.REUSE)
    (other,) = call(b"x" * 2000, 2, frames.SHARED | frames.REUSE)
    assert content(last, 10) == b"z" * 10
    for fd in [larger, other] + [fd for fd, _ in files]:
        os.close(fd)


@pytest.mark.parametrize(
    ("make", "size", "says"),
    [
        (lambda: [memfd(BODY, seals=0)], len(BODY), "not sealed against shrinking"),
        (lambda: [memfd(BODY, seals=shared.SEAL_GROW)], len(BODY), "not sealed against shrinking"),
        (lambda: [memfd(BODY)], len(BODY) + 1, "200000 bytes and shall have 200001"),
        (lambda: [memfd(BODY, length=10)], len(BODY), "10 bytes and shall have 200000"),
        (lambda: [memfd(b"")], 0, "0 bytes and shall have 0"),
        (lambda: [memfd(BODY)], (1 << 20) + 1, "over the limit of 1048576"),
        (lambda: [memfd(BODY)], 1 << 63, "over the limit of 1048576"),
        (lambda: [os.open("/dev/zero", os.O_RDONLY)], 1000, "no shared memory"),
        (lambda: [os.open(__file__, os.O_RDONLY)], 1000, "no shared memory"),
        (lambda: [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()], 1000, "no shared memory"),
        (list, 1000, "0 descriptors came"),
    ],
)
def test_refused(host: Host, make: Callable[[], List[int]], size: int, says: str) -> None:
    """A file that cannot be trusted ends the worker by its own decision, not by a signal."""
    worker = host.spawn()
    before = open_files()
    send(worker, make(), size)
    assert worker.lanes[0].is_closed()
    status = host.exited(worker).status
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == EXIT_PROTOCOL
    assert open_files() == before
    host.sock.close()
    host.wait()
    assert says in host.printed()


def test_a_descriptor_beside_a_call_without_shared_memory(host: Host) -> None:
    worker = host.spawn()
    send(worker, [memfd(BODY)], 0, flags=0)
    assert worker.lanes[0].is_closed()
    assert os.WEXITSTATUS(host.exited(worker).status) == EXIT_PROTOCOL


def test_worker_keeps_no_descriptors(host: Host) -> None:
    worker = host.spawn()
    counts = []
    for _ in range(3):
        for slot in (0, 1, 2, 1):
            send(worker, [memfd(BODY)], len(BODY), slot)
            for fd in receive(worker)[2]:
                os.close(fd)
        counts.append(len(os.listdir(f"/proc/{worker.pid}/fd")))
    assert len(set(counts)) == 1


def test_kept_memory_grows_by_an_eighth_at_most() -> None:
    for size in (1, 1000, 4096, 4097, 65537, 1 << 20, (1 << 20) + 1, (5 << 20) + 3):
        kept = shared.Kept(size)
        assert size <= kept.capacity <= max(size + size // 8, size + shared.PAGE)
        kept.close()
