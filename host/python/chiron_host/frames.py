"""The frames between the agent and the host: layout, bounds, decoding.

Every frame starts with the number of bytes that follow the length field
(little-endian uint32) and one byte for its kind. The Go side is host/frame.go;
both are checked against the same hand-written bytes in their tests.
"""

import struct
from typing import List, Tuple, Union

Buffer = Union[bytes, bytearray, memoryview]

# Kinds on a lane.
CALL = 1
REPLY = 2
LOG = 3
STOP = 4
# Kinds on the zygote's control socket.
CONFIG = 16
READY = 17
SPAWN = 18
SPAWNED = 19
EXITED = 20
# Kinds on a connection to the template.
FORK = 32
FORKED = 33
ENDED = 34
# Kinds on a worker's control socket.
ADD_LANE = 24

LENGTH_SIZE = 4
# length, kind, flags, function, length of request id, slot, length of meta,
# deadline (CLOCK_MONOTONIC ns, 0: none); then id, meta, body.
CALL_HEADER = struct.Struct("<IBBHHHIq")
# length, kind, outcome, content, flags, status, reserved, length of headers,
# start (CLOCK_MONOTONIC ns), run ns, CPU ns; then headers, body.
REPLY_HEADER = struct.Struct("<IBBBBHHIqqq")
# length, kind, stream, reserved; then UTF-8 text.
LOG_HEADER = struct.Struct("<IBBH")
# length, kind, reserved; then the payload.
CONTROL_HEADER = struct.Struct("<IBBH")

# worker id, number of lanes, flags, CPU (-1: any), switch interval in
# microseconds (0: the interpreter's), RLIMIT_DATA in bytes (0: none).
SPAWN_PAYLOAD = struct.Struct("<IHHiIQ")
# worker id, pid, errno (0: forked).
SPAWNED_PAYLOAD = struct.Struct("<Iii")
# worker id, pid, wait status as waitpid gives it.
EXITED_PAYLOAD = struct.Struct("<Iii")
# pid, errno (0: forked).
FORKED_PAYLOAD = struct.Struct("<ii")
# pid, wait status as waitpid gives it.
ENDED_PAYLOAD = struct.Struct("<ii")
# SPAWN flag: the first descriptor is a control socket of the worker's own.
SPAWN_CONTROL = 1

# Flags of CALL and REPLY. Shared: the body is in shared memory, and its size
# (SHARED_SIZE) stands in its place.
SHARED = 1
# of a CALL: the file of its slot may be written again; of a REPLY: a file that
# the agent has not got yet is beside it.
REUSE = 2
NEW = 2
SHARED_SIZE = struct.Struct("<Q")
# of a CALL: a row of functions follows, in the place of the meta; of a REPLY: the
# function has ended, and the next of its row has its result.
ROW = 4
HANDED = 4
# When the last function of a row must have ended (CLOCK_MONOTONIC ns, 0: never).
ROW_BOUND = struct.Struct("<q")
# function, reserved, most time that its call may take in ns.
ROW_ENTRY = struct.Struct("<HHIq")

# Outcomes of a call.
OK = 0
RAISED = 1  # the handler raised, or called sys.exit
BAD_RESULT = 2  # it returned what cannot be sent
BAD_INPUT = 3  # the body is not what this kind of handler takes
REFUSED = 4  # no thread could be started for the lane: it serves no call
STOPPED = 5  # the function has ended and the next of its row was not to begin

# Content of a reply's body.
NONE = 0
TEXT = 1
JSON = 2
BINARY = 3

STDOUT = 1
STDERR = 2

# What a CALL frame may hold besides its body, and what a control frame may.
MAX_REQUEST_ID = 1 << 10
MAX_META = 1 << 20
# Functions of a row, the first one included.
MAX_ROW = 64
MAX_CONTROL = 16 << 20
# Descriptors in one message: the kernel's SCM_MAX_FD.
MAX_DESCRIPTORS = 253


class FrameError(Exception):
    """The peer broke the protocol; the connection is of no use any more."""


def check_call(length: int, kind: int, flags: int, id_len: int, meta_len: int, max_body: int) -> None:
    """Raise FrameError, in words, unless these parts of a CALL's header fit together."""
    body = length + LENGTH_SIZE - CALL_HEADER.size - id_len - meta_len
    if kind != CALL:
        raise FrameError(f"expected a call, got a frame of kind {kind}")
    if id_len > MAX_REQUEST_ID or meta_len > MAX_META:
        raise FrameError(f"call with {id_len} bytes of request id and {meta_len} of meta is over the limit")
    if body < 0:
        raise FrameError(f"call of {length + LENGTH_SIZE} bytes is shorter than its parts")
    if flags & ~(SHARED | REUSE | ROW):
        raise FrameError(f"call with unknown flags {flags}")
    if flags & SHARED:
        if body != SHARED_SIZE.size:
            raise FrameError(f"call with {body} bytes for the size of its shared memory")
    elif body > max_body:
        raise FrameError(f"body of {body} bytes is over the limit of {max_body}")


def parse_row(table: memoryview, functions: int) -> Tuple[int, List[Tuple[int, int]]]:
    """Return a row's bound and, for each function after the first, its number and its time."""
    count, rest = divmod(len(table) - ROW_BOUND.size, ROW_ENTRY.size)
    if rest or not 1 <= count < MAX_ROW:
        raise FrameError(f"call with {len(table)} bytes for the functions of its row")
    (bound,) = ROW_BOUND.unpack_from(table)
    entries = []
    for index, _, _, time in ROW_ENTRY.iter_unpack(table[ROW_BOUND.size :]):
        if index >= functions:
            raise FrameError(f"row with function {index} of {functions}")
        entries.append((index, time))
    return bound, entries


def reply_header(
    outcome: int,
    content: int,
    status: int,
    headers_len: int,
    body_len: int,
    start: int,
    run: int,
    cpu: int,
    flags: int = 0,
) -> bytes:
    """Encode the fixed part of a REPLY whose headers and body (or its size) follow."""
    return REPLY_HEADER.pack(
        REPLY_HEADER.size - LENGTH_SIZE + headers_len + body_len,
        REPLY,
        outcome,
        content,
        flags,
        status,
        0,
        headers_len,
        start,
        run,
        cpu,
    )


def control(kind: int, payload: bytes) -> bytes:
    """Encode a frame of a control socket."""
    return CONTROL_HEADER.pack(CONTROL_HEADER.size - LENGTH_SIZE + len(payload), kind, 0, 0) + payload


class ControlDecoder:
    """Cuts what a control socket delivers into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: Buffer) -> List[Tuple[int, bytes]]:
        """Take ``data``; return the frames that are complete now, (kind, payload) each."""
        pending = self._pending
        pending += data
        frames = []
        while len(pending) >= CONTROL_HEADER.size:
            length, kind, _, _ = CONTROL_HEADER.unpack_from(pending)
            size = length + LENGTH_SIZE
            if size < CONTROL_HEADER.size or size > MAX_CONTROL:
                raise FrameError(f"control frame of {size} bytes")
            if len(pending) < size:
                break
            frames.append((kind, bytes(pending[CONTROL_HEADER.size : size])))
            del pending[:size]
        return frames
