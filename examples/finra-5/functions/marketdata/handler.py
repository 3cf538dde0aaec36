"""Values every position at the last close of the bundled market data."""

import csv
import pathlib

MARKET = pathlib.Path(__file__).with_name("market.csv")
SIGNS = {"BUY": 1, "SELL": -1, "SHORT": -1, "SHORT_EXEMPT": -1}


def handler(event, context):
    last, high, low = {}, {}, {}
    with MARKET.open(newline="") as file:
        for row in csv.DictReader(file):
            symbol, close = row["symbol"], float(row["close"])
            last[symbol] = close
            high[symbol] = max(high.get(symbol, close), close)
            low[symbol] = min(low.get(symbol, close), close)
    unknown = [trade["id"] for trade in event["trades"] if trade["symbol"] not in last]
    held = {}
    for trade in event["trades"]:
        if trade["symbol"] in last:
            signed = SIGNS.get(trade["side"], 0) * trade["quantity"]
            held[trade["symbol"]] = held.get(trade["symbol"], 0) + signed
    values = {symbol: quantity * last[symbol] for symbol, quantity in held.items()}
    return {
        "rule": "marketdata",
        "violations": unknown,
        "long": round(sum(value for value in values.values() if value > 0), 2),
        "short": round(-sum(value for value in values.values() if value < 0), 2),
        "prices": {
            symbol: {"last": last[symbol], "high": high[symbol], "low": low[symbol]}
            for symbol in sorted(last)
        },
    }
