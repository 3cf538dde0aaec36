"""The frames' layout, byte by byte, and what a peer that breaks them gets."""

import random
import struct
from typing import List, Tuple

import pytest
from driver import call_frame

from chiron_host import frames

# The same bytes, written by hand after host/doc.go, are in host/frame_test.go.
CALL = bytes.fromhex(
    "2a000000 01 00 0300 0300 0000 07000000 1500000000000000"  # header
    "722d31"  # r-1
    "7b2261223a317d"  # {"a":1}
    "68656c6c6f20776f726c6421"  # hello world!
)
REPLY = bytes.fromhex(
    "29000000 02 01 02 00 c800 0000 02000000 0100000000000000 0200000000000000 0300000000000000"
)
SHARED_CALL = bytes.fromhex(
    "1f000000 01 03 0300 0300 0200 00000000 1500000000000000"  # header
    "722d31"  # r-1
    "0000100000000000"  # 1 MiB
)
SHARED_REPLY = bytes.fromhex(
    "2c000000 02 00 01 03 0000 0000 00000000 0100000000000000 0200000000000000 0300000000000000"
    "0000100000000000"
)
CONTROL = bytes.fromhex("06000000 18 000000 6162")
SPAWN = bytes.fromhex("07000000 0200 0100 ffffffff 88130000 0000000001000000")
EXITED = bytes.fromhex("07000000 d2040000 09000000")


def test_call_layout() -> None:
    assert call_frame(3, b"hello world!", "r-1", {"a": 1}, 21) == CALL
    head = frames.CALL_HEADER.unpack_from(CALL)
    assert head == (42, frames.CALL, 0, 3, 3, 0, 7, 21)
    assert frames.CALL_HEADER.size + 3 + 7 + 12 == len(CALL) == head[0] + frames.LENGTH_SIZE
    frames.check_call(head[0], head[1], head[2], head[4], head[6], 12)


def test_shared_call_layout() -> None:
    length, kind, flags, _, id_len, slot, meta_len, _ = frames.CALL_HEADER.unpack_from(SHARED_CALL)
    assert (flags, slot) == (frames.SHARED | frames.REUSE, 2)
    assert frames.SHARED_SIZE.unpack_from(SHARED_CALL, frames.CALL_HEADER.size + id_len) == (1 << 20,)
    frames.check_call(length, kind, flags, id_len, meta_len, 12)


def test_reply_layout() -> None:
    made = frames.reply_header(frames.RAISED, frames.JSON, 200, 2, 3, 1, 2, 3)
    assert made == REPLY
    assert len(made) == frames.REPLY_HEADER.size
    shared = frames.reply_header(
        frames.OK, frames.TEXT, 0, 0, frames.SHARED_SIZE.size, 1, 2, 3, frames.SHARED | frames.NEW
    )
    assert shared + frames.SHARED_SIZE.pack(1 << 20) == SHARED_REPLY


def test_control_layout() -> None:
    assert frames.control(frames.ADD_LANE, b"ab") == CONTROL
    assert frames.SPAWN_PAYLOAD.unpack(SPAWN) == (7, 2, frames.SPAWN_CONTROL, -1, 5000, 1 << 32)
    assert frames.EXITED_PAYLOAD.unpack(EXITED) == (7, 1234, 9)


@pytest.mark.parametrize(
    ("length", "kind", "flags", "id_len", "meta_len", "says"),
    [
        (42, frames.REPLY, 0, 3, 7, "frame of kind 2"),
        (42, frames.CALL, 0, 3, 20, "shorter than its parts"),
        (0, frames.CALL, 0, 0, 0, "shorter than its parts"),
        (42, frames.CALL, 0, 0, 0, "over the limit of 12"),
        (1 << 20, frames.CALL, 0, frames.MAX_REQUEST_ID + 1, 0, "over the limit"),
        (4 << 20, frames.CALL, 0, 0, frames.MAX_META + 1, "over the limit"),
        (42, frames.CALL, 8, 3, 7, "unknown flags 8"),
        (42, frames.CALL, frames.SHARED, 3, 7, "12 bytes for the size of its shared memory"),
        (20, frames.CALL, frames.SHARED, 0, 0, "0 bytes for the size of its shared memory"),
    ],
)
def test_bad_call(length: int, kind: int, flags: int, id_len: int, meta_len: int, says: str) -> None:
    with pytest.raises(frames.FrameError, match=says):
        frames.check_call(length, kind, flags, id_len, meta_len, 12)


def test_call_bounds_hold_for_any_header() -> None:
    """Whatever check_call lets pass has parts that lie inside the frame and its bounds."""
    numbers = random.Random(1)
    passed = 0
    for _ in range(20_000):
        length, kind, flags, _, id_len, _, meta_len, _ = frames.CALL_HEADER.unpack(
            struct.pack(
                "<IBBHHHIq",
                numbers.choice([numbers.getrandbits(32), numbers.randrange(200)]),
                numbers.choice([1, 1, 1, numbers.getrandbits(8)]),
                numbers.choice([0, 0, 1, 3, numbers.getrandbits(8)]),
                0,
                numbers.choice([0, numbers.randrange(1100), numbers.getrandbits(16)]),
                0,
                numbers.choice([0, numbers.randrange(100), numbers.getrandbits(32)]),
                0,
            )
        )
        try:
            frames.check_call(length, kind, flags, id_len, meta_len, 100)
        except frames.FrameError:
            continue
        passed += 1
        body_at = frames.CALL_HEADER.size + id_len + meta_len
        assert frames.CALL_HEADER.size <= body_at <= length + frames.LENGTH_SIZE <= body_at + 100
        assert not flags & frames.SHARED or length + frames.LENGTH_SIZE == body_at + frames.SHARED_SIZE.size
    assert passed > 100


def test_decoder_does_not_mind_how_the_bytes_come() -> None:
    numbers = random.Random(2)
    for _ in range(300):
        sent: List[Tuple[int, bytes]] = [
            (numbers.getrandbits(8), bytes(numbers.getrandbits(8) for _ in range(numbers.randrange(40))))
            for _ in range(numbers.randrange(1, 8))
        ]
        stream = b"".join(frames.control(kind, payload) for kind, payload in sent)
        decoder = frames.ControlDecoder()
        got: List[Tuple[int, bytes]] = []
        at = 0
        while at < len(stream):
            n = numbers.randrange(1, 30)
            got += decoder.feed(stream[at : at + n])
            at += n
        assert got == sent
        assert decoder.feed(b"") == []


def test_decoder_refuses_or_waits_but_never_breaks() -> None:
    numbers = random.Random(3)
    refused = 0
    for _ in range(3000):
        data = bytes(numbers.getrandbits(8) for _ in range(numbers.randrange(64)))
        if numbers.random() < 0.7:
            data = numbers.randrange(40).to_bytes(4, "little") + data
        decoder = frames.ControlDecoder()
        try:
            for kind, payload in decoder.feed(data):
                assert 0 <= kind <= 255
                assert len(payload) <= len(data) - frames.CONTROL_HEADER.size
        except frames.FrameError:
            refused += 1
    assert refused > 300


@pytest.mark.parametrize("length", [0, 3, frames.MAX_CONTROL - 3, 0xFFFFFFFF])
def test_decoder_bounds(length: int) -> None:
    with pytest.raises(frames.FrameError):
        frames.ControlDecoder().feed(length.to_bytes(4, "little") + bytes(8))
