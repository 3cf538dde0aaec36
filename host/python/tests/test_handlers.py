"""Every kind of handler: how it is told, what it gets, what it may return."""

import functools
import json
import time
from typing import Any, Callable, Dict, Optional

import pytest

from chiron_host import frames, handlers


def run(
    kind: str,
    handler: Callable[..., Any],
    body: bytes = b"",
    meta: Optional[Dict[str, Any]] = None,
    request_id: str = "",
    deadline: int = 0,
) -> handlers.Result:
    about = b"" if meta is None else json.dumps(meta).encode()
    invoke = handlers.invoker(kind, handler, "f", 128)
    return invoke(memoryview(body), memoryview(about), memoryview(request_id.encode()), deadline)


class Callable2:
    def __call__(self, event: Any, context: Any) -> Any:
        return event

    def method(self, req: str) -> str:
        return req


def one(req: Any) -> Any:
    return req


def two(event: Any, context: Any) -> Any:
    return event


def optional(req: Any, extra: Any = None) -> Any:
    return req


def defaults(req: Any = None) -> Any:
    return req


def keyword(event: Any, context: Any, *, limit: int = 3) -> Any:
    return event


def anything(*args: Any) -> Any:
    return args


def anything_named(*args: Any, **named: Any) -> Any:
    return args


def wrapper(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def wrapped(*args: Any) -> Any:
        return handler(*args)

    return wrapped


@pytest.mark.parametrize(
    ("symbol", "handler", "kind"),
    [
        ("handle", one, handlers.TEXT),
        ("handle", optional, handlers.TEXT),
        ("handle", defaults, handlers.TEXT),
        ("handle", two, handlers.EVENT),
        ("handle", anything, handlers.EVENT),
        ("handle", anything_named, handlers.EVENT),
        ("handle", wrapper(one), handlers.TEXT),
        ("handle", wrapper(two), handlers.EVENT),
        ("handle", Callable2(), handlers.EVENT),
        ("handle", Callable2().method, handlers.TEXT),
        ("handle", functools.partial(two, {}), handlers.TEXT),
        ("handle", lambda req: req, handlers.TEXT),
        ("handle", json.loads, handlers.TEXT),
        ("handler", two, handlers.LAMBDA),
        ("handler", one, handlers.LAMBDA1),
        ("handler", optional, handlers.LAMBDA),
        ("handler", keyword, handlers.LAMBDA),
        ("lambda_handler", anything, handlers.LAMBDA),
        ("process", two, handlers.LAMBDA),
    ],
)
def test_kind(symbol: str, handler: Callable[..., Any], kind: str) -> None:
    assert handlers.kind_of(symbol, handler) == kind


def none() -> None: ...


def three(a: Any, b: Any, c: Any) -> None: ...


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (none, "takes 0 arguments"),
        (three, "takes 3 arguments"),
        (17, "not a function"),
        ("x", "not a function"),
    ],
)
def test_no_kind(handler: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        handlers.kind_of("handle", handler)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="unknown kind of handler 'other'"):
        handlers.invoker("other", one, "f", 0)


@pytest.mark.parametrize(
    ("returned", "content", "body"),
    [
        ("héllo", frames.TEXT, "héllo".encode()),
        ("", frames.TEXT, b""),
        ("\ud800", frames.TEXT, b"\\ud800"),
        (b"\x00\xff", frames.BINARY, b"\x00\xff"),
        (bytearray(b"ab"), frames.BINARY, b"ab"),
        (memoryview(b"ab"), frames.BINARY, b"ab"),
        (None, frames.NONE, b""),
        ({"a": [1, 2.5, None, True]}, frames.JSON, b'{"a":[1,2.5,null,true]}'),
        ([], frames.JSON, b"[]"),
        ((1, 2), frames.JSON, b"[1,2]"),
        (7, frames.JSON, b"7"),
        (False, frames.JSON, b"false"),
        ({"é": "\ud800"}, frames.JSON, b'{"\\u00e9":"\\ud800"}'),
    ],
)
def test_text_returns(returned: Any, content: int, body: bytes) -> None:
    got = run(handlers.TEXT, lambda req: returned)
    assert (got.content, got.body) == (content, body)
    assert (got.status, got.headers) == (0, b"")


def test_text_gets_str() -> None:
    assert run(handlers.TEXT, lambda req: repr(req), "né".encode()).body == "'né'".encode()
    assert run(handlers.TEXT, lambda req: repr(req)).body == b"''"
    with pytest.raises(handlers.BadInput, match="not UTF-8"):
        run(handlers.TEXT, one, b"\xff\xfe")


circular: Dict[str, Any] = {}
circular["self"] = circular


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1, 2}, "object of type set is not JSON serializable"),
        ({"a": object()}, "object of type object"),
        (float("nan"), "not JSON"),
        ([float("inf")], "not JSON"),
        ({(1, 2): 3}, "not JSON"),
        (circular, "holds itself"),
    ],
)
@pytest.mark.parametrize("kind", [handlers.TEXT, handlers.EVENT, handlers.LAMBDA, handlers.LAMBDA1])
def test_not_json(kind: str, value: Any, says: str) -> None:
    with pytest.raises(handlers.BadResult, match=says):
        run(kind, lambda *args: value, b"1")


def test_deep_json() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(handlers.BadResult, match="nested too deep"):
        handlers.to_json(deep)
    with pytest.raises(handlers.BadInput, match="not JSON"):
        run(handlers.LAMBDA1, one, b"[" * 1_000_000)
    while isinstance(deep, list):  # freed by a loop: old interpreters recurse
        deep = deep.pop()


def test_event_gets_the_request() -> None:
    seen: Dict[str, Any] = {}

    def handle(event: Any, context: Any) -> None:
        seen.update(
            body=event.body,
            method=event.method,
            path=event.path,
            query=dict(event.query),
            all=event.query.getlist("a"),
            no=event.query.getlist("z"),
            accept=event.headers["accept"],
            got=event.headers.get("ACCEPT"),
            missing=event.headers.get("x-none"),
            names=list(event.headers),
            has="aCCept" in event.headers,
            host=context.hostname,
        )

    meta = {
        "method": "PUT",
        "path": "/a/b",
        "query": {"a": ["1", "2"], "b": ["3"], "c": []},
        "headers": {"Accept": "text/html", "X-Two": "2"},
    }
    assert run(handlers.EVENT, handle, b"\x00raw", meta).content == frames.NONE
    host = seen.pop("host")
    assert isinstance(host, str)
    assert host
    assert seen == {
        "body": b"\x00raw",
        "method": "PUT",
        "path": "/a/b",
        "query": {"a": "1", "b": "3"},
        "all": ["1", "2"],
        "no": [],
        "accept": "text/html",
        "got": "text/html",
        "missing": None,
        "names": ["Accept", "X-Two"],
        "has": True,
    }


def test_event_without_meta() -> None:
    def handle(event: Any, context: Any) -> Any:
        return [event.method, event.path, dict(event.query), dict(event.headers)]

    assert run(handlers.EVENT, handle).body == b'["POST","/",{},{}]'


@pytest.mark.parametrize(
    ("returned", "want"),
    [
        ({"statusCode": 201, "body": "x"}, handlers.Result(frames.TEXT, b"x", 201)),
        ({"statusCode": "404", "body": ""}, handlers.Result(frames.TEXT, b"", 404)),
        ({"body": {"a": 1}}, handlers.Result(frames.JSON, b'{"a":1}', 200)),
        ({"statusCode": 204}, handlers.Result(frames.NONE, b"", 204)),
        ({"body": b"\x01"}, handlers.Result(frames.BINARY, b"\x01", 200)),
        ({"body": None, "headers": None}, handlers.Result(frames.NONE, b"", 200)),
        (
            {"body": "x", "headers": {"A": "b", "N": 1}},
            handlers.Result(frames.TEXT, b"x", 200, b'[["A","b"],["N","1"]]'),
        ),
        (
            {"headers": [("Set-Cookie", "a"), ("Set-Cookie", "b")]},
            handlers.Result(frames.NONE, b"", 200, b'[["Set-Cookie","a"],["Set-Cookie","b"]]'),
        ),
        ({"other": 1}, handlers.Result(frames.JSON, b'{"other":1}')),
        ("text", handlers.Result(frames.TEXT, b"text")),
        (None, handlers.Result(frames.NONE, b"")),
    ],
)
def test_event_returns(returned: Any, want: handlers.Result) -> None:
    assert run(handlers.EVENT, lambda event, context: returned) == want


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ({"statusCode": 99}, "statusCode 99"),
        ({"statusCode": 600}, "statusCode 600"),
        ({"statusCode": "ok"}, "statusCode 'ok'"),
        ({"statusCode": None}, "statusCode None"),
        ({"statusCode": 200, "headers": 7}, "headers"),
        ({"statusCode": 200, "headers": ["abc"]}, "headers"),
        ({"statusCode": 200, "body": {1, 2}}, "not JSON"),
    ],
)
def test_event_returns_nonsense(returned: Any, says: str) -> None:
    with pytest.raises(handlers.BadResult, match=says):
        run(handlers.EVENT, lambda event, context: returned)


def test_lambda_gets_value_and_context() -> None:
    seen: Dict[str, Any] = {}

    def handler(event: Any, context: Any) -> Any:
        seen.update(
            event=event,
            name=context.function_name,
            version=context.function_version,
            memory=context.memory_limit_in_mb,
            request=context.aws_request_id,
            left=context.get_remaining_time_in_millis(),
            arn=context.invoked_function_arn,
            group=context.log_group_name,
            stream=context.log_stream_name,
            identity=context.identity,
            client=context.client_context,
        )
        return {"done": event}

    deadline = time.monotonic_ns() + 5_000_000_000
    got = run(handlers.LAMBDA, handler, b' {"a": [1]} ', None, "r-1", deadline)
    assert got == handlers.Result(frames.JSON, b'{"done":{"a":[1]}}')
    assert 4000 < seen.pop("left") <= 5000
    assert seen.pop("arn").endswith(":f")
    assert seen == {
        "event": {"a": [1]},
        "name": "f",
        "version": "$LATEST",
        "memory": 128,
        "request": "r-1",
        "group": "f",
        "stream": "r-1",
        "identity": None,
        "client": None,
    }


@pytest.mark.parametrize(("left", "low", "high"), [(None, 86_400_000, 86_400_000), (-1, 0, 0)])
def test_remaining_time(left: Optional[int], low: int, high: int) -> None:
    deadline = 0 if left is None else time.monotonic_ns() + left
    got = run(handlers.LAMBDA, lambda e, c: c.get_remaining_time_in_millis(), b"1", deadline=deadline)
    assert low <= json.loads(got.body) <= high


@pytest.mark.parametrize("kind", [handlers.LAMBDA, handlers.LAMBDA1])
def test_lambda_bodies(kind: str) -> None:
    def echo(event: Any, context: Any = None) -> Any:
        return event

    for body, want in [(b"", b"null"), (b"null", b"null"), (b'"a"', b'"a"'), (b" 1.50\n", b"1.5")]:
        assert run(kind, echo, body) == handlers.Result(frames.JSON, want)
    for bad, says in [
        (b"{", "not JSON"),
        (b"1 2", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"  ", "not JSON"),
    ]:
        with pytest.raises(handlers.BadInput, match=says):
            run(kind, echo, bad)


def test_json_round_trip() -> None:
    """What is encoded decodes to the same value, whatever the strings hold."""
    import random

    numbers = random.Random(4)

    def text() -> str:
        return "".join(
            chr(numbers.choice([numbers.randrange(0x80), numbers.randrange(0xD800)])) for _ in range(6)
        )

    def value(depth: int) -> Any:
        choice = numbers.randrange(7 if depth else 5)
        if choice == 5:
            return [value(depth - 1) for _ in range(numbers.randrange(4))]
        if choice == 6:
            return {text(): value(depth - 1) for _ in range(numbers.randrange(4))}
        scalars = (None, numbers.random() < 0.5, numbers.getrandbits(70), numbers.uniform(-1e9, 1e9), text())
        return scalars[choice]

    for _ in range(2000):
        v = value(4)
        encoded = handlers.to_json(v)
        assert json.loads(encoded) == v
        assert handlers.from_json(encoded.decode()) == v


def test_the_encoder_that_is_used_where_c_make_encoder_is_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    encode = handlers._encoder("encode_basestring")
    assert encode({"é": [1.5, None]}) == '{"é":[1.5,null]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(float("nan"))
