"""A probe: a thread that notices when the interpreter lock is free.

It is served as a function beside the one that is profiled, and started by a call
of it, so that workers that nobody traces know nothing of it. Its body names a
file, which the thread maps and fills with numbers of eight bytes:

    the count of those that follow, then of each question three, in ns:
    when it fell asleep for PAUSE; when it was awake and had the lock again (both
    by CLOCK_MONOTONIC); the CPU time of the thread that had called start

Asleep it does not hold the lock; awake it needs it. So the lock was held from
the end of the pause until it came late, and free at the moment that it came.
"""

import _thread
import sys
from time import clock_gettime_ns, perf_counter_ns, pthread_getcpuclockid, sleep
from typing import List

# Seconds between two questions. A question costs some 20 µs on another CPU, none
# of it while the lock is held.
PAUSE = 0.0005
# Seconds after which the interpreter makes the holder hand over the lock, instead
# of its 0.005 (CPython's DEFAULT_INTERVAL, ceval_gil.c): a thread that computes
# is not to be stopped for the probe, yet others of the function come to run.
INTERVAL = 0.1


def start(path: str) -> str:
    """Start the thread; return its number in the kernel."""
    import mmap  # here, for it costs every process that never calls this

    with open(path, "r+b") as file:
        numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
    # The kernel brings a running thread's clock up to date for its own process;
    # for others it is as old as the last timer tick (posix-cpu-timers.c).
    caller = pthread_getcpuclockid(_thread.get_ident())
    sys.setswitchinterval(INTERVAL)
    tid: List[int] = []
    begun = _thread.allocate_lock()
    begun.acquire()

    def watch() -> None:
        tid.append(_thread.get_native_id())
        begun.release()
        for at in range(1, len(numbers) - 2, 3):
            numbers[at] = perf_counter_ns()
            sleep(PAUSE)
            numbers[at + 1] = perf_counter_ns()
            numbers[at + 2] = clock_gettime_ns(caller)
            numbers[0] = at + 2

    _thread.start_new_thread(watch, ())
    begun.acquire()
    return str(tid[0])
