"""The functions of the workflow, by the names that chiron.yaml gives them."""

from compose import compose_and_upload, compose_review
from store import store_review, upload_movie_review, upload_user_review
from upload import upload_movie_id, upload_text, upload_unique_id, upload_user_id

__all__ = [
    "compose_and_upload",
    "compose_review",
    "store_review",
    "upload_movie_id",
    "upload_movie_review",
    "upload_text",
    "upload_unique_id",
    "upload_user_id",
    "upload_user_review",
]
