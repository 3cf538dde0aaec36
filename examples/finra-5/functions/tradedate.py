"""A trade's date must be a day on which the market was open."""

import datetime


def easter(year):
    """The Gregorian computus, in the form of Meeus, Jones and Butcher."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return datetime.date(year, month, day + 1)


def nth_weekday(year, month, weekday, n):
    """The n-th weekday of a month; the last one for n = -1."""
    days = [datetime.date(year, month, 1) + datetime.timedelta(days=d) for d in range(31)]
    return [day for day in days if day.month == month and day.weekday() == weekday][n if n < 0 else n - 1]


def observed(day):
    """A holiday on a Saturday is kept on Friday, on a Sunday on Monday."""
    return day + datetime.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def holidays(year):
    return {
        observed(datetime.date(year, 1, 1)),
        nth_weekday(year, 1, 0, 3),
        nth_weekday(year, 2, 0, 3),
        easter(year) - datetime.timedelta(days=2),
        nth_weekday(year, 5, 0, -1),
        observed(datetime.date(year, 6, 19)),
        observed(datetime.date(year, 7, 4)),
        nth_weekday(year, 9, 0, 1),
        nth_weekday(year, 11, 3, 4),
        observed(datetime.date(year, 12, 25)),
    }


def handler(event, context):
    violations = []
    for trade in event["trades"]:
        day = datetime.date(*map(int, trade["date"].split("-")))
        if day.weekday() > 4 or day in holidays(day.year):
            violations.append(trade["id"])
    return {"rule": "tradedate", "violations": violations}
