"""Computes digits of pi with Gibbons' spigot and answers with the last ones."""


def digits(count):
    q, r, t, k, n, x = 1, 0, 1, 1, 3, 3
    while count:
        if 4 * q + r - t < n * t:
            yield n
            count -= 1
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, x = (
                q * k,
                (2 * q + r) * x,
                t * x,
                k + 1,
                (q * (7 * k + 2) + r * x) // (t * x),
                x + 2,
            )


def handler(event, context):
    return {"last": "".join(map(str, digits(event["digits"])))[-10:]}
