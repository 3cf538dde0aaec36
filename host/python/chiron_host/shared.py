"""Bodies in shared memory: files without a name (memfd_create(2)) that one side writes and the other maps.

A body that is larger than the configured bound does not go through the lane's
socket: its file does, beside a frame that tells its size. The reader trusts a
file only after its seals say that nobody can make it shorter, since touching a
mapped page that is no longer there ends a process (SIGBUS). A file that is
given up for good is sealed against writing, too; one that its lane keeps for
the next reply is not, and is written again only once the agent says that
nobody reads it.
"""

import contextlib
import fcntl
import mmap
import os
from typing import Dict, Optional

from chiron_host.frames import FrameError

# memfd_create(2); not in every supported version's modules.
CLOEXEC, ALLOW_SEALING, NOEXEC_SEAL = 0x1, 0x2, 0x8
SEAL_SHRINK, SEAL_GROW, SEAL_WRITE = 0x2, 0x4, 0x8
GET_SEALS = fcntl.F_GET_SEALS
# What a reader asks of a file: that it stays as long as it is.
STEADY = SEAL_SHRINK | SEAL_GROW
# New pages cost so much that a file which is used once pays from so many times
# the size on that one pays which is kept (docs/transfer.md).
NEW_PAYS = 6
# A kept file is larger than its first body by up to an eighth, so that the
# next, a little longer, fits. Pages that are not written take no memory.
SLACK = 8
PAGE = mmap.PAGESIZE
# madvise(2): map pages at once and not each when it is first written.
POPULATE_WRITE = 23
# Bytes that are copied before another thread may run: about half a millisecond.
CHUNK = 4 << 20


def create() -> int:
    """Return the descriptor of a new, empty file in memory."""
    try:
        return os.memfd_create("chiron", CLOEXEC | ALLOW_SEALING | NOEXEC_SEAL)
    except OSError:  # a kernel before 6.3
        return os.memfd_create("chiron", CLOEXEC | ALLOW_SEALING)


def write(fd: int, body: memoryview) -> None:
    """Write ``body`` to the start of a file; raise OSError where memory is short.

    Not through a mapping: there, memory that is short is a signal.
    """
    at, size = 0, len(body)
    while at < size:
        at += os.pwrite(fd, body[at:], at)


def read(fd: int, size: int) -> mmap.mmap:
    """Map ``size`` bytes of a file that came from the agent; raise FrameError where it is not to be trusted.

    Private, although nothing is written: until Linux 6.7 a file sealed against
    writing could not be mapped otherwise.
    """
    check(fd, size)
    return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def check(fd: int, size: int) -> None:
    """Raise FrameError unless a file has at least ``size`` bytes, and keeps them."""
    try:
        seals = fcntl.fcntl(fd, GET_SEALS)
    except OSError as err:
        raise FrameError(f"the descriptor beside a call is no shared memory: {err}") from None
    if seals & SEAL_SHRINK == 0:
        raise FrameError("the shared memory beside a call is not sealed against shrinking")
    held = os.fstat(fd).st_size
    if held < size or size < 1:
        raise FrameError(f"a call's shared memory has {held} bytes and shall have {size}")


class Kept:
    """A file that a lane writes its replies to, again and again."""

    __slots__ = ("_map", "_written", "capacity", "fd")

    def __init__(self, size: int) -> None:
        step = max(PAGE, (1 << size.bit_length()) // (2 * SLACK))
        self.capacity = -(-size // step) * step
        self._written = 0
        self._map: Optional[mmap.mmap] = None
        self.fd = create()
        try:
            os.ftruncate(self.fd, self.capacity)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, STEADY)
        except OSError:
            os.close(self.fd)
            raise

    def write(self, body: memoryview) -> None:
        """Put ``body`` at the start. Pages that exist are written through a mapping, twice as fast."""
        size = len(body)
        if size > self._written:
            write(self.fd, body)
            self._written = size
            return
        if self._map is None:
            self._map = mmap.mmap(self.fd, self.capacity, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            with contextlib.suppress(OSError):  # a kernel before 5.14: page by page then
                self._map.madvise(POPULATE_WRITE, 0, size)
        for at in range(0, size, CHUNK):
            self._map[at : min(at + CHUNK, size)] = body[at : at + CHUNK]

    def close(self) -> None:
        """Give the file up; who else has it keeps it."""
        if self._map is not None:
            self._map.close()
        os.close(self.fd)


class Outputs:
    """The files of one lane's replies, by slot: the agent says which may be written again."""

    def __init__(self) -> None:
        self._kept: Dict[int, Kept] = {}

    def put(self, body: bytes, slot: int, reuse: bool) -> Optional[int]:
        """Write a reply's body; return a descriptor that has to go to the agent, None where it has it.

        Slot 0 is none: the file is the caller's to close. OSError where there
        is no shared memory to be had.
        """
        view = memoryview(body)
        if slot == 0:
            return sealed(view)
        kept = self._kept.get(slot)
        if kept is not None:
            if reuse and len(body) <= kept.capacity:
                kept.write(view)
                return None
            del self._kept[slot]
            kept.close()
        kept = Kept(len(body))
        try:
            kept.write(view)
        except OSError:
            kept.close()
            raise
        self._kept[slot] = kept
        return kept.fd

    def close(self) -> None:
        """Give all files up."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()


def sealed(body: memoryview) -> int:
    """Return a file that holds ``body`` and cannot be changed any more."""
    fd = create()
    try:
        write(fd, body)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, STEADY | SEAL_WRITE)
    except OSError:
        os.close(fd)
        raise
    return fd
