"""Computes with the interpreter lock held: a fixed amount of work, some milliseconds."""

from time import perf_counter_ns

ROUNDS = 60000


def handler(event, context):
    begin = perf_counter_ns()
    total = 0
    for i in range(ROUNDS):
        total = (total * 31 + i) & 0xFFFFFF
    return [begin, perf_counter_ns()]
