"""Dates: a small translation task, where each answer is right or wrong.

The sources are dates as people write them, in four languages. The target is
always the ISO form, such as 2026-11-22. Nothing is downloaded.
"""

import datetime
import itertools

import numpy as np

from minitransformer.data.pairs import Pairs
from minitransformer.runs.given import at_least, whole

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
WEEKDAYS = {
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "jour": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "tag": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "yo": "월 화 수 목 금 토 일",
}
MONTHS = {
    "month": "January February March April May June July August September "
    "October November December",
    "mois": "janvier février mars avril mai juin juillet août septembre "
    "octobre novembre décembre",
    "monat": "Januar Februar März April Mai Juni Juli August September "
    "Oktober November Dezember",
}

# Countries order day and month differently. Here, slashes put the month
# first, and dots the day; after a year in front, the month always follows.
FORMS = [
    "{d} {month} {y}",
    "{d} {mon} {y}",
    "{month} {d}, {y}",
    "{mon} {d}, {y}",
    "{day}, {month} {nth} {y}",
    "{day} {d} {month} {y}",
    "{nth} of {month} {y}",
    "the {nth} of {month}, {y}",
    "{month} {nth}, {y}",
    "{dy}, {d} {mon} {y}",
    "{m}/{d}/{y}",
    "{m:02}/{d:02}/{y}",
    "{d}.{m}.{y}",
    "{d:02}.{m:02}.{y}",
    "{y}/{m:02}/{d:02}",
    "{y}년 {m}월 {d}일",
    "{y}년 {m}월 {d}일 {yo}요일",
    "{y}. {m}. {d}.",
    "{le} {mois} {y}",
    "{jour} {le} {mois} {y}",
    "{d}. {monat} {y}",
    "{tag}, {d}. {monat} {y}",
    "{tag}, den {d}.{m}.{y}",
]


def nth(number: int) -> str:
    """Write an English ordinal: 1st, 2nd, 3rd, 4th, …, 11th, 12th, 13th."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def write_date(date: datetime.date, form: str) -> str:
    """Write a date in one of the `FORMS`.

    Examples:
        >>> write_date(datetime.date(2026, 11, 22), "{day}, {month} {nth}")
        'Sunday, November 22nd'
    """
    names = {n: w.split()[date.weekday()] for n, w in WEEKDAYS.items()}
    names |= {n: w.split()[date.month - 1] for n, w in MONTHS.items()}
    return form.format(
        y=date.year,
        m=date.month,
        d=date.day,
        nth=nth(date.day),
        le="1er" if date.day == 1 else date.day,
        dy=names["day"][:3],
        mon=names["month"][:3],
        **names,
    )


def date_pairs(
    *, train: int, valid: int, test: int, seed: int
) -> tuple[Pairs, ...]:
    """Make pairs of a written date and its ISO form.

    Args:
        train, valid, test: Numbers of pairs; all have different dates.
        seed: Integer; the same seed gives the same pairs.

    Returns:
        Three lists of (source, target), such as
        ("2026년 11월 22일", "2026-11-22").

    Raises:
        TypeError, ValueError: if a number is out of range, or too large.
    """
    train = whole("train", train)
    valid, test, seed = at_least(0, valid=valid, test=test, seed=seed)
    days = (LAST - FIRST).days + 1
    if train + valid + test > days:
        raise ValueError(
            f"{train + valid + test} dates are requested, but there are "
            f"only {days} from {FIRST.year} to {LAST.year}."
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(days)
    forms = rng.integers(0, len(FORMS), days)

    def pair(i):
        date = FIRST + datetime.timedelta(days=int(order[i]))
        return write_date(date, FORMS[forms[i]]), date.isoformat()

    ends = np.cumsum([0, train, valid, test])
    return tuple(
        [pair(i) for i in range(begin, end)]
        for begin, end in itertools.pairwise(ends)
    )
