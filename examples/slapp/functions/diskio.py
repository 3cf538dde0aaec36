"""Writes a file to disk, reads it again, and answers with its checksum."""

import os
import tempfile
import zlib

BLOCK = bytes(range(256)) * 256


def handler(event, context):
    size = event["disk_bytes"]
    with tempfile.NamedTemporaryFile(prefix="slapp-", buffering=0) as file:
        for start in range(0, size, len(BLOCK)):
            file.write(BLOCK[: size - start])
        os.fsync(file.fileno())
        file.seek(0)
        checksum, read = 0, 0
        while True:
            block = file.read(len(BLOCK))
            if not block:
                break
            checksum = zlib.crc32(block, checksum)
            read += len(block)
    return {"bytes": read, "crc32": checksum}
