"""The functions of the workflow, by the names that chiron.yaml gives them."""

from compose import compose_and_upload, compose_post
from store import post_storage, upload_home_timeline, upload_user_timeline
from upload import upload_creator, upload_media, upload_text, upload_unique_id, upload_user_mentions

__all__ = [
    "compose_and_upload",
    "compose_post",
    "post_storage",
    "upload_creator",
    "upload_home_timeline",
    "upload_media",
    "upload_text",
    "upload_unique_id",
    "upload_user_mentions",
    "upload_user_timeline",
]
