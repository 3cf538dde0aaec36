"""Where a post ends up: the store of posts and the timelines that show it.

Storing twice leaves what storing once does, and writes as much: functions are
called again after a failure, and to measure them.
"""

import json
import zlib

from stores import DataMissing, cache, memory, postgres

# Posts that a timeline keeps, and how long a cached one is believed, seconds.
LENGTH = 100
FRESH = 600


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def post_storage(event, context):
    """Stores the post in PostgreSQL, and in memcached what PostgreSQL then holds."""
    post = event["post"]
    with postgres() as session:
        rows = session.run(
            "INSERT INTO posts (id, author, body) VALUES (:id, :author, CAST(:body AS jsonb))"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING body",
            id=int(post["id"]),
            author=post["creator"]["id"],
            body=json.dumps(post),
        )
    stored = canonical(rows[0][0])
    with memory() as cached:
        cached.set(f"post:{post['id']}", stored, expire=FRESH)
    return {"stored": post["id"], "crc32": zlib.crc32(stored.encode())}


def upload_home_timeline(event, context):
    """Shows the post to those who follow its author or whom it mentions."""
    post = event["post"]
    author, number = post["creator"]["id"], int(post["id"])
    with postgres() as session:
        rows = session.run("SELECT follower FROM follows WHERE followee = :author", author=author)
    if not rows:
        raise DataMissing(f"a follower of {post['creator']['name']}", "PostgreSQL")
    readers = sorted({row[0] for row in rows} | {user["id"] for user in post["mentions"]})
    with cache() as redis, redis.pipeline() as steps:
        for reader in readers:
            steps.zadd(f"home:{reader}", {post["id"]: number >> 20})
            steps.zremrangebyrank(f"home:{reader}", 0, -LENGTH - 1)
            steps.zscore(f"home:{reader}", post["id"])
        shown = steps.execute()[2::3]
    reached = [reader for reader, score in zip(readers, shown) if score is not None]
    return {"readers": len(reached), "crc32": zlib.crc32(canonical(reached).encode())}


def upload_user_timeline(event, context):
    """Puts the post on its author's own timeline, in PostgreSQL and in Redis."""
    post = event["post"]
    author, number = post["creator"]["id"], int(post["id"])
    with postgres() as session:
        session.run(
            "INSERT INTO user_timelines (author, post) VALUES (:author, :post)"
            " ON CONFLICT (author, post) DO UPDATE SET post = excluded.post",
            author=author,
            post=number,
        )
        rows = session.run(
            "SELECT post FROM user_timelines WHERE author = :author AND post <= :post"
            " ORDER BY post DESC LIMIT 10",
            author=author,
            post=number,
        )
    newest = [str(row[0]) for row in rows]
    with cache() as redis, redis.pipeline() as steps:
        steps.zadd(f"user:{author}", {name: int(name) >> 20 for name in newest})
        steps.zremrangebyrank(f"user:{author}", 0, -LENGTH - 1)
        steps.execute()
    return {"author": author, "newest": newest[0]}
