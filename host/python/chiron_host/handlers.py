"""The kinds of handler: what each takes, what each may return.

========  =================================  ==========================================
kind      called as                          takes and returns
========  =================================  ==========================================
text      ``handle(req)``                    OpenFaaS: the body as str; str, bytes or None
event     ``handle(event, context)``         OpenFaaS python3-http: event.body is bytes;
                                             a dict with statusCode, body, headers, or a value
lambda    ``handler(event, context)``        AWS Lambda: a JSON value in, a JSON value out
lambda1   ``handler(event)``                 the same without a context
========  =================================  ==========================================

Anything else that a ``text`` or ``event`` handler returns is sent as JSON.

A handler's module may define ``warmup()``, without arguments: it is called once
in each pool and standby process, before the first call there, to do what would
make that slow (imports, connections, caches). What it raises is a line in the
log and no failure: the handler has to do without. Forked processes and whoever
calls no ``warmup`` serve the same handler, so it may only make calls faster.
"""

import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from chiron_host import frames

TEXT = "text"
EVENT = "event"
LAMBDA = "lambda"
LAMBDA1 = "lambda1"
KINDS = (TEXT, EVENT, LAMBDA, LAMBDA1)


class BadInput(Exception):
    """The call's body is not what this kind of handler takes."""


class BadResult(Exception):
    """The handler returned what cannot be sent."""


class Result(NamedTuple):
    """What a handler returned, as bytes."""

    content: int
    body: bytes
    status: int = 0
    # JSON list of [name, value] pairs; empty: none.
    headers: bytes = b""


Handler = Callable[..., Any]


class Parts(NamedTuple):
    """One call of a handler in its parts, for calls in a row (row.py)."""

    # The body as the handler's argument.
    take: Callable[[memoryview], Any]
    # The handler, given that, the request id and the deadline.
    call: Callable[[Any, memoryview, int], Any]
    # What it returned as bytes.
    give: Callable[[Any], Result]


# Runs one call: decodes (body, meta, request id, deadline as CLOCK_MONOTONIC
# ns), calls the handler, encodes.
Invoke = Callable[[memoryview, memoryview, memoryview, int], Result]

_EMPTY = Result(frames.NONE, b"")

_decode_any = json.JSONDecoder().decode
_scan: Callable[[str, int], Tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def from_json(text: str) -> Any:
    """Decode JSON, without the search for white space around it where there is none."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decode_any(text)
    return value if end == len(text) else _decode_any(text)


def _not_json(value: Any) -> Any:
    raise TypeError(f"object of type {type(value).__name__} is not JSON serializable")


def _encoder(escape: str) -> Callable[[Any], str]:
    """Return a JSON encoder: compact, without NaN and Infinity, which no other program could read.

    json.JSONEncoder builds its C encoder anew for every value, which costs
    more than encoding a small one. A circular value ends in RecursionError.
    """
    encoder: Any = json.encoder
    try:
        encode = encoder.c_make_encoder(
            None, _not_json, getattr(encoder, escape), None, ":", ",", False, False, False
        )
        if "".join(encode({"k": ["\u00e9", 1.5, None]}, 0)).count("1.5") != 1:
            raise TypeError
    except (AttributeError, TypeError):  # an interpreter that does it otherwise
        ascii_only = escape == "encode_basestring_ascii"
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=False).encode
    return lambda value: "".join(encode(value, 0))


_encode_json = _encoder("encode_basestring")
_encode_ascii = _encoder("encode_basestring_ascii")


def to_json(value: Any) -> bytes:
    """Encode a handler's value; raise BadResult where it is not JSON."""
    try:
        text = _encode_json(value)
    except RecursionError:
        raise BadResult(
            "the handler returned what is not JSON: it is nested too deep, or holds itself"
        ) from None
    except (TypeError, ValueError) as err:
        raise BadResult(f"the handler returned what is not JSON: {err}") from None
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return _encode_ascii(value).encode()


def _text(body: memoryview) -> str:
    try:
        return str(body, "utf-8")
    except UnicodeDecodeError as err:
        raise BadInput(f"the body is not UTF-8: {err}") from None


def _value(result: Any) -> Result:
    if isinstance(result, str):
        return Result(frames.TEXT, result.encode("utf-8", "backslashreplace"))
    if result is None:
        return _EMPTY
    if isinstance(result, (bytes, bytearray, memoryview)):
        return Result(frames.BINARY, bytes(result))
    return Result(frames.JSON, to_json(result))


class Headers(Mapping[str, str]):
    """Request headers; names compare without case, as in HTTP."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = dict(pairs)
        self._lower = {name.lower(): value for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        return self._lower[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lower

    def __repr__(self) -> str:
        return repr(self._pairs)


class Query(Dict[str, str]):
    """The query's parameters: the first value by name, all of them by getlist."""

    def __init__(self, values: Mapping[str, List[str]]) -> None:
        super().__init__({name: vs[0] for name, vs in values.items() if vs})
        self._all = values

    def getlist(self, name: str) -> List[str]:
        return list(self._all.get(name, ()))


class Event:
    """The request, as OpenFaaS' python3-http template gives it."""

    __slots__ = ("body", "headers", "method", "path", "query")

    def __init__(self, body: memoryview, meta_json: memoryview) -> None:
        meta: Dict[str, Any] = from_json(str(meta_json, "utf-8")) if meta_json else {}
        self.body = bytes(body)
        self.headers = Headers(meta.get("headers") or {})
        self.method: str = meta.get("method") or "POST"
        self.query = Query(meta.get("query") or {})
        self.path: str = meta.get("path") or "/"


class EventContext:
    """The second argument of an OpenFaaS handler."""

    __slots__ = ("hostname",)

    def __init__(self) -> None:
        self.hostname = os.getenv("HOSTNAME", "localhost")


class LambdaContext:
    """The second argument of an AWS Lambda handler, as far as it means anything here."""

    __slots__ = ("_deadline", "aws_request_id", "function_name", "memory_limit_in_mb")

    function_version = "$LATEST"
    # Callers outside AWS have neither.
    identity = None
    client_context = None

    def __init__(self, function: str, memory: int, request_id: str, deadline: int) -> None:
        self.function_name = function
        self.memory_limit_in_mb = memory
        self.aws_request_id = request_id
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the call's deadline; a day where it has none."""
        if not self._deadline:
            return 24 * 3600 * 1000
        return max(0, (self._deadline - time.monotonic_ns()) // 1_000_000)

    @property
    def invoked_function_arn(self) -> str:
        """A name in ARN's form, for handlers that log it or take its last part."""
        return f"arn:aws:lambda:local:000000000000:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """The function: log lines carry it."""
        return self.function_name

    @property
    def log_stream_name(self) -> str:
        """The request: log lines carry it."""
        return self.aws_request_id

    def log(self, text: object) -> None:
        """Print ``text``, as Lambda's context does."""
        print(text)


def _invoke_text(handler: Handler) -> Invoke:
    def invoke(body: memoryview, meta: memoryview, request_id: memoryview, deadline: int) -> Result:
        return _value(handler(_text(body)))

    return invoke


def _invoke_event(handler: Handler) -> Invoke:
    context = EventContext()

    def invoke(body: memoryview, meta: memoryview, request_id: memoryview, deadline: int) -> Result:
        return _event_result(handler(Event(body, meta), context))

    return invoke


def _event_result(result: Any) -> Result:
    if isinstance(result, dict) and ("statusCode" in result or "body" in result or "headers" in result):
        return _response(result)
    return _value(result)


def _response(result: Dict[str, Any]) -> Result:
    status = result.get("statusCode", 200)
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise BadResult(f"the handler returned statusCode {status!r}: it must be a number from 100 to 599")
    headers = result.get("headers") or {}
    pairs: List[Tuple[str, str]] = []
    try:
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            pairs.append((str(name), str(value)))
    except (TypeError, ValueError):
        raise BadResult("the handler returned headers that are not names with values") from None
    value = _value(result.get("body"))
    return Result(value.content, value.body, status, to_json(pairs) if pairs else b"")


def _event_json(body: memoryview) -> Any:
    if not body:
        return None
    try:
        return from_json(str(body, "utf-8"))
    except UnicodeDecodeError as err:
        raise BadInput(f"the body is not UTF-8: {err}") from None
    except (ValueError, RecursionError) as err:
        raise BadInput(f"the body is not JSON: {err}") from None


def _invoke_lambda(handler: Handler, name: str, memory: int) -> Invoke:
    def invoke(body: memoryview, meta: memoryview, request_id: memoryview, deadline: int) -> Result:
        context = LambdaContext(name, memory, str(request_id, "utf-8", "replace"), deadline)
        return _json(handler(_event_json(body), context))

    return invoke


def _json(value: Any) -> Result:
    return Result(frames.JSON, to_json(value))


def _invoke_lambda1(handler: Handler) -> Invoke:
    def invoke(body: memoryview, meta: memoryview, request_id: memoryview, deadline: int) -> Result:
        return _json(handler(_event_json(body)))

    return invoke


def parts(kind: str, handler: Handler, name: str, memory: int) -> Parts:
    """Return what ``invoker`` puts together."""

    def alone(value: Any, request_id: memoryview, deadline: int) -> Any:
        return handler(value)

    def in_lambda(value: Any, request_id: memoryview, deadline: int) -> Any:
        return handler(value, LambdaContext(name, memory, str(request_id, "utf-8", "replace"), deadline))

    def in_event(value: Any, request_id: memoryview, deadline: int) -> Any:
        return handler(value, context)

    if kind == TEXT:
        return Parts(_text, alone, _value)
    if kind == EVENT:
        context = EventContext()
        return Parts(lambda body: Event(body, memoryview(b"")), in_event, _event_result)
    return Parts(_event_json, in_lambda if kind == LAMBDA else alone, _json)


def _takes(handler: Handler) -> Tuple[int, Optional[int]]:
    """Return how many positional arguments a call must and may give (None: any number)."""
    # Imported only here: most handlers are told by their code object alone.
    from inspect import Parameter, signature

    least, most = 0, 0
    for parameter in signature(handler).parameters.values():
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return least, None
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            if parameter.default is Parameter.empty:
                least += 1
    return least, most


def _arity(handler: Handler) -> Tuple[int, Optional[int]]:
    code = getattr(handler, "__code__", None)
    if code is not None and not hasattr(handler, "__wrapped__") and not hasattr(handler, "__self__"):
        if code.co_flags & 0x04:  # *args
            return code.co_argcount - len(handler.__defaults__ or ()), None
        return code.co_argcount - len(handler.__defaults__ or ()), code.co_argcount
    try:
        return _takes(handler)
    except (TypeError, ValueError):  # a builtin without a signature
        return 0, None


def kind_of(symbol: str, handler: Handler) -> str:
    """Tell a handler's kind by its name and by what it takes; raise TypeError where it fits none."""
    if not callable(handler):
        raise TypeError(f"{symbol} is not a function")
    least, most = _arity(handler)
    fits = [n for n in (1, 2) if least <= n and (most is None or n <= most)]
    if not fits:
        raise TypeError(
            f"{symbol} takes {least if least > 2 else most} arguments: a handler takes one or two"
        )
    if symbol == "handle":
        # handle(req, extra=None) is a text handler; handle(*args) gets the pair.
        return TEXT if fits[0] == 1 and most is not None else EVENT
    return LAMBDA if 2 in fits else LAMBDA1


def warm_up_of(module: Any) -> Optional[Callable[[], Any]]:
    """Return the module's ``warmup``, where it has one that can be called without arguments."""
    warm_up = getattr(module, "warmup", None)
    if not callable(warm_up) or _arity(warm_up)[0] > 0:
        return None  # something else of that name
    return warm_up  # type: ignore[no-any-return]


def invoker(kind: str, handler: Handler, name: str, memory: int) -> Invoke:
    """Return what runs one call of ``handler``; memory in MiB, for Lambda's context."""
    if kind == TEXT:
        return _invoke_text(handler)
    if kind == EVENT:
        return _invoke_event(handler)
    if kind == LAMBDA:
        return _invoke_lambda(handler, name, memory)
    if kind == LAMBDA1:
        return _invoke_lambda1(handler)
    raise ValueError("unknown kind of handler {!r}: one of {}".format(kind, ", ".join(KINDS)))
