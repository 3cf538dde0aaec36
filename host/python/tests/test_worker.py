"""A worker over its lanes, in a real process."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from conftest import Start
from driver import MAX_BODY, Host, Reply, Worker, call_frame, ends, is_alive

from chiron_host import frames, worker

SOURCES: Dict[str, str] = {
    "echo": "def handle(req):\n    return req\n",
    "lambda": "def handler(event, context):\n    return [event, context.aws_request_id]\n",
    "event": """
        def handle(event, context):
            headers = {"X-Path": event.path}
            return {"statusCode": 202, "body": event.body, "headers": headers}
        """,
    "prints": """
        import os, sys
        def handle(req):
            print("out", req)
            print("err", req, file=sys.stderr)
            sys.stdout.write("no end")
        """,
    "raises": """
        def handle(req):
            print("before")
            raise ValueError("no " + req)
        """,
    "exits": "import sys\ndef handle(req):\n    sys.exit(int(req))\n",
    "interrupts": "def handle(req):\n    raise KeyboardInterrupt\n",
    "returns": """
        def handle(req):
            return {"set": [{1, 2}], "huge": b"x" * (1 << 21), "most": b"x" * (1 << 20)}[req]
        """,
    "sleeps": """
        import threading, time
        def handle(req):
            time.sleep(float(req))
            return threading.get_ident() == threading.main_thread().ident
        """,
    "spins": """
        import time
        def handle(req):
            end = time.thread_time() + float(req)
            while time.thread_time() < end:
                pass
        """,
    "dies": """
        import ctypes, os, signal
        def handle(req):
            if req == "exit":
                os._exit(5)
            if req == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if req == "segfault":
                ctypes.string_at(0)
        """,
    "forks": """
        import os, sys
        def handle(req):
            pid = os.fork()
            if pid == 0:
                if req == "returns":
                    return "from the child"
                if req == "raises":
                    raise ValueError("from the child")
                if req == "leaves":
                    raise SystemExit(7)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            return status
        """,
    "leaks": """
        import os, subprocess, threading, time
        KEPT = []
        def handle(req):
            if req == "thread":
                threading.Thread(target=time.sleep, args=(600,)).start()
            if req == "descriptor":
                KEPT.append(os.open("/dev/null", os.O_RDONLY))
            if req == "process":
                return subprocess.Popen(["sleep", "600"]).pid
        """,
    "runaway": "def handle(req):\n    return handle(req)\n",
    "counts": "N = 0\ndef handle(req):\n    global N\n    N += 1\n    return N\n",
}
INDEX = {name: i for i, name in enumerate(SOURCES)}


@pytest.fixture(scope="module")
def host(start: Start) -> Host:
    return start(SOURCES)


@pytest.fixture
def one(host: Host) -> Iterator[Worker]:
    worker = host.spawn()
    yield worker
    worker.close()


def call(one: Worker, function: str, body: str = "") -> Reply:
    return one.call(INDEX[function], body.encode())


def failure(reply: Reply, outcome: int) -> Dict[str, str]:
    assert (reply.outcome, reply.content) == (outcome, frames.JSON)
    value: Dict[str, str] = reply.value()
    assert sorted(value) == ["message", "traceback", "type"]
    return value


def test_kinds(one: Worker) -> None:
    reply = call(one, "echo", "hé")
    assert (reply.outcome, reply.content, reply.status) == (frames.OK, frames.TEXT, 0)
    assert (reply.body, reply.headers, reply.logs) == ("hé".encode(), b"", [])
    reply = one.call(INDEX["lambda"], b'{"a":1}', request_id="r-1")
    assert reply.value() == [{"a": 1}, "r-1"]
    reply = one.call(INDEX["event"], b"\xff", meta={"path": "/p"})
    assert (reply.content, reply.status, reply.body) == (frames.BINARY, 202, b"\xff")
    assert json.loads(reply.headers) == [["X-Path", "/p"]]


@pytest.mark.parametrize("size", [0, 1, 16_359, 16_360, 16_361, 16_384, 65_536, 65_537, 200_000, MAX_BODY])
def test_sizes(one: Worker, size: int) -> None:
    """Bodies around the buffers' sizes, in one piece and in small ones."""
    body = os.urandom(size // 2).hex().encode().ljust(size, b"x")
    assert one.call(INDEX["echo"], body).body == body
    lane = one.lanes[0]
    data = call_frame(INDEX["echo"], body)
    for at in range(0, len(data), max(1, len(data) // 7)):
        lane.sock.sendall(data[at : at + max(1, len(data) // 7)])
    assert lane.reply().body == body


def test_frame_in_single_bytes(one: Worker) -> None:
    lane = one.lanes[0]
    for byte in call_frame(INDEX["lambda"], b"[]", "number"):
        lane.sock.sendall(bytes([byte]))
    assert lane.reply().value() == [[], "number"]


def test_times(one: Worker) -> None:
    before = time.perf_counter_ns()
    reply = call(one, "sleeps", "0.05")
    after = time.perf_counter_ns()
    assert before < reply.start < reply.start + reply.run < after
    assert reply.run >= 50e6
    assert reply.cpu < 25e6
    reply = call(one, "spins", "0.05")
    assert 50e6 <= reply.cpu <= reply.run * 1.05


def test_prints_by_call(one: Worker) -> None:
    for number in ("1", "2"):
        reply = call(one, "prints", number)
        assert reply.printed(frames.STDOUT) == f"out {number}\nno end"
        assert reply.printed(frames.STDERR) == f"err {number}\n"


def test_prints_of_calls_at_the_same_time(host: Host) -> None:
    many = host.spawn(lanes=4)
    got: Dict[int, List[str]] = {n: [] for n in range(4)}

    def run(n: int) -> None:
        for _ in range(50):
            got[n].append(many.lanes[n].call(INDEX["prints"], str(n).encode()).printed())

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == {n: [f"out {n}\nno end"] * 50 for n in range(4)}


def test_raises(one: Worker) -> None:
    reply = call(one, "raises", "way")
    value = failure(reply, frames.RAISED)
    assert (value["type"], value["message"]) == ("ValueError", "no way")
    assert value["traceback"].startswith('Traceback (most recent call last):\n  File "')
    assert 'handler.py", line 4, in handle' in value["traceback"]
    assert "worker.py" not in value["traceback"]
    assert reply.printed() == "before\n"
    assert call(one, "echo", "lives").body == b"lives"


def test_exits(one: Worker) -> None:
    for code in (0, 3):
        value = failure(call(one, "exits", str(code)), frames.RAISED)
        assert (value["type"], value["message"]) == ("SystemExit", f"the handler called sys.exit({code})")
    assert failure(call(one, "interrupts"), frames.RAISED)["type"] == "KeyboardInterrupt"
    assert failure(call(one, "runaway"), frames.RAISED)["type"] == "RecursionError"
    assert call(one, "echo", "lives").body == b"lives"


def test_bad_results(one: Worker) -> None:
    value = failure(call(one, "returns", "set"), frames.BAD_RESULT)
    assert "object of type set is not JSON serializable" in value["message"]
    value = failure(call(one, "returns", "huge"), frames.BAD_RESULT)
    assert value["message"] == "the handler returned 2097152 bytes: over the limit of 1048576"
    assert len(call(one, "returns", "most").body) == MAX_BODY
    value = failure(one.call(INDEX["echo"], b"\xff"), frames.BAD_INPUT)
    assert "not UTF-8" in value["message"]
    value = failure(one.call(INDEX["lambda"], b"{"), frames.BAD_INPUT)
    assert "not JSON" in value["message"]


def test_lanes_are_threads_of_one_process(host: Host) -> None:
    many = host.spawn(lanes=3)
    began = time.monotonic()
    for lane in many.lanes:
        lane.sock.sendall(call_frame(INDEX["sleeps"], b"0.2"))
    replies = [lane.reply() for lane in many.lanes]
    assert time.monotonic() - began < 0.6  # one after the other
    assert sorted(r.value() for r in replies) == [False, False, True]
    assert {many.lanes[i % 3].call(INDEX["counts"]).value() for i in range(9)} == set(range(1, 10))


def test_added_lanes(host: Host) -> None:
    first = host.spawn(control=True)
    assert call(first, "counts").value() == 1
    lanes = [first.add_lane() for _ in range(5)]
    assert sorted(lane.call(INDEX["counts"]).value() for lane in lanes) == [2, 3, 4, 5, 6]
    first.lanes[0].close()
    assert lanes[0].call(INDEX["counts"]).value() == 7  # its main thread's lane has ended
    first.close()
    assert host.exited(first).status == 0


def test_the_last_lane_ends_the_worker(host: Host) -> None:
    two = host.spawn(lanes=2)
    call(two, "leaks", "thread")
    two.lanes[0].close()
    assert two.lanes[1].call(INDEX["echo"], b"still").body == b"still"
    two.lanes[1].close()
    assert host.exited(two) == (two.number, two.pid, 0)


@pytest.mark.parametrize(
    ("how", "status"), [("exit", 5 << 8), ("kill", signal.SIGKILL), ("segfault", signal.SIGSEGV)]
)
def test_deaths(host: Host, how: str, status: int) -> None:
    two = host.spawn(lanes=2)
    two.lanes[1].sock.sendall(call_frame(INDEX["sleeps"], b"60"))
    two.lanes[0].sock.sendall(call_frame(INDEX["dies"], how.encode()))
    assert two.lanes[0].is_closed()
    assert two.lanes[1].is_closed()
    got = host.exited(two)
    assert got[:2] == (two.number, two.pid)
    assert got.status & ~0x80 == status  # less the core dump's flag
    assert call(host.spawn(), "echo", "next").body == b"next"


def test_forks(one: Worker) -> None:
    """A process that a handler forks does not speak on its parent's lane."""
    for how, status in (("exits", 0), ("returns", 0), ("raises", 1 << 8), ("leaves", 7 << 8)):
        assert call(one, "forks", how).value() == status
    assert call(one, "echo", "once").body == b"once"


def test_leaks(host: Host, one: Worker) -> None:
    for _ in range(20):
        call(one, "leaks", "thread")
        call(one, "leaks", "descriptor")
    pids = [call(one, "leaks", "process").value() for _ in range(2)]
    assert all(is_alive(pid) for pid in pids)
    one.close()
    assert host.exited(one).status == 0
    assert all(ends(pid) for pid in pids)


def test_a_lane_that_closes_in_the_middle(host: Host) -> None:
    for cut in (1, 20, 26, 40):
        one = host.spawn()
        one.lanes[0].sock.sendall(call_frame(INDEX["echo"], b"x" * 40)[:cut])
        one.close()
        assert host.exited(one).status == 0
    one = host.spawn()
    one.lanes[0].sock.sendall(call_frame(INDEX["returns"], b"most"))
    one.close()  # nobody waits for the reply
    assert host.exited(one).status == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 24,
        bytes(24),
        call_frame(0, b"x").replace(b"\x01", b"\x07", 1),
        call_frame(len(SOURCES) + 1, b"x"),
        call_frame(0, b"x" * (MAX_BODY + 1)),
        call_frame(0, b"x", "i" * 1025),
        call_frame(0, b"first") + call_frame(0, b"second"),
    ],
    ids=["ones", "zeros", "kind", "function", "body", "id", "two"],
)
def test_a_broken_frame_ends_the_worker(host: Host, data: bytes) -> None:
    one = host.spawn()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        one.lanes[0].sock.sendall(data)  # it may end before it has all
    assert one.lanes[0].is_closed()
    assert host.exited(one).status == worker.EXIT_PROTOCOL << 8


def test_garbage_never_hangs_a_worker(host: Host) -> None:
    """Whatever comes, the worker ends when its lane does: with the protocol's status or with 0."""
    import random

    numbers = random.Random(6)
    for _ in range(30):
        one = host.spawn()
        data = bytearray(call_frame(INDEX["echo"], b"x" * numbers.randrange(60), "id"))
        for _ in range(numbers.randrange(1, 5)):
            data[numbers.randrange(len(data))] = numbers.getrandbits(8)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            one.lanes[0].sock.sendall(data)  # it may end before it has all
        one.close()
        assert host.exited(one).status in (0, worker.EXIT_PROTOCOL << 8)


def test_options(host: Host) -> None:
    cpu = sorted(os.sched_getaffinity(0))[-1]
    pinned = host.spawn(cpu=cpu)
    call(pinned, "echo")
    assert os.sched_getaffinity(pinned.pid) == {cpu}
    limited = host.spawn(data_limit=1 << 30)
    call(limited, "echo")
    limits = Path(f"/proc/{limited.pid}/limits").read_text()
    (line,) = [x for x in limits.splitlines() if x.startswith("Max data size")]
    assert line.split()[3:5] == ["1073741824", "1073741824"]


def test_descriptors() -> None:
    import socket

    data = b"\x05\x00\x00\x00\x06\x00\x00\x00\x07"  # a cut one at the end
    got = worker.descriptors([(socket.SOL_SOCKET, socket.SCM_RIGHTS, data), (socket.SOL_SOCKET, 99, data)])
    assert got == [5, 6]


def test_explain_never_fails() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise MemoryError

        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]
            raise MemoryError

    value = json.loads(worker.explain(Broken()))
    assert value["type"] == "Broken"
