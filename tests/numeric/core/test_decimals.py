import math

import pytest

from wideproof.numeric.core.decimals import decimal, measured


@pytest.mark.parametrize("text", ["1_000", "١٢", "０", "𝟙", "1,5", "0x10", "", "1e", "one", "1" * 801, "1 2"])
def test_only_ascii_decimals_are_numbers(text):
    with pytest.raises(ValueError, match=r"decimal|float"):
        decimal(text)


def test_decimals_are_read_to_the_last_digit():
    assert decimal("-1.5e-3") == -0.0015
    assert decimal("0." + "3" * 700) == 1 / 3
    assert decimal("inf") == math.inf


@pytest.mark.parametrize(
    ("number", "error", "shown"),
    [
        (1.586812, 0.0075123, "1.5868 0.0075"),
        (0.00061359, 0.0036, "0.0006 0.0036"),
        (0.1, 0.0996, "0.10 0.10"),
        (-3.1e-5, 4.4e-6, "-3.10e-05 4.4e-06"),
        (12345.6, 120.0, "12346 120"),
        (0.0, 0.1, "0.00 0.10"),
        (1.23456789, 0.0, "1.23457 0"),
        (1.5, math.nan, "1.5 nan"),
        (1e9, 1e7, "1.000e+09 1.0e+07"),
    ],
    ids=str,
)
def test_a_number_ends_where_its_error_does(number, error, shown):
    assert " ".join(measured(number, error)) == shown
