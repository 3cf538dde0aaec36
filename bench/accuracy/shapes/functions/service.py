"""A small service: computes for a while, waits for another, and so on.

Each step of the input is [loops, wait_ms]: a loop is about 0.1 µs of one CPU.
"""

import time


def spin(loops):
    state = 0
    for number in range(loops):
        state = (state * 31 + number) & 0xFFFF
    return state


def handler(event, context):
    state = 0
    for loops, wait_ms in event["steps"]:
        state ^= spin(loops)
        if wait_ms:
            time.sleep(wait_ms / 1000)
    return {"state": state}
