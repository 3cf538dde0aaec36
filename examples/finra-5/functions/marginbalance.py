"""Puts the rules' answers together and draws the margin balance.

FINRA rule 4210 asks for a maintenance margin of a quarter of what is held long
and three tenths of what is sold short. What the account is worth beyond that is
its margin balance; below zero it is a margin call.
"""

LONG = 0.25
SHORT = 0.30


def handler(event, context):
    rules = {answer["rule"]: answer for answer in event["rules"]}
    violations = {
        name: answer["violations"] for name, answer in sorted(rules.items()) if answer["violations"]
    }
    long, short = rules["marketdata"]["long"], rules["marketdata"]["short"]
    equity = event["cash"] + long - short
    required = LONG * long + SHORT * short
    return {
        "valid": not violations,
        "violations": violations,
        "equity": round(equity, 2),
        "margin_required": round(required, 2),
        "margin_balance": round(equity - required, 2),
    }
