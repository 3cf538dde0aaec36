"""The probe, in a real process with one thread of its own."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

ROOT = Path(__file__).resolve().parent.parent

# Each phase takes 60 ms; the phases' begins and ends are printed.
PROGRAM = """
import hashlib, json, sys, time
from chiron_host import probe

tid = int(probe.start(sys.argv[1]))
marks = []

def phase(run):
    begin = time.perf_counter_ns()
    while time.perf_counter_ns() - begin < 60_000_000:
        run()
    marks.append((begin, time.perf_counter_ns()))

phase(lambda: None)
phase(lambda: hashlib.pbkdf2_hmac("sha256", b"x", b"y", 20000))
phase(lambda: time.sleep(0.02))
print(json.dumps([tid, marks]))
"""


def test_the_probe_comes_when_the_lock_is_free(tmp_path: Path) -> None:
    file = tmp_path / "probe"
    file.write_bytes(bytes(8 * (1 + 3 * 5000)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    tid, marks = json.loads(done.stdout)
    assert tid > 0
    data = file.read_bytes()
    (count,) = struct.unpack_from("=q", data)
    assert count > 0 and count % 3 == 0
    numbers = struct.unpack_from(f"={count}q", data, 8)
    answers: List[Tuple[int, int, int]] = list(zip(numbers[::3], numbers[1::3], numbers[2::3]))
    for slept, woke, _ in answers:
        assert woke - slept >= 450_000  # PAUSE, and the timer's rounding

    def used(begin: int, end: int) -> int:
        inside = [cpu for _, woke, cpu in answers if begin <= woke < end]
        return inside[-1] - inside[0]

    def within(begin: int, end: int) -> int:
        return sum(begin <= woke < end for _, woke, _ in answers)

    computing, hashing, sleeping = (within(begin, end) for begin, end in marks)
    # A pure loop lets it in once in 100 ms; the others let it in whenever it
    # asks, some 100 times in 60 ms on an idle machine.
    assert computing <= 3
    assert hashing >= 10
    assert sleeping >= 10
    # The clock is that of the thread that hashed and slept.
    assert used(*marks[1]) > 2 * used(*marks[2])
