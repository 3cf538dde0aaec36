"""Puts the rules' answers together and checks the maintenance margin.

Its input is the list of the five rules' outputs.
"""

MAINTENANCE = 0.25


def handler(event, context):
    rules = {answer["rule"]: answer for answer in event}
    violations = {
        name: answer["violations"] for name, answer in sorted(rules.items()) if answer["violations"]
    }
    value = rules["marketdata"]["value"]
    required = round(abs(value) * MAINTENANCE, 2)
    return {"valid": not violations, "violations": violations, "value": value, "margin_required": required}
