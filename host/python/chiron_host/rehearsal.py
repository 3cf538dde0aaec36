"""What the zygote does before it freezes its heap: serve a few calls of no handler.

From CPython 3.11 on bytecode is specialised as it runs, in place, and every
version fills caches and free lists: a forked process would copy these pages,
and run slower until it has. What is done in the zygote, every process that it
forks has.
"""

import _socket

from chiron_host import frames, functions, handlers, shared, streams, warm
from chiron_host.worker import Worker

# An instruction is specialised after some 8 runs (CPython 3.11 to 3.13).
ROUNDS = 16


def rehearse() -> None:
    """Serve calls in this thread, as a worker serves a lane.

    The socket keeps messages apart, and the calls and the end lie in it before
    the first is read.
    """
    practice = []
    for kind in handlers.KINDS:
        spec = functions.Spec({"name": "chiron.warm", "file": __file__, "kind": kind})
        practice.append(functions.Function(spec, "", kind, warm.stand_in(kind)))
    largest = len(warm.BODY)
    worker, outputs = Worker(practice, largest, share_over=largest), shared.Outputs()
    try:
        for _ in range(ROUNDS):
            ours, theirs = (
                _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fileno=one.detach())
                for one in _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
            )
            for index in range(len(practice)):
                ours.sendall(_call(index, warm.BODY))
            ours.sendall(_call(len(practice), b""))
            ours.shutdown(_socket.SHUT_WR)
            worker.loop(theirs, outputs)
            ours.close()
            theirs.close()
    finally:
        streams.attach(None)
        outputs.close()


def _call(index: int, body: bytes) -> bytes:
    meta, request_id = warm.META, warm.REQUEST_ID
    size = frames.CALL_HEADER.size + len(request_id) + len(meta) + len(body)
    head = frames.CALL_HEADER.pack(
        size - frames.LENGTH_SIZE, frames.CALL, 0, index, len(request_id), 0, len(meta), 0
    )
    return head + request_id + meta + body
