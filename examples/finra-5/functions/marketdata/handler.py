"""Values every position at the last close of the bundled market data."""

import csv
import pathlib

MARKET = pathlib.Path(__file__).with_name("market.csv")


def handler(event, context):
    last, high, low = {}, {}, {}
    with MARKET.open(newline="") as file:
        for row in csv.DictReader(file):
            symbol, close = row["symbol"], float(row["close"])
            last[symbol] = close
            high[symbol] = max(high.get(symbol, close), close)
            low[symbol] = min(low.get(symbol, close), close)
    unknown = [trade["id"] for trade in event["trades"] if trade["symbol"] not in last]
    value = sum(
        trade["quantity"] * last[trade["symbol"]] * (1 if trade["side"] == "BUY" else -1)
        for trade in event["trades"]
        if trade["id"] not in unknown
    )
    return {
        "rule": "marketdata",
        "violations": unknown,
        "value": round(value, 2),
        "prices": {
            symbol: {"last": last[symbol], "high": high[symbol], "low": low[symbol]}
            for symbol in sorted(last)
        },
    }
