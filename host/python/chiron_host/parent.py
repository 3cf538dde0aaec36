"""Ties a process's life to its parent's, where the interpreter has ctypes."""

import os
import signal
from typing import Callable, Optional

_PR_SET_PDEATHSIG = 1

# Takes the signal that this process gets when its parent ends.
DeathSignal = Callable[[int], None]


def death_signal() -> Optional[DeathSignal]:
    """Return prctl(PR_SET_PDEATHSIG), or None where ctypes is missing.

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
