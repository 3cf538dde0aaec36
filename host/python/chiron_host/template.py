"""The template: a host that has started and imported nothing of anybody's.

An interpreter takes tens of milliseconds to start and to import the host's own
modules; a fork of one that has done so takes one or two. The template forks
zygotes on request and does nothing else: it imports exactly what a host that
starts anew has imported before it reads its configuration, so that functions
cannot tell the difference, and it never sees one.

A connection is the handle of a zygote: the agent waits for READY, sends one FORK
with the zygote's control socket, stdout and stderr, and gets FORKED, later ENDED.
Where the agent closes it, or dies, the zygote is killed.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import contextlib
import errno
import gc
import json
import os
import select
import signal
import sys
import time
from typing import Any, Dict, List, Optional

from chiron_host import frames, parent, streams
from chiron_host.worker import EXIT_INTERNAL, adopt, descriptors
from chiron_host.zygote import BLOCK, DEFAULT, SIGNALS, UNBLOCK, Zygote

# Control socket, stdout and stderr of a zygote.
DESCRIPTORS = 3


class Connection:
    """An agent's, and the zygote that it has asked for."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.decoder = frames.ControlDecoder()
        self.fds: List[int] = []
        self.pid = 0

    def send(self, kind: int, payload: bytes) -> None:
        # What cannot be sent is the end of a connection, which poll tells.
        with contextlib.suppress(OSError):
            self.sock.sendall(frames.control(kind, payload))

    def close(self) -> None:
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def main(listener: int) -> None:
    """Fork zygotes for those who connect to the listening socket; does not return."""
    os.set_inheritable(listener, False)
    sock = adopt(listener)
    sock.setblocking(False)
    streams.install()
    Template(sock).run()


class Template:
    """This process."""

    def __init__(self, listener: _socket.socket) -> None:
        self._listener = listener
        self._pid = os.getpid()
        self._tie = parent.death_signal()
        self._connections: Dict[int, Connection] = {}  # by descriptor
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poll = select.poll()

    def run(self) -> None:
        """Serve until killed."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._poll.register(self._listener.fileno(), select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        gc.collect()
        gc.freeze()
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._wake_read:
                    self._reap()
                elif fd == self._listener.fileno():
                    self._accept()
                elif fd in self._connections:
                    self._receive(self._connections[fd])

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:  # it left, or there are too many open files: it asks again
            time.sleep(0.001)
            return
        os.set_inheritable(fd, False)
        sock = adopt(fd)
        sock.setblocking(True)
        self._connections[fd] = connection = Connection(sock)
        self._poll.register(fd, select.POLLIN)
        connection.send(frames.READY, b"")

    def _drop(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        self._poll.unregister(fd)
        del self._connections[fd]
        connection.close()
        if connection.pid:
            _kill_session(connection.pid)

    def _receive(self, connection: Connection) -> None:
        try:
            data, ancillary, _, _ = connection.sock.recvmsg(
                1 << 16, _socket.CMSG_SPACE(4 * DESCRIPTORS), _socket.MSG_CMSG_CLOEXEC
            )
            connection.fds += descriptors(ancillary)
            requests = connection.decoder.feed(data)
        except (OSError, frames.FrameError):
            data = b""
        if not data:
            self._drop(connection)
            return
        for kind, payload in requests:
            if kind != frames.FORK or connection.pid or len(connection.fds) != DESCRIPTORS:
                self._drop(connection)
                return
            self._fork(connection, json.loads(payload))

    def _fork(self, connection: Connection, request: Dict[str, Any]) -> None:
        _signal.pthread_sigmask(BLOCK, SIGNALS)
        try:
            pid, number = os.fork(), 0
        except OSError as err:
            pid, number = 0, err.errno or errno.EAGAIN
        if pid == 0 and number == 0:
            self._child(connection.fds, request)
        _signal.pthread_sigmask(UNBLOCK, SIGNALS)
        for fd in connection.fds:
            os.close(fd)
        connection.fds = []
        if pid:
            try:
                join(request, pid)
            except OSError as err:
                _kill_session(pid)
                pid, number = 0, err.errno or errno.EIO
        connection.pid = pid
        connection.send(frames.FORKED, frames.FORKED_PAYLOAD.pack(pid, number))

    def _child(self, fds: List[int], request: Dict[str, Any]) -> None:
        """Become a zygote; does not return."""
        try:
            control = self._shed(fds)
            take_on(request)
            # Until it serves, it ends with the template, which kills it for the
            # agent; then its control socket tells of the agent's end.
            parent.die_with(self._pid, self._tie)
            sock = adopt(control)
            sock.setblocking(True)
            Zygote(sock, forked=True).run()
        except BaseException as err:
            from chiron_host import failures

            os.write(2, failures.trace(err).encode())
        os._exit(EXIT_INTERNAL)

    def _shed(self, fds: List[int]) -> int:
        """Leave everything of the template's behind; return the control socket."""
        _signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            _signal.signal(number, DEFAULT)
        # A session of its own: what is left of it can be found and killed.
        os.setsid()
        control, out, err = fds
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        for connection in self._connections.values():
            if connection.fds is fds:
                connection.fds = []
            connection.close()
        del sys.argv[1:]
        self._listener.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        _signal.pthread_sigmask(UNBLOCK, SIGNALS)
        return control

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self._of(pid)
            if connection is not None:
                connection.pid = 0
                connection.send(frames.ENDED, frames.ENDED_PAYLOAD.pack(pid, status))
            # What it left behind is ours now, and nobody's.
            known = [c.pid for c in self._connections.values()]
            for orphan in parent.children():
                if orphan not in known:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(orphan, signal.SIGKILL)

    def _of(self, pid: int) -> Optional[Connection]:
        for connection in self._connections.values():
            if connection.pid == pid:
                return connection
        return None


def join(request: Dict[str, Any], pid: int) -> None:
    """Put a zygote into its control groups, before the agent hears of it and puts it into more."""
    for file in request.get("join") or []:
        with open(file, "w") as f:
            f.write(str(pid))


def take_on(request: Dict[str, Any]) -> None:
    """Give this process what a host that starts anew is given by its agent."""
    os.chdir(request["dir"])
    os.environ.clear()
    os.environ.update(request["env"])
    if hasattr(time, "tzset"):
        time.tzset()


def _kill_session(pid: int) -> None:
    """Kill a zygote: its workers die with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    # It may not yet lead a group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
