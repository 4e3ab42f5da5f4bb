"""Cron expressions: five fields within their bounds, and a day that comes. What is accepted here, Dagster's scheduler takes."""

import re
from dataclasses import dataclass

_SHORT = re.compile(r"@(hourly|daily|weekly|monthly)")
_ITEM = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")
_NTH = re.compile(r"(?P<day>\w+)#[1-5]|L(?P<last>\w+)", re.IGNORECASE)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def value(self, text: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.low
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            raise ValueError(f"{self.name} {text!r} is not within {self.low} to {self.high}")
        return int(text)

    def values(self, text: str) -> set[int]:
        """What a field means: without what needs a calendar."""
        found: set[int] = set()
        for one in text.split(","):
            matched = _ITEM.fullmatch(one)
            if matched is None:
                raise ValueError(f"{self.name} {one!r} is neither a number, a range such as 1-5 nor a step such as */5")
            low, high, step = matched["low"], matched["high"], int(matched["step"] or 1)
            if step < 1:
                raise ValueError(f"{self.name} {one!r} has a step of nothing")
            first = self.low if low is None else self.value(low)
            # As cron has it: a step from a number goes on to the end, and a range may go round it.
            last = self.value(high) if high else first if low is not None and matched["step"] is None else self.high
            round_it = [*range(first, self.high + 1), *range(self.low, last + 1)]
            found |= set((range(first, last + 1) if first <= last else round_it)[::step])
        return found


_MINUTE, _HOUR = _Field("minute", 0, 59), _Field("hour", 0, 23)
_DAY, _MONTH, _WEEKDAY = _Field("day", 1, 31), _Field("month", 1, 12, _MONTHS), _Field("day of the week", 0, 7, _WEEK)


def cron(value: str) -> str:
    """The expression, stripped. ``ValueError`` says which field is wrong, and how."""
    text = value.strip()
    if _SHORT.fullmatch(text):
        return text
    fields = text.split()
    if len(fields) != 5:
        raise ValueError('a schedule has five fields, such as "17 * * * *": minute, hour, day, month, day of the week')
    minute, hour, day, month, weekday = fields
    _MINUTE.values(minute)
    _HOUR.values(hour)
    months = _MONTH.values(month)
    any_weekday = weekday in ("*", "?")
    if not any_weekday:
        for one in weekday.split(","):
            nth = _NTH.fullmatch(one)
            _WEEKDAY.values(one if nth is None else nth["day"] or nth["last"])
    if day not in ("?", "L", "l"):
        days = _DAY.values(day)
        if any_weekday and all(min(days) > _DAYS[one - 1] for one in months):
            raise ValueError(f"day {day} never comes in month {month}")
    return text
