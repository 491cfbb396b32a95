import math

import pytest

from wideproof.numeric.core.decimals import decimal


@pytest.mark.parametrize("text", ["1_000", "١٢", "０", "𝟙", "1,5", "0x10", "", "1e", "one", "1" * 801, "1 2"])
def test_only_ascii_decimals_are_numbers(text):
    with pytest.raises(ValueError, match=r"decimal|float"):
        decimal(text)


def test_decimals_are_read_to_the_last_digit():
    assert decimal("-1.5e-3") == -0.0015
    assert decimal("0." + "3" * 700) == 1 / 3
    assert decimal("inf") == math.inf
