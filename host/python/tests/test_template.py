"""The template: forks zygotes, each the handle of its connection's owner."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from chiron_host import frames, template

MAIN = Path(__file__).resolve().parent.parent / "chiron_host" / "__main__.py"
PATIENCE = 20.0


class Running:
    """A template, and how to ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = str(folder / "t.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(16)
        fd = listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-s", str(MAIN), "template"],
            close_fds=False,
            preexec_fn=lambda: os.dup2(fd, 3) and None,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        listener.close()

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(self.path)
        assert receive(sock) == (frames.READY, b"")
        return sock

    def fork(self, fault: int = 0, **request: Any) -> Tuple[socket.socket, socket.socket, int]:
        """Return the connection, the zygote's control socket, and its pid."""
        sock = self.connect()
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        request = {"dir": str(self.folder), "env": {"MINE": "yes"}, **request}
        message = frames.control(frames.FORK, json.dumps(request).encode())
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _ints([theirs.fileno(), 1, 2]))
        sock.sendmsg([message], [rights])
        theirs.close()
        kind, payload = receive(sock)
        pid, number = frames.FORKED_PAYLOAD.unpack(payload)
        assert kind == frames.FORKED
        assert number == fault
        return sock, ours, pid


def _ints(numbers: List[int]) -> bytes:
    return b"".join(n.to_bytes(4, sys.byteorder) for n in numbers)


def receive(sock: socket.socket) -> Tuple[int, bytes]:
    decoder = frames.ControlDecoder()
    while True:
        data = sock.recv(1)
        assert data, "the connection has ended"
        found = decoder.feed(data)
        if found:
            return found[0]


def eventually(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    r = Running(tmp_path)
    yield r
    r.process.kill()
    r.process.wait()


def test_connection_that_closes_kills_its_zygote(running: Running) -> None:
    one, one_control, one_pid = running.fork()
    two, two_control, two_pid = running.fork()
    eventually(lambda: os.getsid(one_pid) == one_pid)
    one.close()
    eventually(lambda: not alive(one_pid))
    assert alive(two_pid)
    two_control.close()  # as an agent ends its zygote
    kind, payload = receive(two)
    assert kind == frames.ENDED
    assert frames.ENDED_PAYLOAD.unpack(payload) == (two_pid, 0)
    one_control.close()
    two.close()


def test_template_that_is_killed_takes_those_along_that_import(running: Running) -> None:
    sock, control, pid = running.fork()
    running.process.kill()
    eventually(lambda: not alive(pid))
    sock.close()
    control.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 64, frames.control(frames.FORK, b"{}"), frames.control(frames.SPAWN, b"")],
    ids=["no frame", "without descriptors", "of another kind"],
)
def test_garbage_costs_its_connection_alone(running: Running, garbage: bytes) -> None:
    sock = running.connect()
    sock.sendall(garbage)
    assert sock.recv(1) == b""
    sock.close()
    other, control, pid = running.fork()
    assert alive(pid)
    other.close()
    control.close()


def test_zygote_joins_its_groups_before_its_agent_hears_of_it(running: Running) -> None:
    joined = running.folder / "cgroup.procs"
    joined.touch()
    sock, control, pid = running.fork(join=[str(joined)])
    assert joined.read_text() == str(pid)
    sock.close()
    control.close()


def test_what_cannot_be_joined_is_no_fork(running: Running) -> None:
    sock, control, pid = running.fork(errno.ENOENT, join=["/nowhere/cgroup.procs"])
    assert pid == 0
    assert control.recv(1) == b""
    sock.close()
    control.close()


def test_take_on(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        template.take_on({"dir": str(tmp_path), "env": {"A": "b"}})
        good = dict(os.environ) == {"A": "b"} and os.getcwd() == str(tmp_path)
        os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0
