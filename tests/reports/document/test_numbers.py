import math

import pytest
from hypothesis import given, strategies as st

from wideproof.derive.language.errors import ParameterError
from wideproof.reports.document.numbers import value

CASES = [
    (0.30142, 0.0021, "0.3014(21)"), (-0.25, 0.031, "-0.250(31)"), (12.3, 1.54, "12.3(1.5)"), (123, 45, "123(45)"),
    (12345.6, 120, r"1.235(12) \times 10^{4}"), (1.5e-7, 2e-9, r"1.500(20) \times 10^{-7}"),
    (0.5, 0.0996, "0.50(10)"), (-1e-6, 0.0021, "0.0000(21)"), (0.0, 0.0021, "0.0000(21)"),
    (1e-8, 1e-6, r"0.0(1.0) \times 10^{-6}"), (5, 200, r"0.0(2.0) \times 10^{2}"),
    (-1e-9, 2e-8, r"-0.1(2.0) \times 10^{-8}"), (1e300, 1e298, r"1.000(10) \times 10^{300}"),
    (-0.6e-4, 5.8e-4, r"-0.6(5.8) \times 10^{-4}"), (1.2, 2.1, "1.2(2.1)"), (9.97, 0.997, "10.0(1.0)"),
    (1 / 3, None, "0.3333"), (0.3, 0, "0.3"), (-0.0, None, "0"), (0, 0, "0"), (100, None, "100"),
    (1e6, None, r"10^{6}"), (-1e-7, None, r"-10^{-7}"), (2e6, None, r"2 \times 10^{6}"),
    (123456.7, None, r"1.235 \times 10^{5}"), (2.5e-7, None, r"2.5 \times 10^{-7}"),
    (1, math.inf, r"1 \pm \infty"), (1, math.nan, r"1 \pm \mathrm{nan}"), (math.nan, 1, r"\mathrm{nan}"),
    (-math.inf, 1, r"-\infty"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "error", "text"), CASES)
def test_cases(x, error, text):
    assert value(x, error).body == text


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_the_printed_number_is_the_number_within_its_error(x, error):
    body = value(x, error).body
    digits, _, scale = body.partition(r" \times 10^{")
    mantissa, spread = digits.rstrip(")").split("(")
    power = int(scale.rstrip("}")) if scale else 0
    decimals = len(mantissa.partition(".")[2])
    assert float(mantissa) * 10.0**power == pytest.approx(x, rel=1e-9, abs=0.051 * error)
    units = float(spread) * 10.0**decimals if "." in spread else float(spread)
    assert units * 10.0 ** (power - decimals) == pytest.approx(error, rel=0.06)
    assert 10 <= round(units) <= 99


def test_a_negative_error_is_refused():
    with pytest.raises(ParameterError):
        value(1, -1)
