"""The zygote: imports the functions once, then forks workers on request.

It stays single-threaded and never runs a handler, so a fork is clean: no lock
is held by a thread that does not exist in the child, and no page was dirtied
by a request.
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
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from chiron_host import environ, frames, functions, parent, rehearsal, streams
from chiron_host.worker import EXIT_INTERNAL, EXIT_PROTOCOL, Worker, adopt, descriptors

# The signals that the zygote handles and its workers do not. For these the
# module that signal wraps: what a new process runs for the first time it pays
# for page by page, and enums are many.
SIGNALS = (int(signal.SIGTERM), int(signal.SIGCHLD), int(signal.SIGINT))
BLOCK, UNBLOCK, DEFAULT = int(signal.SIG_BLOCK), int(signal.SIG_UNBLOCK), int(signal.SIG_DFL)
# How often the zygote's end looks for what the ended ones have left.
MAX_GENERATIONS = 100


def main(control: int) -> None:
    """Serve the control socket until it closes; does not return."""
    os.set_inheritable(control, False)
    sock = adopt(control)
    sock.setblocking(True)
    streams.install()
    Zygote(sock).run()


class Zygote:
    """The first process of a host."""

    def __init__(self, sock: _socket.socket, forked: bool = False) -> None:
        self._sock = sock
        # Of a template, which is not the agent: its end is none of ours.
        self._forked = forked
        self._pid = os.getpid()
        self._decoder = frames.ControlDecoder()
        self._frames: List[Tuple[int, bytes]] = []
        self._fds: List[int] = []
        self._children: Dict[int, int] = {}  # worker id by pid
        self._functions: List[functions.Function] = []
        self._max_body = 0
        self._share_over = 0
        self._process_limit = 0
        self._tie = parent.death_signal()
        self._cpus = os.sched_getaffinity(0)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Import, then fork as asked; does not return."""
        try:
            self.configure()
            self.loop()
        except BaseException as err:
            from chiron_host import failures

            os.write(2, failures.trace(err).encode())
            self._end(EXIT_PROTOCOL if isinstance(err, frames.FrameError) else EXIT_INTERNAL)

    def configure(self) -> None:
        """Import what the agent names and tell it how that went."""
        kind, payload = self._next()
        if kind != frames.CONFIG:
            raise frames.FrameError(f"expected the configuration, got a frame of kind {kind}")
        config: Dict[str, Any] = json.loads(payload)
        self._max_body = config["max_body"]
        self._share_over = config["share_over"]
        self._process_limit = config.get("process_limit") or 0
        if config.get("cpus"):
            os.sched_setaffinity(0, config["cpus"])
            self._cpus = os.sched_getaffinity(0)
        _add_site(config.get("site_path") or [])
        loader = functions.Loader()
        if any(data.get("env") for data in config["functions"]):
            environ.install()
        loaded, failed = [], []
        for data in config["functions"]:
            try:
                function = loader.load(functions.Spec(data))
            except functions.LoadError as err:
                failed.append({"function": err.function, "message": err.message, "traceback": err.trace})
                continue
            self._functions.append(function)
            loaded.append(
                {
                    "function": function.name,
                    "symbol": function.symbol,
                    "kind": function.kind,
                    "warmup": function.warm_up is not None,
                }
            )
        rehearsal.rehearse()
        # A handler that was imported may have put streams of its own there.
        gc.collect()
        gc.freeze()
        threads = sys.modules["threading"].active_count() if "threading" in sys.modules else 1
        report = {
            "pid": self._pid,
            "version": ".".join(map(str, sys.version_info[:3])),
            "functions": loaded,
            "failed": failed,
            "threads": threads - 1,
            "tied": self._tie is not None,
        }
        if self._forked and self._tie is not None:
            # From here on the control socket tells of the agent's end.
            self._tie(0)
        self._send(frames.READY, json.dumps(report).encode())

    def loop(self) -> None:
        """Fork, reap, report; until the control socket closes."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        if self._tie is not None and not self._forked:
            # The agent had us killed at its death; from here on we take the workers along.
            self._tie(signal.SIGTERM)
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake_read:
                    self._reap()
                    continue
                kind, payload = self._next()
                if kind != frames.SPAWN:
                    raise frames.FrameError(f"unexpected frame of kind {kind}")
                self._spawn(payload)
                while self._frames:
                    kind, payload = self._frames.pop(0)
                    self._spawn(payload)

    def _next(self) -> Tuple[int, bytes]:
        while not self._frames:
            data, ancillary, _, _ = self._sock.recvmsg(
                1 << 16, _socket.CMSG_SPACE(4 * frames.MAX_DESCRIPTORS), _socket.MSG_CMSG_CLOEXEC
            )
            if not data:
                self._end()
            self._fds += descriptors(ancillary)
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def _send(self, kind: int, payload: bytes) -> None:
        try:
            self._sock.sendall(frames.control(kind, payload))
        except OSError:
            self._end()

    def _spawn(self, payload: bytes) -> None:
        worker, lanes, flags, cpu, interval, data_limit = frames.SPAWN_PAYLOAD.unpack(payload)
        count = lanes + (1 if flags & frames.SPAWN_CONTROL else 0)
        if lanes < 1 or count > len(self._fds):
            raise frames.FrameError(f"spawn of {lanes} lanes came with {len(self._fds)} descriptors")
        fds, self._fds = self._fds[:count], self._fds[count:]
        if cpu >= 0 and cpu not in self._cpus:
            pid, number = 0, errno.EINVAL
        else:
            if data_limit or self._process_limit:
                import resource  # noqa: F401  (no child has to load it then)
            # A signal for the child must not meet the handlers of this process.
            _signal.pthread_sigmask(BLOCK, SIGNALS)
            try:
                pid, number = os.fork(), 0
            except OSError as err:
                pid, number = 0, err.errno or errno.EAGAIN
            if pid == 0 and number == 0:
                self._child(fds, bool(flags & frames.SPAWN_CONTROL), cpu, interval, data_limit)
            _signal.pthread_sigmask(UNBLOCK, SIGNALS)
        for fd in fds:
            os.close(fd)
        if pid:
            self._children[pid] = worker
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)  # here too: whoever comes first
        self._send(frames.SPAWNED, frames.SPAWNED_PAYLOAD.pack(worker, pid, number))

    def _child(self, fds: List[int], has_control: bool, cpu: int, interval: int, data_limit: int) -> None:
        """Become a worker; does not return."""
        try:
            _signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                _signal.signal(number, DEFAULT)
            _signal.pthread_sigmask(UNBLOCK, SIGNALS)
            parent.die_with(self._pid, self._tie)
            # A group of its own: what a handler starts is killed with it.
            os.setpgid(0, 0)
            self._sock.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            if cpu >= 0:
                os.sched_setaffinity(0, (cpu,))
            if interval:
                sys.setswitchinterval(interval / 1e6)
            parent.offer_to_oom_killer()
            if data_limit or self._process_limit:
                limit(data_limit, self._process_limit)
            control: Optional[int] = fds.pop(0) if has_control else None
            worker = Worker(self._functions, self._max_body, self._share_over)
            worker.scarce = bool(data_limit)
            worker.run(fds, control)
        except BaseException as err:
            from chiron_host import failures

            os.write(2, failures.trace(err).encode())
        os._exit(EXIT_INTERNAL)

    def _reap(self) -> None:
        try:
            while os.read(self._wake_read, 512):
                pass
        except BlockingIOError:
            pass
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            # While it is a zombie, its number cannot be another's: the group
            # is surely what its handlers left running.
            _kill_group(pid)
            _, status = os.waitpid(pid, 0)
            worker = self._children.pop(pid, None)
            if worker is None:
                continue
            # What left that group is ours now.
            for orphan in parent.children():
                if orphan not in self._children:
                    _kill(orphan)
            self._send(frames.EXITED, frames.EXITED_PAYLOAD.pack(worker, pid, status))

    def _end(self, status: int = 0) -> NoReturn:
        """End with all workers and what their handlers started."""
        for pid in self._children:
            _kill_group(pid)
        # Each that ends may leave its own children to us.
        for _ in range(MAX_GENERATIONS):
            left = parent.children()
            if not left:
                break
            for pid in left:
                _kill(pid)
            for pid in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        os._exit(status)


def limit(data: int, processes: int) -> None:
    """Hold this process to ``data`` bytes of private memory, and its user to ``processes`` in all."""
    import resource

    if data:
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    if processes:
        # It counts all of the user's, on the whole machine, and is asked where
        # this process or what it started wants one more (getrlimit(2)).
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        if hard != resource.RLIM_INFINITY:
            processes = min(processes, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        _kill(pid)  # not yet a group of its own


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _add_site(folders: List[str]) -> None:
    """Put the functions' requirements before what the interpreter has, .pth files included."""
    if not folders:
        return
    import site

    before = list(sys.path)
    for folder in folders:
        site.addsitedir(folder)
    sys.path[:] = [p for p in sys.path if p not in before] + before
