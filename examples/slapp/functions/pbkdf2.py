"""Derives a key. hashlib releases the interpreter lock while it does."""

import hashlib


def handler(event, context):
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse battery staple", b"slapp", event["iterations"])
    return {"key": key.hex()}
