"""Drives a real host as the agent does: configures it, spawns workers, calls functions."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from chiron_host import frames

MAIN = Path(__file__).resolve().parent.parent / "chiron_host" / "__main__.py"
# No answer takes long: a test that waits this long has failed, in seconds.
PATIENCE = 20.0
MAX_BODY = 1 << 20
# None does, unless a test says otherwise.
SHARE_OVER = 1 << 30


class Reply(NamedTuple):
    """A REPLY frame and the LOG frames before it."""

    outcome: int
    content: int
    status: int
    start: int
    run: int
    cpu: int
    headers: bytes
    body: bytes
    logs: List[Tuple[int, str]]

    def value(self) -> Any:
        return json.loads(self.body)

    def printed(self, stream: int = frames.STDOUT) -> str:
        return "".join(text for s, text in self.logs if s == stream)


class Exit(NamedTuple):
    """An EXITED frame."""

    worker: int
    pid: int
    status: int


class Lane:
    """The agent's end of a lane."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock

    def call(
        self,
        function: int,
        body: bytes = b"",
        request_id: str = "",
        meta: Optional[Dict[str, Any]] = None,
        deadline: int = 0,
    ) -> Reply:
        self.sock.sendall(call_frame(function, body, request_id, meta, deadline))
        return self.reply()

    def reply(self) -> Reply:
        logs: List[Tuple[int, str]] = []
        while True:
            head = self.exactly(frames.LOG_HEADER.size)
            length, kind, second, _ = frames.LOG_HEADER.unpack(head)
            size = length + frames.LENGTH_SIZE
            if kind == frames.LOG:
                logs.append((second, self.exactly(size - len(head)).decode()))
                continue
            assert kind == frames.REPLY
            head += self.exactly(frames.REPLY_HEADER.size - len(head))
            _, _, outcome, content, _, status, _, n, start, run, cpu = frames.REPLY_HEADER.unpack(head)
            headers = self.exactly(n)
            body = self.exactly(size - len(head) - n)
            return Reply(outcome, content, status, start, run, cpu, headers, body, logs)

    def exactly(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError("the worker closed the lane")
            data += more
        return bytes(data)

    def is_closed(self) -> bool:
        """Tell whether the worker ends the lane, waiting for it."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.sock.close()


class Worker:
    """A forked worker, its lanes and its control socket."""

    def __init__(self, number: int, pid: int, lanes: List[Lane], control: Optional[socket.socket]) -> None:
        self.number = number
        self.pid = pid
        self.lanes = lanes
        self.control = control

    def call(self, function: int, body: bytes = b"", **rest: Any) -> Reply:
        return self.lanes[0].call(function, body, **rest)

    def add_lane(self) -> Lane:
        assert self.control is not None
        ours, theirs = socket.socketpair()
        with theirs:
            send_with_fds(self.control, frames.control(frames.ADD_LANE, b""), [theirs.fileno()])
        lane = Lane(ours)
        self.lanes.append(lane)
        return lane

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()
        if self.control is not None:
            self.control.close()


class Host:
    """A zygote under test."""

    def __init__(self, env: Optional[Dict[str, str]] = None, configured: bool = True) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        self.sock = ours
        out, out_write = os.pipe()
        self.output = out
        # Above the numbers that the child's are moved to.
        control = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 20)
        printed = fcntl.fcntl(out_write, fcntl.F_DUPFD_CLOEXEC, 20)
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        variables.update(env or {})
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-s", "-u", "-B", str(MAIN)],
            variables,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, control, 3),
                (os.POSIX_SPAWN_DUP2, printed, 1),
                (os.POSIX_SPAWN_DUP2, printed, 2),
            ],
            setpgroup=0,
        )
        theirs.close()
        for fd in (control, printed, out_write):
            os.close(fd)
        self._decoder = frames.ControlDecoder()
        self._frames: List[Tuple[int, bytes]] = []
        self._exits: Dict[int, Exit] = {}
        self._workers: List[Worker] = []
        self._reaped: Optional[int] = None
        self.ready: Dict[str, Any] = {}

    def configure(self, functions: List[Dict[str, Any]], **rest: Any) -> Dict[str, Any]:
        """Send the configuration; return the READY report."""
        config = {"functions": functions, "max_body": MAX_BODY, "share_over": SHARE_OVER, **rest}
        self.sock.sendall(frames.control(frames.CONFIG, json.dumps(config).encode()))
        kind, payload = self._next()
        assert kind == frames.READY
        self.ready = json.loads(payload)
        return self.ready

    def spawn(self, lanes: int = 1, control: bool = False, **options: int) -> Worker:
        """Spawn a worker; raise OSError where the zygote says that it could not."""
        number = len(self._workers) + 1
        fds: List[socket.socket] = []
        ours: List[socket.socket] = []
        for _ in range(lanes + control):
            a, b = socket.socketpair()
            ours.append(a)
            fds.append(b)
        payload = frames.SPAWN_PAYLOAD.pack(
            number,
            lanes,
            frames.SPAWN_CONTROL if control else 0,
            options.get("cpu", -1),
            options.get("interval", 0),
            options.get("data_limit", 0),
        )
        send_with_fds(self.sock, frames.control(frames.SPAWN, payload), [s.fileno() for s in fds])
        for s in fds:
            s.close()
        first = ours.pop(0) if control else None
        kind, payload = self._next()
        while kind != frames.SPAWNED:
            self._take_exit(kind, payload)
            kind, payload = self._next()
        got, pid, errno = frames.SPAWNED_PAYLOAD.unpack(payload)
        assert got == number
        worker = Worker(number, pid, [Lane(s) for s in ours], first)
        self._workers.append(worker)
        if errno:
            raise OSError(errno, os.strerror(errno))
        return worker

    def exited(self, worker: Worker) -> Exit:
        """Return the report of the worker's end, waiting for it."""
        while worker.number not in self._exits:
            self._take_exit(*self._next())
        return self._exits.pop(worker.number)

    def _take_exit(self, kind: int, payload: bytes) -> None:
        assert kind == frames.EXITED
        report = Exit(*frames.EXITED_PAYLOAD.unpack(payload))
        assert report.worker not in self._exits
        self._exits[report.worker] = report

    def _next(self) -> Tuple[int, bytes]:
        while not self._frames:
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError("the zygote closed its socket")
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def wait(self) -> int:
        """Wait for the zygote's end; return its wait status."""
        if self._reaped is None:
            _, self._reaped = os.waitpid(self.pid, 0)
        return self._reaped

    def printed(self) -> str:
        """Return what reached the processes' descriptors 1 and 2; after the end."""
        text = b""
        while True:
            data = os.read(self.output, 1 << 16)
            if not data:
                return text.decode("utf-8", "replace")
            text += data

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self.sock.close()
        if self._reaped is None:
            self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.output)


def call_frame(
    function: int,
    body: bytes = b"",
    request_id: str = "",
    meta: Optional[Dict[str, Any]] = None,
    deadline: int = 0,
) -> bytes:
    """Encode a CALL."""
    number = request_id.encode()
    about = json.dumps(meta, separators=(",", ":")).encode() if meta is not None else b""
    size = frames.CALL_HEADER.size + len(number) + len(about) + len(body)
    head = frames.CALL_HEADER.pack(
        size - frames.LENGTH_SIZE, frames.CALL, 0, function, len(number), 0, len(about), deadline
    )
    return head + number + about + body


def send_with_fds(sock: socket.socket, data: bytes, fds: List[int]) -> None:
    """Send one message with descriptors; socket.send_fds is of Python 3.9."""
    packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    sent = sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])
    assert sent == len(data)


def ends(pid: int) -> bool:
    """Tell whether a process ends within PATIENCE; a signal takes a moment to arrive."""
    until = time.monotonic() + PATIENCE
    while is_alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
