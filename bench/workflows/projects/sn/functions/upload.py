"""What is found out about a post while it is made, by functions in parallel."""

import base64
import hashlib
import hmac
import re
import time
import zlib

from stores import DataMissing, StoreError, cache, key, memory, postgres

# Of the users' passwords: hashlib derives them without the interpreter lock.
ITERATIONS = 10_000
# Ids count milliseconds from here, 2020-01-01, in all but their last 20 bits.
EPOCH_MS = 1_577_836_800_000
# What was cached is asked for anew after this time, seconds.
FRESH = 600
# Words that are close to one of these are flagged for a person to look at.
BLOCKED = (
    "casino",
    "jackpot",
    "lottery",
    "miracle",
    "millionaire",
    "password",
    "prize",
    "refund",
    "voucher",
    "winner",
)


def upload_user_mentions(event, context):
    """Finds the users that the text mentions: in memcached, or else in PostgreSQL."""
    names = sorted(set(re.findall(r"@(\w+)", event["text"])))
    if not names:
        return {"mentions": []}
    with memory() as cached:
        keys = {key("id", name): name for name in names}
        ids = {keys[kept]: int(value) for kept, value in cached.get_many(list(keys)).items()}
        missing = [name for name in names if name not in ids]
        if missing:
            with postgres() as session:
                rows = session.run("SELECT name, id FROM users WHERE name = ANY(:names)", names=missing)
            ids.update(rows)
            cached.set_many({key("id", name): str(number) for name, number in rows}, expire=FRESH)
    # A name that nobody has is no mention.
    return {"mentions": [{"name": name, "id": ids[name]} for name in names if name in ids]}


def upload_creator(event, context):
    """Finds who writes the post and checks the password."""
    with postgres() as session:
        rows = session.run(
            "SELECT id, full_name, salt, password FROM users WHERE name = :name", name=event["user"]
        )
    if not rows:
        raise DataMissing(f"the user {event['user']!r}", "PostgreSQL")
    number, full_name, salt, password = rows[0]
    given = hashlib.pbkdf2_hmac("sha256", event["password"].encode(), bytes.fromhex(salt), ITERATIONS)
    if not hmac.compare_digest(given.hex(), password or ""):
        raise PermissionError(f"that is not the password of {event['user']}")
    return {"creator": {"id": number, "name": event["user"], "full_name": full_name}}


def upload_media(event, context):
    """Keeps the post's media in memcached, compressed, and looks at what is kept."""
    kept = []
    with memory() as cached:
        for medium in event["media"]:
            data = base64.b64decode(medium["base64"], validate=True)
            name = hashlib.sha256(data).hexdigest()
            cached.set(f"media:{name}", zlib.compress(data, 9), expire=FRESH)
            packed = cached.get(f"media:{name}")
            if packed is None:
                raise StoreError(f"memcached has not kept the medium {name}: it has too little memory")
            stored = zlib.decompress(packed)
            kept.append(
                {"id": name, "type": medium["type"], "bytes": len(stored), "crc32": zlib.crc32(stored)}
            )
    return {"media": kept}


def distance(a, b):
    """How many letters to change, add or take away to make one word the other."""
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1]


def upload_text(event, context):
    """Shortens the text's links and flags words like those of unwanted posts."""
    urls = []

    def shorten(match):
        url = match.group()
        short = f"http://sho.rt/{hashlib.sha256(url.encode()).hexdigest()[:10]}"
        urls.append({"short": short, "url": url})
        return short

    text = re.sub(r"https?://\S+", shorten, event["text"])
    if urls:
        with memory() as cached:
            cached.set_many({f"url:{pair['short']}": pair["url"] for pair in urls}, expire=FRESH)
    plain = re.sub(r"https?://\S+|@\w+", " ", text).lower()
    words = re.findall(r"[a-z]+", plain)
    flagged = sorted(
        word for word in set(words) if len(word) > 3 and any(distance(word, b) < 2 for b in BLOCKED)
    )
    return {"text": text, "urls": urls, "words": len(words), "flagged": flagged}


def upload_unique_id(event, context):
    """Draws the post's id: the time, and a count that all callers share."""
    with cache() as redis:
        count = redis.incr("post:count")
    now = time.time_ns() // 1_000_000 - EPOCH_MS
    # As text: it has more bits than a JSON number keeps everywhere.
    return {"post_id": str(now << 20 | count % (1 << 20))}
