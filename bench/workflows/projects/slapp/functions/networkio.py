"""Stores objects on a server that speaks S3 and fetches them again, over one connection.

Each request is signed as Amazon Web Services want it (Signature Version 4).
"""

import datetime
import hashlib
import hmac
import http.client
import os
import threading
import time
import urllib.parse

ROUNDS = 4
# Of connecting, and of each answer: seconds.
TIMEOUT = 3
BUCKET = "workflows"
REGION = "us-east-1"
START = "start the services and put their data there with: make services"


class StoreError(RuntimeError):
    """The object server does not answer, or not as it should."""


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(method, host, path, body, access, secret, now):
    """The headers of a request that has no query."""
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join((method, urllib.parse.quote(path), "", listed, names, digest))
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = ("AWS4" + secret).encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = sign(key, part)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names},"
        f" Signature={sign(key, text).hex()}"
    )
    return headers


class Store:
    """A connection to the object server."""

    def __init__(self):
        self.server = urllib.parse.urlsplit(os.environ["S3"])
        self.keys = os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"]
        self.connection = http.client.HTTPConnection(self.server.netloc, timeout=TIMEOUT)

    def call(self, method, path, body=b""):
        name = f"S3 at {self.server.netloc}"
        now = datetime.datetime.now(datetime.timezone.utc)
        headers = signed(method, self.server.netloc, path, body, *self.keys, now)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            response = self.connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise StoreError(f"{name} does not answer ({fault}): {START}") from fault
        if b"<Code>NoSuchBucket</Code>" in data:
            raise StoreError(f"the bucket {BUCKET!r} is not in {name}: {START}")
        if response.status // 100 != 2:
            raise StoreError(
                f"{name}: {method} {path}: {response.status} {data.decode(errors='replace')[:200]}"
            )
        return data


def handler(event, context):
    body = bytes(range(256)) * (event["network_bytes"] // 256)
    # A key of its own for each call: calls may run at the same time.
    key = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
    received, digest = 0, hashlib.sha256()
    store = Store()
    try:
        for number in range(ROUNDS):
            path = f"/{BUCKET}/{key}-{number}"
            store.call("PUT", path, body)
            data = store.call("GET", path)
            received += len(data)
            digest.update(data)
            store.call("DELETE", path)
    finally:
        store.connection.close()
    return {"bytes": received, "sha256": digest.hexdigest()}
