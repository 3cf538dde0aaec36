"""Computes a Fibonacci number by recursion."""


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def handler(event, context):
    return {"fibonacci": fibonacci(event["fibonacci"])}
