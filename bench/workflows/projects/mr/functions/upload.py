"""What is found out about a review while it is made, by functions in parallel."""

import collections
import json
import re
import time
import zlib

from stores import DataMissing, cache, key, memory, postgres

# Ids count milliseconds from here, 2020-01-01, in all but their last 20 bits.
EPOCH_MS = 1_577_836_800_000
# What was cached is asked for anew after this time, seconds.
FRESH = 600
# A text's signature: as many of its shingles' least hashes, modulo a prime.
HASHES = 96
PRIME = (1 << 31) - 1
SHINGLE = 3


def cached_row(cached_as, statement, **values):
    """A row of PostgreSQL's that memcached keeps as well; None: there is none."""
    with memory() as cached:
        kept = cached.get(cached_as)
        if kept is not None:
            return json.loads(kept)
        with postgres() as session:
            rows = session.run(statement, **values)
        if not rows:
            return None
        cached.set(cached_as, json.dumps(rows[0]), expire=FRESH)
        return rows[0]


def upload_user_id(event, context):
    """Finds who writes the review."""
    name = event["user"]
    row = cached_row(key("user", name), "SELECT id FROM users WHERE name = :name", name=name)
    if row is None:
        raise DataMissing(f"the user {name!r}", "PostgreSQL")
    return {"user": {"id": row[0], "name": name}}


def upload_movie_id(event, context):
    """Finds the movie of a title."""
    title = event["title"]
    row = cached_row(key("movie", title), "SELECT id, year FROM movies WHERE title = :title", title=title)
    if row is None:
        raise DataMissing(f"the movie {title!r}", "PostgreSQL")
    return {"movie": {"id": row[0], "title": title, "year": row[1]}}


def upload_text(event, context):
    """Counts the text's words, finds its keywords and draws its signature (MinHash).

    Texts that share most of their shingles have most of their signatures in
    common: so reviews that were copied are found.
    """
    words = re.findall(r"[a-z]+", event["text"].lower())
    counts = collections.Counter(word for word in words if len(word) > 4)
    keywords = sorted(counts, key=lambda word: (-counts[word], word))[:5]
    shingles = {
        zlib.crc32(" ".join(words[i : i + SHINGLE]).encode()) for i in range(len(words) - SHINGLE + 1)
    }
    signature = [
        min(((2 * n + 1) * 40_503 * x + n * 65_537) % PRIME for x in shingles) if shingles else 0
        for n in range(HASHES)
    ]
    return {"text": event["text"], "words": len(words), "keywords": keywords, "signature": signature}


def upload_unique_id(event, context):
    """Draws the review's id: the time, and a count that all callers share."""
    with cache() as redis:
        count = redis.incr("review:count")
    now = time.time_ns() // 1_000_000 - EPOCH_MS
    # As text: it has more bits than a JSON number keeps everywhere.
    return {"review_id": str(now << 20 | count % (1 << 20))}
