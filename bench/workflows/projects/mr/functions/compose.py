"""The beginning of a review, and its making from what the functions in parallel found."""

import json
import secrets

from stores import StoreError, cache, memory

# A review that nobody has finished after this time is given up, seconds.
PATIENCE = 3600
LONGEST = 10_000


def compose_review(event, context):
    """Takes a review in: checks its form and notes in Redis that it is being made."""
    for field in ("user", "title", "rating", "text"):
        if field not in event:
            raise ValueError(f"the review has no {field!r}")
    if event["rating"] not in range(1, 11):
        raise ValueError(f"a rating is 1 to 10, not {event['rating']}")
    if not 0 < len(event["text"]) <= LONGEST:
        raise ValueError(f"a review's text has 1 to {LONGEST} characters, not {len(event['text'])}")
    request = secrets.token_hex(8)
    with cache() as redis, redis.pipeline() as steps:
        steps.hset(
            f"compose:{request}",
            mapping={"user": event["user"], "title": event["title"], "rating": event["rating"]},
        )
        steps.expire(f"compose:{request}", PATIENCE)
        steps.execute()
    return {"request": request}


def compose_and_upload(event, context):
    """Puts the review together and into memcached, where readers look first."""
    request, found = event["request"], {}
    for part in event["parts"]:
        found.update(part)
    # The note goes by itself (PATIENCE): who calls again finds it still.
    with cache() as redis:
        noted = redis.hgetall(f"compose:{request}")
    if not noted:
        raise StoreError(f"Redis knows no review that is being made as {request}")
    if (noted["user"], noted["title"]) != (found["user"]["name"], found["movie"]["title"]):
        raise ValueError(f"{noted['user']} on {noted['title']!r} began, other functions found {found}")
    review = {
        "id": found["review_id"],
        "user": found["user"],
        "movie": found["movie"],
        "rating": int(noted["rating"]),
        "text": found["text"],
        "words": found["words"],
        "keywords": found["keywords"],
        "signature": found["signature"],
    }
    with memory() as cached:
        cached.set(f"review:{review['id']}", json.dumps(review, sort_keys=True), expire=PATIENCE)
    return {"review": review}
