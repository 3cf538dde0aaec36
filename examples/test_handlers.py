"""Calls every handler of the examples directly: python3 -m unittest test_handlers

OBJECT_STORE is the URL of an object store; the Go test beside this file serves
one and runs these tests under every interpreter of the machine.
"""

import collections
import csv
import datetime
import hashlib
import hmac
import importlib.util
import json
import os
import pathlib
import tempfile
import unittest
import urllib.request
import zlib

HERE = pathlib.Path(__file__).parent
CSV = HERE / "finra-5" / "functions" / "volume" / "market.csv"


def load(project, file):
    path = HERE / project / "functions" / file
    spec = importlib.util.spec_from_file_location(f"{project}_{file}".replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sample(project):
    return json.loads((HERE / project / "sample.json").read_text())


def market():
    """The closes and volumes of each symbol, oldest first."""
    closes, volumes = collections.defaultdict(list), collections.defaultdict(list)
    with CSV.open(newline="") as file:
        for _, symbol, close, volume in list(csv.reader(file))[1:]:
            closes[symbol].append(float(close))
            volumes[symbol].append(int(volume))
    return closes, volumes


def trade(**fields):
    return {
        "id": 1,
        "symbol": "ALFA",
        "side": "BUY",
        "quantity": 1,
        "price": 1.0,
        "date": "2025-12-01",
        **fields,
    }


def dates(*calendars):
    """The dates of {year: "month-day month-day"}."""
    return [
        f"{year}-{day}" for calendar in calendars for year, days in calendar.items() for day in days.split()
    ]


class Hello(unittest.TestCase):
    def test_greet(self):
        greet = load("hello", "greet.py").handler
        self.assertEqual(greet({"name": "Ada"}, None), {"greeting": "Hello, Ada!"})
        self.assertEqual(greet({}, None), {"greeting": "Hello, you!"})

    def test_sign(self):
        os.environ["SIGNATURE"] = "me"
        answer = load("hello", "sign.py").handle('{"greeting": "Hello, Ada!"}')
        self.assertEqual(json.loads(answer), {"greeting": "Hello, Ada!", "from": "me"})


class Finra(unittest.TestCase):
    def violations(self, file, *trades):
        answer = load("finra-5", file).handler({"trades": list(trades)}, None)
        return answer["violations"]

    def test_holders_share_their_data(self):
        files = {path.read_bytes() for path in (HERE / "finra-5" / "functions").glob("*/market.csv")}
        self.assertEqual(len(files), 1)

    def test_marketdata(self):
        closes, _ = market()
        alfa, golf = closes["ALFA"][-1], closes["GOLF"][-1]
        answer = load("finra-5", "marketdata/handler.py").handler(
            {
                "trades": [
                    trade(id=1, quantity=30),
                    trade(id=2, quantity=10, side="SELL"),
                    trade(id=3, symbol="GOLF", quantity=5, side="SHORT"),
                    trade(id=4, symbol="NONE", quantity=1000),
                    trade(id=5, quantity=1000, side="HOLD"),
                ]
            },
            None,
        )
        self.assertEqual(answer["violations"], [4])
        # Bought 30 and sold 10 of ALFA; 5 GOLF short.
        self.assertAlmostEqual(answer["long"], 20 * alfa, 2)
        self.assertAlmostEqual(answer["short"], 5 * golf, 2)
        self.assertEqual(
            answer["prices"]["GOLF"],
            {"last": golf, "high": max(closes["GOLF"]), "low": min(closes["GOLF"])},
        )
        self.assertEqual(len(answer["prices"]), 8)

    def test_lastprice(self):
        closes, _ = market()
        last = closes["ECHO"][-1]
        self.assertEqual(
            self.violations(
                "lastprice/handler.py",
                trade(id=1, symbol="ECHO", price=last),
                trade(id=2, symbol="ECHO", price=3 * last),
                trade(id=3, symbol="ECHO", price=last / 3),
                trade(id=4, symbol="NONE", price=last),
            ),
            [2, 3, 4],
        )

    def test_side(self):
        answer = load("finra-5", "side.py").handle(
            json.dumps({"trades": [trade(id=n, side=s) for n, s in enumerate(("BUY", "buy", "SHORT", ""))]})
        )
        self.assertEqual(json.loads(answer), {"rule": "side", "violations": [1, 3]})

    def test_tradedate(self):
        # As the exchange published them: https://www.nyse.com/markets/hours-calendars
        closed = dates(
            {2023: "01-02 04-07", 2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25"},
            {2025: "01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25", 2026: "04-03 07-03"},
        )
        # Days beside holidays, and a New Year's Day on a Saturday, which moves nothing.
        opened = dates({2021: "12-31", 2024: "12-24 12-26", 2025: "01-02 04-17 04-21 07-03 11-28"})
        weekends = ["2025-11-29", "2025-11-30"]
        found = self.violations("tradedate.py", *(trade(id=d, date=d) for d in closed + opened + weekends))
        self.assertEqual(found, closed + weekends)

    def test_tradedate_closes_ten_days_a_year(self):
        first = datetime.date(2025, 1, 1)
        weekdays = [d for d in (first + datetime.timedelta(days=n) for n in range(365)) if d.weekday() < 5]
        found = self.violations("tradedate.py", *(trade(id=1, date=d.isoformat()) for d in weekdays))
        self.assertEqual(len(found), 10)

    def test_volume(self):
        _, volumes = market()
        # 63 days: the median is the 32nd of them in order of size.
        limit = sorted(volumes["HOTL"][-63:])[31] / 10
        self.assertEqual(
            self.violations(
                "volume/handler.py",
                trade(id=1, symbol="HOTL", quantity=int(limit)),
                trade(id=2, symbol="HOTL", quantity=int(limit) + 1),
                trade(id=3, symbol="NONE"),
            ),
            [2, 3],
        )

    def test_marginbalance(self):
        handler = load("finra-5", "marginbalance.py").handler
        rules = [
            {"rule": "volume", "violations": [7]},
            {"rule": "side", "violations": []},
            {"rule": "marketdata", "violations": [], "long": 1000.0, "short": 200.0},
        ]
        # Equity 500 + 1000 - 200; required 1000/4 + 200 * 3/10.
        self.assertEqual(
            handler({"cash": 500, "rules": rules}, None),
            {
                "valid": False,
                "violations": {"volume": [7]},
                "equity": 1300.0,
                "margin_required": 310.0,
                "margin_balance": 990.0,
            },
        )
        rules[0]["violations"] = []
        answer = handler({"cash": -700, "rules": rules}, None)
        self.assertTrue(answer["valid"])
        self.assertEqual(answer["margin_balance"], -210.0)  # 100 - 310: a margin call

    def test_sample_finds_what_was_planted(self):
        trades = sample("finra-5")["trades"]
        planted = {
            "lastprice/handler.py": 24,
            "tradedate.py": 43,
            "volume/handler.py": 78,
        }
        for file, number in planted.items():
            self.assertIn(number, self.violations(file, *trades), file)


class Slapp(unittest.TestCase):
    def test_factorial(self):
        # 20! = 2432902008176640000, between 2**61 and 2**62.
        self.assertEqual(load("slapp", "factorial.py").handler({"factorial": 20}, None), {"bits": 62})

    def test_fibonacci(self):
        self.assertEqual(load("slapp", "fibonacci.py").handler({"fibonacci": 20}, None), {"fibonacci": 6765})

    def test_pi(self):
        # 3.14159265358979323846264338327950288419716939937510
        handler = load("slapp", "pi.py").handler
        self.assertEqual(handler({"digits": 11}, None), {"last": "1415926535"})
        self.assertEqual(handler({"digits": 51}, None), {"last": "6939937510"})

    def test_pbkdf2(self):
        # RFC 8018, section 5.2, for one block: U1 ^ U2 ^ U3.
        password = b"correct horse battery staple"
        link = hmac.new(password, b"slapp" + b"\0\0\0\1", hashlib.sha256).digest()
        block = int.from_bytes(link, "big")
        for _ in range(2):
            link = hmac.new(password, link, hashlib.sha256).digest()
            block ^= int.from_bytes(link, "big")
        self.assertEqual(
            load("slapp", "pbkdf2.py").handler({"iterations": 3}, None),
            {"key": block.to_bytes(32, "big").hex()},
        )

    def test_diskio(self):
        diskio = load("slapp", "diskio.py")
        with tempfile.TemporaryDirectory() as folder:
            before, tempfile.tempdir = tempfile.tempdir, folder
            try:
                for size in (0, 1, 65536, 65537, 1 << 20):
                    data = (bytes(range(256)) * (size // 256 + 1))[:size]
                    self.assertEqual(
                        diskio.handler({"disk_bytes": size}, None),
                        {"bytes": size, "crc32": zlib.crc32(data)},
                    )
                self.assertEqual(os.listdir(folder), [])
            finally:
                tempfile.tempdir = before

    def test_networkio(self):
        store = os.environ["OBJECT_STORE"]
        networkio = load("slapp", "networkio.py")
        self.assertEqual(networkio.handler({"network_bytes": 1000}, None), {"bytes": networkio.ROUNDS * 1000})
        with urllib.request.urlopen(f"{store}/slapp/", timeout=10) as response:
            self.assertEqual(response.read(), b"", "objects were left in the store")
        with self.assertRaisesRegex(RuntimeError, "PUT .*: 413 "):
            networkio.handler({"network_bytes": (16 << 20) + 1}, None)


if __name__ == "__main__":
    unittest.main()
