"""Greets, as an AWS Lambda handler: a JSON value in, a JSON value out."""


def handler(event, context):
    name = event.get("name", "you")
    print("greeting", name)
    return {"greeting": f"Hello, {name}!"}
