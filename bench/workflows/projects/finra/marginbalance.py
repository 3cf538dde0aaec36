"""Puts the answers of all rules together and draws the margin balance.

FINRA rule 4210 asks for a maintenance margin of a quarter of what is held long
and three tenths of what is sold short. What the account is worth beyond that is
its margin balance; below zero it is a margin call.
"""

import collections

LONG = 0.25
SHORT = 0.30


def handler(event, context):
    violations, answers = {}, collections.Counter()
    for answer in event["rules"]:
        name = answer["rule"]
        answers[name] += 1
        # Several validate by the same rule: they must find the same.
        if violations.setdefault(name, answer["violations"]) != answer["violations"]:
            raise ValueError(f"two validations by the rule {name} found different trades")
        if name == "marketdata":
            long, short = answer["long"], answer["short"]
    equity = event["cash"] + long - short
    required = LONG * long + SHORT * short
    return {
        "valid": not any(violations.values()),
        "violations": {name: found for name, found in sorted(violations.items()) if found},
        "validations": dict(sorted(answers.items())),
        "equity": round(equity, 2),
        "margin_required": round(required, 2),
        "margin_balance": round(equity - required, 2),
    }
