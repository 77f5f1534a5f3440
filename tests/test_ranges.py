"""Whole numbers written as ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refusal

from lop.common.ranges import numbers_of, ranges


def test_consecutive_numbers_are_written_as_ranges():
    assert ranges([]) == ""
    assert ranges([3]) == "3"
    assert ranges([7, 0, 1, 2, 9, 8]) == "0-2, 7-9"
    assert ranges([7, 0, 1], ",") == "0-1,7"


@given(st.sets(st.integers(0, 50), min_size=1))
def test_ranges_round_trip(numbers):
    assert numbers_of(ranges(numbers)) == sorted(numbers)


@pytest.mark.parametrize("text", ["", "5-", "-5", "7-3", "1,,2", "0-9-12", "a", "²"])
def test_invalid_text_is_rejected(text):
    with refusal("numbers", repr(text), error=ValueError):
        numbers_of(text)
