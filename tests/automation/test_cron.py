"""A schedule that ``check`` accepts is one that Dagster loads."""

import pytest
from dagster._utils.schedules import is_valid_cron_string

from vector_pipeline.config.cron import cron

GOOD = [
    "17 * * * *", "*/5 * * * *", "0 3 * * *", "00 03 * * *", "0 22-4 * * *", "5/15 * * * *", "0 0 * JAN-MAR mon-fri",
    "0 0 * * fri-mon", "0 0 * * 0-7", "0 0 1,15 * *", "0 0 1-5/2 * *", "0 0 L * *", "0 0 ? * ?", "0 0 * * mon#1,wed#2",
    "0 0 * * L5", "0 0 29 2 *", "0 0 31 2,3 *", "0 0 1 1 mon", "@hourly", "@daily", "@weekly", "@monthly", " 0  3 * * * ",
]  # fmt: skip
BAD = [
    ("99 * * * *", "minute '99' is not within 0 to 59"),
    ("0 24 * * *", "hour '24' is not within 0 to 23"),
    ("0 0 0 * *", "day '0' is not within 1 to 31"),
    ("0 0 1 13 *", "month '13' is not within 1 to 12"),
    ("0 0 * * 8", "day of the week '8' is not within 0 to 7"),
    ("0 0 * * mon#6", "day of the week 'mon#6' is neither"),
    ("*/0 * * * *", "has a step of nothing"),
    ("1,,2 * * * *", "minute '' is neither a number"),
    ("1-5-7 * * * *", "minute '1-5-7' is neither a number"),
    ("? * * * *", "minute '?' is neither a number"),
    ("a * * * *", "minute 'a' is not within"),
    ("R 3 * * *", "minute 'R' is not within"),
    ("0 0 30 2 *", "day 30 never comes in month 2"),
    ("0 0 31 4,6 *", "day 31 never comes in month 4,6"),
    ("0 3 * *", "a schedule has five fields"),
    ("* * * * * *", "a schedule has five fields"),
    ("@often", "a schedule has five fields"),
]


@pytest.mark.parametrize("when", GOOD)
def test_what_is_accepted_dagster_takes(when: str) -> None:
    assert cron(when) == when.strip()
    assert is_valid_cron_string(when.strip())


@pytest.mark.parametrize(("when", "said"), BAD)
def test_what_dagster_would_refuse_is_told_with_its_field(when: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|minute|hour|day|month") as told:
        cron(when)
    assert said in str(told.value)
