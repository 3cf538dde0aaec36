"""A trade's side must be one that the market knows (as an OpenFaaS handler)."""

import json

SIDES = {"BUY", "SELL", "SHORT", "SHORT_EXEMPT"}


def handle(req):
    trades = json.loads(req)["trades"]
    violations = [trade["id"] for trade in trades if trade["side"] not in SIDES]
    return json.dumps({"rule": "side", "violations": violations})
