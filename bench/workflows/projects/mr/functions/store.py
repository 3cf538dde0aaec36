"""Where a review ends up: the store of reviews, and the lists of its author and its movie.

Storing twice leaves what storing once does, and writes as much: functions are
called again after a failure, and to measure them.
"""

import json
import zlib

from stores import DataMissing, cache, memory, postgres

# Reviews that a list keeps, and how long a cached one is believed, seconds.
LENGTH = 100
FRESH = 600


def store_review(event, context):
    """Stores the review in PostgreSQL, and in memcached what PostgreSQL then holds."""
    review = event["review"]
    with postgres() as session:
        rows = session.run(
            "INSERT INTO reviews (id, author, movie, body)"
            " VALUES (:id, :author, :movie, CAST(:body AS jsonb))"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING body",
            id=int(review["id"]),
            author=review["user"]["id"],
            movie=review["movie"]["id"],
            body=json.dumps(review),
        )
    stored = json.dumps(rows[0][0], sort_keys=True, separators=(",", ":"))
    with memory() as cached:
        cached.set(f"review:{review['id']}", stored, expire=FRESH)
    return {"stored": review["id"], "crc32": zlib.crc32(stored.encode())}


def upload_user_review(event, context):
    """Puts the review on its author's list, in PostgreSQL and in Redis."""
    review = event["review"]
    author, number = review["user"]["id"], int(review["id"])
    with postgres() as session:
        session.run(
            "INSERT INTO user_reviews (author, review) VALUES (:author, :review)"
            " ON CONFLICT (author, review) DO UPDATE SET review = excluded.review",
            author=author,
            review=number,
        )
        rows = session.run(
            "SELECT review FROM user_reviews WHERE author = :author AND review <= :review"
            " ORDER BY review DESC LIMIT 10",
            author=author,
            review=number,
        )
    newest = [str(row[0]) for row in rows]
    with cache() as redis, redis.pipeline() as steps:
        steps.zadd(f"reviewer:{author}", {name: int(name) >> 20 for name in newest})
        steps.zremrangebyrank(f"reviewer:{author}", 0, -LENGTH - 1)
        steps.execute()
    return {"author": author, "newest": newest[0]}


def upload_movie_review(event, context):
    """Puts the review on its movie's list and counts its rating."""
    review = event["review"]
    movie, number = review["movie"]["id"], int(review["id"])
    with postgres() as session:
        # A row that was there has the number of who changes it in xmax.
        rows = session.run(
            "INSERT INTO movie_reviews (movie, review) VALUES (:movie, :review)"
            " ON CONFLICT (movie, review) DO UPDATE SET review = excluded.review RETURNING xmax = 0",
            movie=movie,
            review=number,
        )
    new = int(rows[0][0])  # 0: it is on the list, and its rating counts already
    with cache() as redis:
        # One that nobody has rated before is none of the data's.
        if not redis.exists(f"rating:{movie}"):
            raise DataMissing(f"the rating of {movie}", "Redis")
        with redis.pipeline() as steps:  # a transaction: both counts or none
            steps.hincrby(f"rating:{movie}", "ratings", new)
            steps.hincrby(f"rating:{movie}", "stars", new * review["rating"])
            steps.zadd(f"reviews:{movie}", {review["id"]: number >> 20})
            steps.zremrangebyrank(f"reviews:{movie}", 0, -LENGTH - 1)
            ratings, stars, *_ = steps.execute()
    return {"movie": movie, "ratings": ratings, "stars": stars}
