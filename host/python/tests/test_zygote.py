"""The zygote: what it imports, forks, reports and leaves behind."""

import errno
import os
import signal
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from conftest import Start, write
from driver import Host, call_frame, ends, is_alive

from chiron_host import frames
from chiron_host.worker import EXIT_PROTOCOL


@pytest.fixture
def bare() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def spec(folder: Path, name: str, source: str, **rest: Any) -> Dict[str, Any]:
    write(folder / name, {"handler.py": source})
    return {"name": name, "file": str(folder / name / "handler.py"), **rest}


def test_report(bare: Host, tmp_path: Path) -> None:
    report = bare.configure(
        [
            spec(tmp_path, "a", "def handle(req): pass"),
            spec(tmp_path, "bad", "1 / 0"),
            spec(tmp_path, "b", "def f(event): pass", symbol="f"),
            spec(tmp_path, "gone", ""),
        ]
    )
    assert report["pid"] == bare.pid
    assert report["functions"] == [
        {"function": "a", "symbol": "handle", "kind": "text", "warmup": False},
        {"function": "b", "symbol": "f", "kind": "lambda1", "warmup": False},
    ]
    assert [f["function"] for f in report["failed"]] == ["bad", "gone"]
    assert report["failed"][0]["message"].startswith("ZeroDivisionError: division by zero (")
    assert "line 1" in report["failed"][0]["traceback"]
    assert report["threads"] == 0


def test_prints_and_threads_at_import(bare: Host, tmp_path: Path) -> None:
    source = """
        import sys, threading, time
        threading.Thread(target=time.sleep, args=(0.2,), daemon=True).start()
        print("at import")
        print("error", file=sys.stderr)
        def handle(req):
            return threading.active_count()
        """
    assert bare.configure([spec(tmp_path, "f", source)])["threads"] == 1
    assert bare.spawn().call(0).value() == 1
    bare.sock.close()
    bare.wait()
    assert bare.printed() == "at import\nerror\n"


def test_site_path(bare: Host, tmp_path: Path) -> None:
    write(tmp_path / "site", {"requirement.py": "V = 7", "wave.py": "V = 8", "more.pth": "../more\n"})
    write(tmp_path / "more", {"further.py": "V = 9"})
    source = """
        import requirement, wave, further
        def handle(req):
            return [requirement.V, wave.V, further.V]
        """
    report = bare.configure([spec(tmp_path, "f", source)], site_path=[str(tmp_path / "site")])
    assert report["failed"] == []
    assert bare.spawn().call(0).value() == [7, 8, 9]


def test_environment(start: Start) -> None:
    source = """
        import os
        AT_IMPORT = os.getenv("REGION")
        def handle(req):
            if req:
                os.environ["REGION"] = req
            return [AT_IMPORT, os.environ.get("REGION"), "SECRET" in os.environ]
        """
    host = start(
        {"a": source, "b": source, "c": source},
        env={"a": {"REGION": "north", "SECRET": "s"}, "b": {"REGION": "south"}},
    )
    one = host.spawn(lanes=2)
    assert one.call(0).value() == ["north", "north", True]
    assert one.call(1).value() == ["south", "south", False]
    assert one.call(2).value() == [None, None, False]
    assert one.call(0, b"east").value() == ["north", "east", True]
    assert one.lanes[1].call(1).value() == ["south", "south", False]
    assert one.call(0).value()[1] == "east"


def test_workers_start_clean(start: Start) -> None:
    host = start({"f": "N = [0]\ndef handle(req):\n    N[0] += 1\n    return N[0]\n"})
    for _ in range(3):
        one = host.spawn()
        assert [one.call(0).value() for _ in range(2)] == [1, 2]


def test_descriptors_of_a_worker(start: Start) -> None:
    """A worker holds one socket, its lane's: not the zygote's nor another worker's; nor the wake-up pipe."""
    source = """
        import os
        def handle(req):
            with os.scandir("/proc/self/fd") as entries:
                links = [os.readlink(e.path) for e in entries]
            parents = os.listdir("/proc/%d/fd" % os.getppid())
            return [sum(x.startswith("socket") for x in links), len(links) - len(parents)]
        """
    host = start({"f": source})
    workers = [host.spawn() for _ in range(5)]
    for one in workers:
        # The zygote has a socket and a pipe's two ends instead of a lane and this open folder.
        assert one.call(0).value() == [1, -1]
    before = len(os.listdir(f"/proc/{host.pid}/fd"))
    for _ in range(10):
        one = host.spawn()
        one.close()
        assert host.exited(one).status == 0
    assert len(os.listdir(f"/proc/{host.pid}/fd")) == before


def test_exited(start: Start) -> None:
    host = start({"f": "import os\ndef handle(req):\n    os._exit(int(req))\n"})
    workers = [host.spawn() for _ in range(4)]
    for code, one in enumerate(workers):
        one.lanes[0].sock.sendall(b"")
        with pytest.raises(EOFError):
            one.call(0, str(code).encode())
        assert host.exited(one) == (one.number, one.pid, code << 8)
    one = host.spawn()
    os.kill(one.pid, signal.SIGTERM)
    assert host.exited(one) == (one.number, one.pid, signal.SIGTERM)


def test_many_end_at_once(start: Start) -> None:
    """One signal may stand for several ends."""
    host = start({"f": "def handle(req): return req"})
    workers = [host.spawn() for _ in range(20)]
    for one in workers:
        os.kill(one.pid, signal.SIGKILL)
    for one in workers:
        assert host.exited(one) == (one.number, one.pid, signal.SIGKILL)


def test_a_cpu_that_is_not_ours(start: Start) -> None:
    host = start({"f": "def handle(req): return req"})
    with pytest.raises(OSError) as err:
        host.spawn(cpu=4095)
    assert err.value.errno == errno.EINVAL
    assert host.spawn().call(0, b"x").body == b"x"


def test_cpus(bare: Host, tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    source = "import os\ndef handle(req):\n    return sorted(os.sched_getaffinity(0))\n"
    bare.configure([spec(tmp_path, "f", source)], cpus=[cpu])
    assert bare.spawn().call(0).value() == [cpu]


def test_switch_interval(start: Start) -> None:
    host = start({"f": "import sys\ndef handle(req):\n    return sys.getswitchinterval()\n"})
    assert host.spawn().call(0).value() == pytest.approx(0.005)
    assert host.spawn(interval=500).call(0).value() == pytest.approx(0.0005)


def test_data_limit(start: Start) -> None:
    host = start({"f": "def handle(req):\n    return len(bytes(int(req)))\n"})
    one = host.spawn(data_limit=256 << 20)
    reply = one.call(0, str(1 << 30).encode())
    assert (reply.outcome, reply.value()["type"]) == (frames.RAISED, "MemoryError")
    assert one.call(0, b"1000").value() == 1000


SLEEPS = """
    import os, subprocess, time
    def handle(req):
        if req:
            return subprocess.Popen(["sleep", "600"], start_new_session=req == "detach").pid
        time.sleep(600)
    """


def busy(host: Host) -> List[int]:
    """Have a worker hang and another leave two processes; return their pids."""
    hangs, leaves = host.spawn(), host.spawn()
    left = leaves.call(0, b"start").value()
    detached = leaves.call(0, b"detach").value() if host.ready["tied"] else left
    hangs.lanes[0].sock.sendall(call_frame(0))
    return [hangs.pid, leaves.pid, left, detached]


def test_what_left_its_group_ends_with_its_worker(start: Start) -> None:
    host = start({"f": SLEEPS})
    if not host.ready["tied"]:
        pytest.skip("this interpreter has no ctypes")
    one, other = host.spawn(), host.spawn()
    pids = [one.call(0, b"detach").value() for _ in range(3)]
    kept = other.call(0, b"detach").value()
    one.close()
    assert host.exited(one).status == 0
    assert all(ends(pid) for pid in pids)
    assert is_alive(kept)


def test_the_end_of_the_control_socket_ends_all(bare: Host, tmp_path: Path) -> None:
    bare.configure([spec(tmp_path, "f", SLEEPS)])
    pids = busy(bare)
    bare.sock.close()
    assert bare.wait() == 0
    assert all(ends(pid) for pid in pids)


def test_term_ends_all(bare: Host, tmp_path: Path) -> None:
    bare.configure([spec(tmp_path, "f", SLEEPS)])
    pids = busy(bare)
    os.kill(bare.pid, signal.SIGINT)  # is for the agent
    os.kill(bare.pid, signal.SIGTERM)
    assert bare.wait() == 0
    assert all(ends(pid) for pid in pids)


def test_killed_zygote_takes_its_workers_along(bare: Host, tmp_path: Path) -> None:
    report = bare.configure([spec(tmp_path, "f", SLEEPS)])
    if not report["tied"]:
        pytest.skip("this interpreter has no ctypes")
    hangs, leaves, *left = busy(bare)
    os.kill(bare.pid, signal.SIGKILL)
    bare.wait()
    assert ends(hangs)
    assert ends(leaves)
    for pid in left:  # which the agent ends then
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "data",
    [
        frames.control(frames.SPAWN, b""),
        frames.control(frames.CONFIG, b"{"),
        frames.control(frames.CONFIG, b"{}"),
        bytes(8),
        b"",
    ],
    ids=["spawn first", "not JSON", "no functions", "length", "end"],
)
def test_a_broken_beginning_ends_it(bare: Host, data: bytes) -> None:
    bare.sock.sendall(data)
    bare.sock.close()
    bare.wait()


def test_a_broken_frame_ends_it(bare: Host, tmp_path: Path) -> None:
    bare.configure([spec(tmp_path, "f", SLEEPS)])
    pids = busy(bare)
    payload = frames.SPAWN_PAYLOAD.pack(9, 3, 0, -1, 0, 0)  # three lanes, no descriptor
    bare.sock.sendall(frames.control(frames.SPAWN, payload))
    assert bare.wait() == EXIT_PROTOCOL << 8
    assert all(ends(pid) for pid in pids)
    assert "FrameError: spawn of 3 lanes came with 0 descriptors" in bare.printed()
