"""Warms a process before its first call: the host's own path, and no handler.

What a new process runs for the first time it pays for page by page: a page that
it writes (reference counts, the allocator's free lists) is copied then, and the
interpreter's code is mapped then, for a fork leaves files' pages out. So a
process that is forked ahead is called once before it waits. The call passes its
lane, its thread and the codecs as a real one does, and ends here.
"""

import json
import sys
import types
from typing import Any, List, Sequence

from chiron_host import failures, frames, handlers
from chiron_host.functions import Function

# The body has what takes each of the scanner's and the encoder's ways.
BODY = '{"list":[1,-2.5e3,true,null],"text":"a \\u00e9 \u00e9","inner":{"k":"v"}}'.encode()
META = b'{"method":"POST","path":"/","headers":{"Content-Type":"application/json"}}'
REQUEST_ID = b"chiron.warm"

_DONE = handlers.Result(frames.NONE, b"")


def same(request: Any, *_: Any) -> Any:
    """Stand in for a handler."""
    return request


def same_body(event: Any, *_: Any) -> Any:
    """Stand in for an event handler."""
    return {"statusCode": 200, "body": event.body, "headers": {"Content-Type": event.headers["content-type"]}}


def stand_in(kind: str) -> handlers.Handler:
    """Return what is called instead of a handler of this kind."""
    return same_body if kind == handlers.EVENT else same


def touch(handler: handlers.Handler) -> None:
    """Write the pages of what a handler's module names, and of its functions' code.

    A reference that is taken is a write. What the module's containers hold is
    left alone: a large table is not copied into every process that waits only
    because a handler may look into it.
    """
    if type(handler) is not types.FunctionType:
        return
    for value in list(handler.__globals__.values()):
        if type(value) is types.FunctionType:  # isinstance would ask the value itself
            code = value.__code__
            _ = [code, *code.co_consts, *code.co_names, *code.co_varnames]


class WarmUp:
    """Serves the calls that warm a worker: of the function after its last (host/doc.go)."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self._functions = functions
        self._invokes: List[handlers.Invoke] = [
            handlers.invoker(kind, stand_in(kind), "chiron.warm", 0) for kind in handlers.KINDS
        ]

    def invoke(
        self, body: memoryview, meta: memoryview, request_id: memoryview, deadline: int
    ) -> handlers.Result:
        """Take the codecs' ways; where the body is a function's number, call its ``warmup``."""
        if body:
            self._warm_up(self._functions[int(bytes(body))])
            return _DONE
        practice, about, number = memoryview(BODY), memoryview(META), memoryview(REQUEST_ID)
        for invoke in self._invokes:
            invoke(practice, about, number, deadline)
        json.dumps(json.loads(BODY))  # what many handlers do first
        for function in self._functions:
            touch(function.handler)
        return _DONE

    def _warm_up(self, function: Function) -> None:
        if function.warm_up is None:
            return
        try:
            function.warm_up()
        except BaseException as err:  # sys.exit included: no failure, see handlers.py
            print(f"warmup failed: {failures.trace(err)}", end="", file=sys.stderr)
