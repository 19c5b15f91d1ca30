import datetime
import re

import pytest

from minitransformer import date_pairs
from minitransformer.data.dates import FORMS, nth, write_date

SUNDAY = datetime.date(2026, 11, 22)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{d} {mon} {y}", "22 Nov 2026"),
        ("{day}, {month} {nth} {y}", "Sunday, November 22nd 2026"),
        ("{y}년 {m}월 {d}일", "2026년 11월 22일"),
        ("{y}년 {m}월 {d}일 {yo}요일", "2026년 11월 22일 일요일"),
        ("{jour} {le} {mois} {y}", "dimanche 22 novembre 2026"),
        ("{tag}, den {d}.{m}.{y}", "Sonntag, den 22.11.2026"),
        ("{m}/{d}/{y}", "11/22/2026"),
    ],
)
def test_a_date_is_written_as_people_do(form, expected):
    assert form in FORMS
    assert write_date(SUNDAY, form) == expected


def test_ordinals():
    assert [nth(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "22nd",
        "23rd",
        "30th",
        "31st",
    ]
    assert write_date(datetime.date(1999, 5, 1), "{le} {mois} {y}") == "1er mai 1999"


def test_every_form_of_every_date_has_one_answer():
    """Two dates that are written alike would have no right answer."""
    start = datetime.date(2023, 1, 1)
    seen = {}
    for i in range(0, 1500):
        date = start + datetime.timedelta(days=i)
        for form in FORMS:
            text = write_date(date, form)
            assert seen.setdefault(text, date) == date, text


def test_parts_are_disjoint_by_date_and_seeded():
    parts = date_pairs(train=500, valid=40, test=60, seed=7)
    assert [len(part) for part in parts] == [500, 40, 60]
    targets = [target for part in parts for _, target in part]
    assert len(set(targets)) == 600
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", target) for target in targets)
    assert date_pairs(train=500, valid=40, test=60, seed=7) == parts
    assert date_pairs(train=500, valid=40, test=60, seed=8) != parts
    forms = {re.sub(r"\d+", "0", source) for source, _ in parts[0]}
    assert len(forms) > len(FORMS)


def test_more_dates_than_there_are_is_refused():
    with pytest.raises(ValueError, match="73049"):
        date_pairs(train=73_000, valid=40, test=60, seed=0)
