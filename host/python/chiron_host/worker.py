"""A worker: a forked process that serves lanes, one thread each.

The main thread serves the first lane, so that a worker of one lane starts no
thread at all. The last lane to end ends the process, whatever threads the
handlers left behind.
"""

import _socket
import _thread
import contextlib
import os
import sys
from time import perf_counter_ns, thread_time_ns
from typing import Any, Iterable, List, NoReturn, Optional, Sequence, Set, Tuple

from chiron_host import failures, frames, handlers, shared, streams, warm
from chiron_host.functions import Function
from chiron_host.row import Closed, Row

# What one recv takes: a call that fits costs one system call.
# Every page of it that is touched costs a new worker a page fault.
BUFFER = 1 << 14
# A reply's body up to this size is copied behind its header and sent at once.
GATHER = 1 << 16
# One descriptor may come beside a call.
ANCILLARY = _socket.CMSG_SPACE(4)

# Where memory is bounded: what a thread must be able to take before it serves
# (bytes), how long it has to begin (s), and how long after one that could not no
# other is tried (ns).
RESERVE = 1 << 18
START_PATIENCE = 0.5
FULL_PAUSE = 500_000_000
# Made while there is memory.
REFUSAL = frames.reply_header(frames.REFUSED, frames.NONE, 0, 0, 0, 0, 0, 0)

# Exit statuses of a worker that cannot go on, told apart from a handler's own.
EXIT_INTERNAL = 70
EXIT_PROTOCOL = 71


def descriptors(ancillary: Iterable[Tuple[int, int, bytes]]) -> List[int]:
    """Return the file descriptors that came with a message."""
    fds: List[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            whole = len(data) - len(data) % 4
            fds += memoryview(data)[:whole].cast("i").tolist()
    return fds


def adopt(fd: int) -> _socket.socket:
    """Make a socket of a descriptor, without the questions that socket.socket asks the kernel.

    The C type alone, too: socket.socket's methods are Python, and what a new
    process runs for the first time it pays for page by page.
    """
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=fd)


class Worker:
    """This process, after the fork."""

    def __init__(self, functions: Sequence[Function], max_body: int, share_over: int) -> None:
        self._functions = functions
        self._max_body = max_body
        self._share_over = share_over
        self._lock = _thread.allocate_lock()
        self._lanes: Set[_socket.socket] = set()
        self._refused: List[_socket.socket] = []
        # Private memory is bounded: a thread may fail in ways that it cannot tell.
        self.scarce = False
        self._full = 0  # until when no thread is tried, perf_counter_ns
        self._control_socket: Optional[_socket.socket] = None
        self._is_fork = False
        # Served as the function after the last.
        self._warm_up = warm.WarmUp(functions).invoke

    def run(self, lanes: List[int], control: Optional[int]) -> None:
        """Serve the lanes until all have ended; then end the process."""
        os.register_at_fork(after_in_child=self._forked)
        sockets = [self._adopt(fd) for fd in lanes]
        for sock in sockets[1:]:
            self._start(sock)
        if control is not None:
            self._control_socket = adopt(control)
            try:
                _thread.start_new_thread(self._control, (self._control_socket,))
            except (RuntimeError, MemoryError):
                self._control_socket.close()  # which tells the agent that no lane can be added
        self._serve(sockets[0])
        # Other lanes go on, and a process lives only as long as its main thread.
        forever = _thread.allocate_lock()
        forever.acquire()
        forever.acquire()

    def _adopt(self, fd: int) -> _socket.socket:
        sock = adopt(fd)
        with self._lock:
            self._lanes.add(sock)
        return sock

    def _start(self, sock: _socket.socket) -> None:
        """Serve a lane by a thread of its own, or refuse its calls where none can be had.

        At a limit of processes or of memory the threads that there are serve on,
        one call after the other.
        """
        try:
            if self.scarce:
                self._start_scarce(sock)
            else:
                _thread.start_new_thread(self._serve, (sock,))
        except (RuntimeError, MemoryError):
            with self._lock:
                self._lanes.discard(sock)
            # Open until a later lane comes: what the agent still writes must not fail.
            self._refused.append(sock)
            with contextlib.suppress(OSError):
                sock.sendall(REFUSAL)

    def _start_scarce(self, sock: _socket.socket) -> None:
        """Start a thread and see that it runs.

        Where memory is bounded, one may get its stack (that of another that has
        ended) and nothing else: it ends before its first line, and nobody is told.
        """
        if perf_counter_ns() < self._full:
            raise RuntimeError("no thread could be started a moment ago")
        began = _thread.allocate_lock()
        began.acquire()
        try:
            _thread.start_new_thread(self._serve_scarce, (sock, began))
            if not began.acquire(True, START_PATIENCE):
                with self._lock:  # it begins under this lock, or not at all
                    if began.locked():
                        self._lanes.discard(sock)
                        raise RuntimeError("the thread did not begin")
        except (RuntimeError, MemoryError):
            self._full = perf_counter_ns() + FULL_PAUSE
            raise

    def _serve_scarce(self, sock: _socket.socket, began: "_thread.LockType") -> None:
        reserve = bytearray(RESERVE)  # what serving takes can be had
        with self._lock:
            if sock not in self._lanes:
                return  # it was refused: this thread took too long to begin
            began.release()
        del reserve
        self._serve(sock)

    def _forked(self) -> None:
        """In a process that a handler forked: the lanes belong to its parent."""
        self._is_fork = True
        streams.attach(None)
        for sock in self._lanes:
            sock.close()
        for sock in self._refused:
            sock.close()
        if self._control_socket is not None:
            self._control_socket.close()

    def _control(self, sock: _socket.socket) -> None:
        """Start a thread for each lane that arrives."""
        decoder = frames.ControlDecoder()
        fds: List[int] = []
        while True:
            try:
                data, ancillary, _, _ = sock.recvmsg(
                    4096, _socket.CMSG_SPACE(4 * frames.MAX_DESCRIPTORS), _socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                return
            except MemoryError:
                sock.close()  # the agent learns that no lane can be added
                return
            if not data:
                return  # no more lanes will come; those at work end by themselves
            fds += descriptors(ancillary)
            for kind, _ in decoder.feed(data):
                if kind == frames.ADD_LANE and fds:
                    while self._refused:
                        self._refused.pop().close()
                    self._start(self._adopt(fds.pop(0)))

    def _serve(self, sock: _socket.socket) -> None:
        outputs = shared.Outputs()
        try:
            self.loop(sock, outputs)
        except frames.FrameError as err:
            os.write(2, (f"chiron host: {err}\n").encode())
            os._exit(EXIT_PROTOCOL)
        except (OSError, Closed):
            pass  # the agent closed the lane while a reply was on its way
        except BaseException as err:
            os.write(2, failures.trace(err).encode())
            os._exit(EXIT_INTERNAL)
        if self._is_fork:
            os._exit(0)  # a handler forked and returned in the child
        streams.attach(None)
        with self._lock:
            self._lanes.discard(sock)
            last = not self._lanes
        sock.close()
        if last:
            os._exit(0)
        outputs.close()

    def loop(self, sock: _socket.socket, outputs: shared.Outputs) -> None:
        """Serve a lane until it ends."""
        buffer = bytearray(BUFFER)
        view = memoryview(buffer)
        buffers = (buffer,)
        receive, send, unpack = sock.recvmsg_into, sock.sendall, frames.CALL_HEADER.unpack_from
        header_size, max_id, max_meta = frames.CALL_HEADER.size, frames.MAX_REQUEST_ID, frames.MAX_META
        max_body, share_over = self._max_body, self._share_over
        share_new_over = shared.NEW_PAYS * share_over
        invokes = [function.invoke for function in self._functions]
        invokes.append(self._warm_up)
        log = streams.CallLog(send)
        streams.attach(log)
        left = 0  # bytes that came behind a frame without a reply
        while True:
            if left:
                got, left = left, 0
            else:
                got, ancillary, _, _ = receive(buffers, ANCILLARY, _socket.MSG_CMSG_CLOEXEC)
            if got < header_size:
                got = fill(sock, view, got, header_size)
                if got < header_size:
                    return  # the agent closed the lane
            length, kind, flags, index, id_len, slot, meta_len, deadline = unpack(buffer)
            size = length + 4
            meta_at = header_size + id_len
            body_at = meta_at + meta_len
            if (
                kind != 1
                or flags
                or id_len > max_id
                or meta_len > max_meta
                or not 0 <= size - body_at <= max_body
            ):
                if kind == frames.STOP and size == header_size:  # its row ended before it came
                    left = got - size
                    buffer[:left] = buffer[size:got]
                    continue
                frames.check_call(length, kind, flags, id_len, meta_len, max_body)
            if index >= len(invokes):
                raise frames.FrameError(f"call of function {index} of {len(self._functions)}")
            frame, stop = view, False
            if got < size:
                if size > BUFFER:
                    frame = memoryview(bytearray(size))
                    frame[:got] = view[:got]
                if fill(sock, frame, got, size) < size:
                    return
            elif got > size:
                behind = got - size
                stop = bool(flags & frames.ROW) and behind == header_size and buffer[size + 4] == frames.STOP
                if not stop:
                    raise frames.FrameError(f"{behind} bytes follow a call of {size}: one call at a time")
            invoke, given = invokes[index], frame[body_at:size]
            mapped: Any = None
            if flags & 1 or ancillary:
                try:
                    mapped, given = take(descriptors(ancillary), flags, given, max_body)
                except OSError as err:  # no memory to map it in
                    invoke = refusal(err)

            if flags & frames.ROW and invoke is invokes[index]:
                row = Row(self._functions, index, frame[meta_at:body_at])
                outcome, content, body, status, headers, start, run, cpu = row.run(
                    sock, log, given, frame[header_size:meta_at], deadline, stop, max_body, self._fail
                )
            else:
                outcome = frames.OK
                start = perf_counter_ns()
                cpu = thread_time_ns()
                try:
                    content, body, status, headers = invoke(
                        given, frame[meta_at:body_at], frame[header_size:meta_at], deadline
                    )
                    if len(body) > max_body:
                        raise handlers.BadResult(
                            f"the handler returned {len(body)} bytes: over the limit of {max_body}"
                        )
                except BaseException as err:
                    outcome, body = self._fail(err)
                cpu = thread_time_ns() - cpu
                run = perf_counter_ns() - start
                if outcome:
                    content, status, headers = frames.JSON, 0, b""

            if mapped is not None:
                given.release()
                mapped.close()
            if log.used:
                log.end()
            if (
                len(body) <= (share_over if slot else share_new_over)
                or outcome
                or not send_shared(
                    sock, outputs, slot, flags, (content, status, headers, body, start, run, cpu)
                )
            ):
                head = frames.reply_header(outcome, content, status, len(headers), len(body), start, run, cpu)
                if len(body) <= GATHER:
                    send(head + headers + body if headers else head + body)
                else:
                    send_all(sock, head + headers, body)
            del body, headers, frame, given

    def _fail(self, err: BaseException) -> Tuple[int, bytes]:
        """Return what an exception of a call comes to: its outcome, and the reply's body."""
        if isinstance(err, handlers.BadInput):
            return frames.BAD_INPUT, failure("BadInput", str(err))
        if isinstance(err, handlers.BadResult):
            return frames.BAD_RESULT, failure("BadResult", str(err))
        if self._is_fork:
            end_fork(err)
        return frames.RAISED, explain(err)


def take(fds: List[int], flags: int, size: memoryview, max_body: int) -> Tuple[Any, memoryview]:
    """Map the shared memory that came beside a call; return the mapping, and its bytes."""
    try:
        if not flags & frames.SHARED or len(fds) != 1:
            raise frames.FrameError(f"{len(fds)} descriptors came beside a call with flags {flags}")
        (length,) = frames.SHARED_SIZE.unpack(size)
        if length > max_body:
            raise frames.FrameError(f"body of {length} bytes is over the limit of {max_body}")
        mapped = shared.read(fds[0], length)
    finally:
        for fd in fds:
            os.close(fd)
    return mapped, memoryview(mapped)


def refusal(err: OSError) -> handlers.Invoke:
    """Return what stands for a function whose input this process cannot map."""

    def invoke(body: memoryview, meta: memoryview, request_id: memoryview, deadline: int) -> handlers.Result:
        raise MemoryError(f"the input cannot be mapped: {err}")

    return invoke


def send_shared(
    sock: _socket.socket,
    outputs: shared.Outputs,
    slot: int,
    flags: int,
    reply: Tuple[int, int, bytes, bytes, int, int, int],
) -> bool:
    """Send a reply whose body is in shared memory; False where there is none to be had."""
    content, status, headers, body, start, run, cpu = reply
    try:
        fd = outputs.put(body, slot, bool(flags & frames.REUSE))
    except (OSError, ValueError, MemoryError):  # no memory, no descriptors: the socket still goes
        return False
    flags = frames.SHARED if fd is None else frames.SHARED | frames.NEW
    frame = frames.reply_header(
        frames.OK, content, status, len(headers), frames.SHARED_SIZE.size, start, run, cpu, flags
    )
    frame += headers + frames.SHARED_SIZE.pack(len(body))
    if fd is None:
        sock.sendall(frame)
        return True
    try:
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
        sent = sock.sendmsg((frame,), (rights,))
    finally:
        if slot == 0:
            os.close(fd)
    if sent < len(frame):
        sock.sendall(frame[sent:])
    return True


def end_fork(err: BaseException) -> NoReturn:
    """End a process that a handler forked and that raised, as Python ends one."""
    code = 1
    if isinstance(err, SystemExit) and (err.code is None or isinstance(err.code, int)):
        code = err.code or 0
    else:
        os.write(2, failures.trace(err).encode())
    os._exit(code & 0xFF)


def failure(kind: str, message: str, trace: str = "") -> bytes:
    """Return the body of a reply for a call without a result."""
    return handlers.to_json({"type": kind, "message": message, "traceback": trace})


def explain(err: BaseException) -> bytes:
    """Return the body of a reply for a handler that raised."""
    try:
        return failure(type(err).__name__, failures.message(err), failures.trace(err))
    except BaseException:  # out of memory, or an exception that breaks when looked at
        return failure(type(err).__name__, "")


def fill(sock: _socket.socket, view: memoryview, got: int, wanted: int) -> int:
    """Receive until ``wanted`` bytes are in ``view``; return how many there are (fewer: the end)."""
    if got == 0:
        return 0
    while got < wanted:
        n = sock.recv_into(view[got:wanted])
        if n == 0:
            return got
        got += n
    return got


def send_all(sock: _socket.socket, head: bytes, body: bytes) -> None:
    """Send both without copying the body."""
    sent = sock.sendmsg((head, body))
    if sent < len(head):
        sock.sendall(head[sent:])
        sent = len(head)
    rest: Any = memoryview(body)[sent - len(head) :]
    if rest:
        sock.sendall(rest)
