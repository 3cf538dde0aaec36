"""A trade's price must lie within five deviations of its symbol's recent closes."""

import csv
import math
import pathlib

MARKET = pathlib.Path(__file__).with_name("market.csv")
WINDOW = 20
DEVIATIONS = 5.0


def closes():
    series = {}
    with MARKET.open(newline="") as file:
        for row in csv.DictReader(file):
            series.setdefault(row["symbol"], []).append(float(row["close"]))
    return series


def bands(prices):
    """The widest band of mean and deviation over any WINDOW consecutive closes of the last quarter."""
    low, high = math.inf, 0.0
    for end in range(len(prices) - 60, len(prices) + 1):
        window = prices[end - WINDOW : end]
        mean = sum(window) / WINDOW
        deviation = math.sqrt(sum((price - mean) ** 2 for price in window) / (WINDOW - 1))
        low, high = min(low, mean - DEVIATIONS * deviation), max(high, mean + DEVIATIONS * deviation)
    return low, high


def handler(event, context):
    limits = {symbol: bands(prices) for symbol, prices in closes().items()}
    violations = []
    for trade in event["trades"]:
        low, high = limits.get(trade["symbol"], (math.inf, 0.0))
        if not low <= trade["price"] <= high:
            violations.append(trade["id"])
    return {"rule": "lastprice", "violations": violations}
