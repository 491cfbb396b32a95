"""A small part of the calibration: few seeds of each kind are what the table says."""

from __future__ import annotations

from collections import Counter

import pytest

from tests import calibration
from tests.calibration import Counts


def test_a_few_seeds_refute_every_mutant_and_hardly_the_truth(capsys):
    assert calibration.main(["linear", "--seeds", "3"]) == 0
    assert "| linear | 3 | " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("alarms", "caught", "holds"), [(15, 995, True), (25, 995, False), (10, 985, True), (10, 970, False)]
)
def test_a_row_is_refused_beyond_its_binomial_error(alarms, caught, holds):
    found = Counts("linear", 1000, Counter({0.01: alarms, 0.05: 50}), Counter(), Counter({"too large": caught}), 0.0)
    assert found.holds() is holds
    assert ("yes" if holds else "NO") in found.row()
