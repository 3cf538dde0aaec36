"""What warms a process: calls of no handler, in the zygote and in waiting workers."""

import sys
from pathlib import Path
from typing import Any, List

import pytest
from conftest import Start
from driver import call_frame

from chiron_host import frames, functions, handlers, rehearsal, streams, warm

SOURCE = """
    RAN = []
    def warmup():
        RAN.append("warmup")
    def handle(req):
        RAN.append("handle")
        return RAN
    """


def function(handler: Any, warm_up: Any = None) -> functions.Function:
    spec = functions.Spec({"name": "f", "file": "f.py"})
    return functions.Function(spec, "handle", handlers.TEXT, handler, warm_up)


def invoke(one: warm.WarmUp, body: bytes = b"") -> handlers.Result:
    return one.invoke(memoryview(body), memoryview(b""), memoryview(b""), 0)


def test_no_handler_runs() -> None:
    ran: List[str] = []
    one = warm.WarmUp([function(ran.append, lambda: ran.append("warmup"))])
    assert invoke(one) == (frames.NONE, b"", 0, b"")
    assert ran == []
    assert invoke(one, b"0") == (frames.NONE, b"", 0, b"")
    assert ran == ["warmup"]


def test_without_an_entry() -> None:
    assert invoke(warm.WarmUp([function(print)]), b"0").body == b""


@pytest.mark.parametrize("kind", handlers.KINDS)
def test_stand_ins(kind: str) -> None:
    """The stand-ins take the whole way of each kind: they fail where a real call would."""
    call = handlers.invoker(kind, warm.stand_in(kind), "f", 0)
    body = call(memoryview(warm.BODY), memoryview(warm.META), memoryview(b"id"), 0).body
    assert handlers.from_json(body.decode()) == handlers.from_json(warm.BODY.decode())


def test_rehearsal_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    before = len(os.listdir("/proc/self/fd"))
    rehearsal.rehearse()
    assert len(os.listdir("/proc/self/fd")) == before
    assert streams._current.log is None
    assert capfd.readouterr() == ("", "")


def test_touch_reads_no_attributes() -> None:
    """What a module names may be anything: its code is not run."""

    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    space = {"hostile": Hostile(), "__builtins__": {}}
    exec("def handle(req): return req", space)
    handler: Any = space["handle"]
    warm.touch(handler)
    warm.touch(Hostile())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "has"),
    [
        ("def warmup(): pass", True),
        ("def warmup(model=None): pass", True),
        ("class warmup: pass", True),
        ("def warmup(model): pass", False),
        ("warmup = 7", False),
        ("", False),
    ],
)
def test_entries(tmp_path: Path, source: str, has: bool) -> None:
    (tmp_path / "handler.py").write_text(source + "\ndef handle(req):\n    return req\n")
    spec = functions.Spec({"name": tmp_path.name, "file": str(tmp_path / "handler.py")})
    meta = list(sys.meta_path)
    try:
        loaded = functions.Loader().load(spec)
    finally:
        sys.meta_path[:] = meta
    assert (loaded.warm_up is not None) == has


def test_environment(start: Start) -> None:
    """A warmup entry sees its function's own environment."""
    source = """
        import os
        SEEN = []
        def warmup():
            SEEN.append(os.environ["REGION"])
        def handle(req):
            return SEEN
        """
    host = start({"a": source, "b": source}, env={"a": {"REGION": "north"}, "b": {"REGION": "south"}})
    one = host.spawn()
    for number in (b"0", b"1"):
        assert one.call(2, number).outcome == frames.OK
    assert one.call(0).value() == ["north"]
    assert one.call(1).value() == ["south"]


def test_in_a_worker(start: Start) -> None:
    host = start({"f": SOURCE})
    assert host.ready["functions"][0]["warmup"] is True
    one = host.spawn(lanes=2)
    assert one.call(1).outcome == frames.OK
    assert one.lanes[1].call(1).outcome == frames.OK
    assert one.call(1, b"0").outcome == frames.OK
    assert one.call(0).value() == ["warmup", "handle"]
    assert host.spawn().call(0).value() == ["handle"]


def test_a_function_that_is_not_there(start: Start) -> None:
    host = start({"f": SOURCE})
    one = host.spawn()
    reply = one.call(1, b"5")
    assert reply.outcome == frames.RAISED
    one.lanes[0].sock.sendall(call_frame(2))
    assert one.lanes[0].is_closed()
    assert host.exited(one).status != 0
