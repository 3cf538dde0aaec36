"""Derives keys one after the other, the interpreter lock released for each."""

import hashlib


def handler(event, context):
    key = b"shape"
    for _ in range(event["rounds"]):
        key = hashlib.pbkdf2_hmac("sha256", key, b"salt", event["iterations"])
    return {"key": key.hex()}
