"""Stores objects on a server and fetches them again, over one connection."""

import http.client
import os
import threading
import time
import urllib.parse

ROUNDS = 8
STORE = urllib.parse.urlsplit(os.environ["OBJECT_STORE"])


def call(connection, method, path, body=None):
    connection.request(method, path, body=body)
    response = connection.getresponse()
    data = response.read()
    if response.status // 100 != 2:
        raise RuntimeError(f"{method} {STORE.geturl()}{path}: {response.status} {data.decode().strip()}")
    return data


def handler(event, context):
    body = b"x" * event["network_bytes"]
    # A key of its own for each call: calls may run at the same time.
    key = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
    received = 0
    connection = http.client.HTTPConnection(STORE.netloc, timeout=10)
    try:
        for number in range(ROUNDS):
            path = f"/slapp/{key}-{number}"
            call(connection, "PUT", path, body)
            received += len(call(connection, "GET", path))
            call(connection, "DELETE", path)
    finally:
        connection.close()
    return {"bytes": received}
