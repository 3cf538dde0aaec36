"""Ties processes' lives to each other's, where the interpreter has ctypes."""

import contextlib
import os
import signal
from typing import Callable, List, Optional

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Takes the signal that this process gets when its parent ends.
DeathSignal = Callable[[int], None]


def death_signal() -> Optional[DeathSignal]:
    """Return prctl(PR_SET_PDEATHSIG), or None where ctypes is missing.

    This process becomes the one that adopts: a process whose parent ends is
    its child then, not init's, also where it left its group.

    Loaded once, in the zygote: importing ctypes costs about 4 ms, a call in a
    forked child some microseconds.
    """
    try:
        import ctypes

        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return None
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
    prctl.restype = ctypes.c_int
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def set_signal(number: int) -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)

    return set_signal


def die_with(parent: int, tie: Optional[DeathSignal]) -> None:
    """Let this process be killed when ``parent``, which forked it, ends."""
    if tie is not None:
        tie(signal.SIGKILL)
    # It may have ended before the tie was made.
    if os.getppid() != parent:
        os._exit(0)


def offer_to_oom_killer() -> None:
    """Let this process, and what it will start, be killed before any other where memory runs out.

    A worker's end is the failure of a request; that of the zygote or the agent
    would be the wrap's. Raising it needs no privilege (proc(5), oom_score_adj).
    """
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return  # /proc is not there, or is read-only
    with contextlib.suppress(OSError):
        os.write(fd, b"1000")
    os.close(fd)


def children() -> List[int]:
    """Return this process's children, zombies included; none where the kernel does not list them."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as f:
            return [int(child) for child in f.read().split()]
    except OSError:
        return []
