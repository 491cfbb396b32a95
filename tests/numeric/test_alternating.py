"""Approximate message passing at finite width: the derived Onsager terms hold, none or wrong ones are refuted."""

from __future__ import annotations

import pytest

from derive import models
from derive.alternating.evaluate import line_evolution
from derive.alternating.transposes import corrections
from derive.errors import ParameterError
from numeric.alternating import check_lines
from numeric.checks import Level, overall

SETTING = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8, "theta_1": 0.7}
EVOLUTION = line_evolution(corrections(models.amp(2)))
COARSE = Level(effects={"mean-square": 0.08})


def checks(onsager: float, trials: int):
    return check_lines(models.amp(2), SETTING, width=512, trials=trials, seed=0, onsager=onsager,
                       evolution=EVOLUTION, level=COARSE)


def test_the_state_evolution_holds_at_growing_width():
    found = checks(1.0, 200)
    assert overall(found) == "holds"
    assert all(len(check.widths) == 4 for check in found)


@pytest.mark.parametrize(("onsager", "trials"), [(0.0, 150), (1.05, 250)])
def test_without_the_onsager_term_or_with_one_5_percent_wrong_it_is_refuted(onsager, trials):
    assert overall(checks(onsager, trials)) == "refuted"


def test_too_few_trials_for_an_error_are_refused():
    with pytest.raises(ParameterError, match="trials"):
        checks(1.0, 3)
