"""Connections to the stores, at the addresses that the environment names.

Every connection has timeouts and every failure names its store, so that a
workflow answers in time, and says why, while one of them is down. Connections
are a call's own: calls may run at the same time, and a process may be forked
for each of them.
"""

import contextlib
import hashlib
import os

import pg8000.native
import pymemcache
import redis

# Of connecting, and of each answer: seconds.
TIMEOUT = 3

START = "start the services and put their data there with: make services"


class StoreError(RuntimeError):
    """A store that does not answer, or that lacks the workflows' data."""


class DataMissing(StoreError):
    """The workflows' data are not in a store that answers."""

    def __init__(self, what, store):
        super().__init__(f"{what} is not in {store}: {START}")


def key(kind, text):
    """The key that memcached has for a text from outside.

    Keys are at most 250 bytes, without spaces and control characters; names and
    titles are whatever people write.
    """
    return f"{kind}:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}"


def address(name):
    host, port = os.environ[name].rsplit(":", 1)
    return host, int(port)


@contextlib.contextmanager
def postgres():
    """A session with PostgreSQL."""
    host, port = address("POSTGRES")
    store = f"PostgreSQL at {host}:{port}"
    try:
        session = pg8000.native.Connection(
            "workflows",
            host=host,
            port=port,
            database="workflows",
            timeout=TIMEOUT,
            ssl_context=False,  # the server has none, and making one takes 40 ms
        )
        try:
            yield session
        finally:
            session.close()
    except pg8000.native.DatabaseError as fault:
        details = fault.args[0] if fault.args and isinstance(fault.args[0], dict) else {}
        if details.get("C") in ("42P01", "3D000", "28000"):  # no such table, database, role
            raise DataMissing(f"the workflows' data ({details['M']})", store) from fault
        raise StoreError(f"{store}: {details.get('M', fault)}") from fault
    except (pg8000.native.InterfaceError, OSError) as fault:
        raise StoreError(f"{store} does not answer ({fault}): {START}") from fault


@contextlib.contextmanager
def cache():
    """A connection to Redis."""
    host, port = address("REDIS")
    store = f"Redis at {host}:{port}"
    try:
        with redis.Redis(
            host=host,
            port=port,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=None,
            decode_responses=True,
            single_connection_client=True,
        ) as client:
            yield client
    except (redis.ConnectionError, redis.TimeoutError) as fault:
        raise StoreError(f"{store} does not answer ({fault}): {START}") from fault
    except redis.RedisError as fault:
        raise StoreError(f"{store}: {fault}") from fault


@contextlib.contextmanager
def memory():
    """A connection to memcached."""
    host, port = address("MEMCACHED")
    store = f"memcached at {host}:{port}"
    client = pymemcache.Client(
        (host, port), connect_timeout=TIMEOUT, timeout=TIMEOUT, default_noreply=False, no_delay=True
    )
    try:
        yield client
    except (OSError, pymemcache.MemcacheUnexpectedCloseError) as fault:
        raise StoreError(f"{store} does not answer ({fault}): {START}") from fault
    except pymemcache.MemcacheError as fault:
        raise StoreError(f"{store}: {fault}") from fault
    finally:
        client.close()
