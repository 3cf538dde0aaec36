"""Makes market.csv (daily closes and volumes of one year) and sample.json.

The figures are a random walk from a fixed seed, so that they are the same
everywhere: python3 make_data.py
"""

import csv
import datetime
import io
import json
import pathlib
import random

SYMBOLS = {
    "ALFA": 120.0,
    "BRVO": 43.5,
    "CHRL": 310.0,
    "DLTA": 18.2,
    "ECHO": 77.0,
    "FXTR": 205.5,
    "GOLF": 9.4,
    "HOTL": 61.3,
}
HOLDERS = ("marketdata", "lastprice", "volume")


def business_days(first, count):
    day = first
    while count:
        if day.weekday() < 5:
            yield day
            count -= 1
        day += datetime.timedelta(days=1)


def main():
    here = pathlib.Path(__file__).parent
    draw = random.Random(4210)
    days = list(business_days(datetime.date(2025, 1, 2), 250))
    rows, last = [], {}
    for symbol, price in SYMBOLS.items():
        for day in days:
            price *= 1 + draw.gauss(0.0002, 0.012)
            rows.append((day.isoformat(), symbol, f"{price:.2f}", int(draw.lognormvariate(11, 0.6))))
        last[symbol] = price
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "symbol", "close", "volume"))
    writer.writerows(rows)
    for holder in HOLDERS:
        (here / "functions" / holder / "market.csv").write_text(text.getvalue())
    trades = []
    for number in range(120):
        symbol = draw.choice(sorted(SYMBOLS))
        trades.append(
            {
                "id": number + 1,
                "symbol": symbol,
                "side": draw.choice(("BUY", "BUY", "BUY", "SELL", "SHORT")),
                "quantity": draw.randrange(1, 900),
                "price": round(last[symbol] * draw.gauss(1, 0.01), 2),
                "date": draw.choice(days[-30:]).isoformat(),
            }
        )
    # What the rules are there to find.
    trades[7]["side"] = "HOLD"
    trades[23]["price"] *= 3
    trades[42]["date"] = "2025-07-04"
    trades[77]["quantity"] = 9_000_000
    lines = ",\n    ".join(json.dumps(trade) for trade in trades)
    (here / "sample.json").write_text(f'{{\n  "cash": 250000,\n  "trades": [\n    {lines}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
