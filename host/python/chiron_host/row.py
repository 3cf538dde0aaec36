"""Calls functions in a row, in one thread, each with what the one before returned.

Between functions of one process a result need not leave it: the agent sends one
CALL for all of them. At the end of each but the last it is told how long that one
took, so that it can hold the next to its time and, where it must, stop the row.
"""

import _socket
from time import monotonic_ns, perf_counter_ns, thread_time_ns
from typing import Any, Callable, List, NamedTuple, Sequence, Tuple

from chiron_host import frames, handlers, plain, streams
from chiron_host.functions import Function

_VALUES = (handlers.LAMBDA, handlers.LAMBDA1)


class Ended(NamedTuple):
    """What became of the row: the last function that was called."""

    outcome: int
    content: int
    body: bytes
    status: int
    headers: bytes
    start: int
    run: int
    cpu: int


class Closed(Exception):
    """The agent closed the lane."""


class Row:
    """The functions of one CALL."""

    def __init__(self, functions: Sequence[Function], first: int, table: memoryview) -> None:
        if first >= len(functions):
            raise frames.FrameError(f"row with function {first} of {len(functions)}")
        self._bound, entries = frames.parse_row(table, len(functions))
        self._functions: List[Function] = [functions[first], *(functions[i] for i, _ in entries)]
        self._times = [time for _, time in entries]

    def run(
        self,
        sock: _socket.socket,
        log: streams.CallLog,
        given: memoryview,
        request_id: memoryview,
        deadline: int,
        stop: bool,
        max_body: int,
        fail: Callable[[BaseException], Tuple[int, bytes]],
    ) -> Ended:
        """Call one after the other, no other after the first where ``stop`` has come; ``fail`` is
        what an exception comes to: an outcome and its body.
        """
        last = len(self._functions) - 1
        content, body, status, headers = frames.NONE, b"", 0, b""
        ready: List[Any] = []  # the argument of the next, where it does not have to be made of bytes
        for at, function in enumerate(self._functions):
            take, call, give = function.parts
            outcome = frames.OK
            start = perf_counter_ns()
            cpu = thread_time_ns()
            try:
                argument = ready.pop() if ready else take(given)
                # Nobody but the box refers to the result: see plain.py.
                box = [call(argument, request_id, deadline)]
                del argument
                follower = self._functions[at + 1].kind if at < last else ""
                if follower in _VALUES and function.kind in _VALUES:
                    ready = [plain.hand_over(box, max_body)]
                elif follower == function.kind == handlers.TEXT and plain.text(box[0], max_body):
                    ready = box
                else:
                    content, body, status, headers = give(box[0])
                    if len(body) > max_body:
                        raise handlers.BadResult(
                            f"the handler returned {len(body)} bytes: over the limit of {max_body}"
                        )
                    given = memoryview(body)
                del box
            except BaseException as err:
                outcome, body = fail(err)
            cpu = thread_time_ns() - cpu
            run = perf_counter_ns() - start
            if log.used:
                log.end()
            if outcome:
                return Ended(outcome, frames.JSON, body, 0, b"", start, run, cpu)
            if at == last:
                break
            if stop or (deadline and monotonic_ns() >= deadline) or stopped(sock):
                return Ended(frames.STOPPED, frames.NONE, b"", 0, b"", start, run, cpu)
            sock.sendall(frames.reply_header(frames.OK, frames.NONE, 0, 0, 0, start, run, cpu, frames.HANDED))
            deadline = monotonic_ns() + self._times[at]
            if self._bound:
                deadline = min(deadline, self._bound)
        return Ended(frames.OK, content, body, status, headers, start, run, cpu)


def stopped(sock: _socket.socket) -> bool:
    """Tell whether the agent has said that no other function is to begin."""
    try:
        head = sock.recv(frames.CALL_HEADER.size, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    if not head:
        raise Closed
    if len(head) < frames.CALL_HEADER.size or head[4] != frames.STOP:
        return False
    sock.recv(frames.CALL_HEADER.size)
    return True
