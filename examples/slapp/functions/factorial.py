"""Computes n! by multiplication and answers with its number of bits."""


def handler(event, context):
    product = 1
    for factor in range(2, event["factorial"] + 1):
        product *= factor
    return {"bits": product.bit_length()}
