"""A trade may not exceed a tenth of its symbol's median daily volume of the quarter."""

import csv
import pathlib
import statistics

MARKET = pathlib.Path(__file__).with_name("market.csv")
QUARTER = 63
SHARE = 0.1


def handler(event, context):
    volumes = {}
    with MARKET.open(newline="") as file:
        for row in csv.DictReader(file):
            volumes.setdefault(row["symbol"], []).append(int(row["volume"]))
    limits = {symbol: SHARE * statistics.median(days[-QUARTER:]) for symbol, days in volumes.items()}
    violations = [
        trade["id"] for trade in event["trades"] if trade["quantity"] > limits.get(trade["symbol"], 0)
    ]
    return {"rule": "volume", "violations": violations}
