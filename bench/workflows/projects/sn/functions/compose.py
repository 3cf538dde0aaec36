"""The beginning of a post, and its making from what the functions in parallel found."""

import json
import secrets

from stores import StoreError, cache, memory

# A post that nobody has finished after this time is given up, seconds.
PATIENCE = 3600
LONGEST = 5000


def compose_post(event, context):
    """Takes a post in: checks its form and notes in Redis that it is being made."""
    for field in ("user", "password", "text", "media"):
        if field not in event:
            raise ValueError(f"the post has no {field!r}")
    text = event["text"]
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"a post's text has 1 to {LONGEST} characters, not {len(text)}")
    request = secrets.token_hex(8)
    with cache() as redis, redis.pipeline() as steps:
        steps.hset(f"compose:{request}", mapping={"user": event["user"], "length": len(text)})
        steps.expire(f"compose:{request}", PATIENCE)
        steps.execute()
    return {"request": request}


def compose_and_upload(event, context):
    """Puts the post together and into memcached, where readers look first."""
    request, found = event["request"], {}
    for part in event["parts"]:
        found.update(part)
    # The note goes by itself (PATIENCE): who calls again finds it still.
    with cache() as redis:
        noted = redis.hgetall(f"compose:{request}")
    if not noted:
        raise StoreError(f"Redis knows no post that is being made as {request}")
    if noted["user"] != found["creator"]["name"]:
        raise ValueError(f"{noted['user']} began the post, {found['creator']['name']} ends it")
    post = {
        "id": found["post_id"],
        "creator": found["creator"],
        "mentions": found["mentions"],
        "media": found["media"],
        "text": found["text"],
        "urls": found["urls"],
        "words": found["words"],
        "flagged": found["flagged"],
    }
    with memory() as cached:
        cached.set(f"post:{post['id']}", json.dumps(post, sort_keys=True), expire=PATIENCE)
    return {"post": post}
