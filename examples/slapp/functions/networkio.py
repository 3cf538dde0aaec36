"""Stores objects on a server and fetches them again."""

import os
import threading
import time
import urllib.request

ROUNDS = 8
STORE = os.environ["OBJECT_STORE"]


def call(method, url, body=None):
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def handler(event, context):
    body = b"x" * event["network_bytes"]
    # A key of its own for each call: calls may run at the same time.
    key = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
    received = 0
    for number in range(ROUNDS):
        url = f"{STORE}/slapp/{key}-{number}"
        call("PUT", url, body)
        received += len(call("GET", url))
        call("DELETE", url)
    return {"bytes": received}
