"""Approximate message passing at finite width: the derived Onsager terms hold, none or wrong ones are refuted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import Alternating, corrections, models, tanh
from wideproof.derive.alternating.evaluation import errors_of
from wideproof.derive.alternating.line_limits import line_evolution
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric import validate
from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.core.checks import Level, overall
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.alternating import LineMeasurements, LinesPlan, judge_lines
from wideproof.numeric.validation.alternating.plan import coefficients_of

SETTING = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8, "theta_1": 0.7}
EVOLUTION = line_evolution(corrections(models.amp(2)))
COARSE = Level(effects={"mean-square": 0.1})


def judged(recursion, evolution, values, width: int, trials: int, onsager: float = 1.0):
    """The verdicts on the limits of an evolution; the corrections of the draws are `onsager` times its own."""
    limits = evolution(**values)
    program = recursion.program()
    plan = LinesPlan(program, values, width, trials, onsager=onsager, coefficients=coefficients_of(limits))
    return judge_lines(gather(LineMeasurements, plan), list(errors_of(limits).values()), COARSE)


def checks(onsager: float, trials: int = 250):
    return judged(models.amp(2), EVOLUTION, SETTING, 512, trials, onsager)


def test_the_state_evolution_holds_at_growing_width():
    found = checks(1.0)
    assert overall(found) == "holds"
    assert all(len(check.widths) == 4 for check in found)


@pytest.mark.parametrize("onsager", [0.0, 1.25])
def test_without_the_onsager_term_or_with_one_a_quarter_wrong_it_is_refuted(onsager):
    assert overall(checks(onsager, 400)) == "refuted"


def power(rounds: int = 2) -> Alternating:
    """x <- A' A x."""
    run = Alternating("power iteration")
    A = run.matrix("A", variance="nu_A")
    x = run.source("x", "n")
    for k in range(rounds):
        x = A.T @ (A @ x)
        run.keep(f"x_{k}", x)
    return run


def smooth() -> Alternating:
    """A program with tanh, every product corrected."""
    run = Alternating("tanh")
    A, h = run.matrix("A", variance="nu_A"), run.source("h", "n", "nu_h")
    z = tanh(A @ h)
    x = tanh(A.T.corrected(z) + h)
    run.keep("x_0", x)
    run.keep("z_1", tanh(A.corrected(x)) + z)
    return run


def test_power_iteration_has_the_moments_of_the_marchenko_pastur_law_and_holds():
    limits = errors_of(line_evolution(power())(delta=0.5, nu_A=1.0))
    assert limits["x_0"] == pytest.approx(0.5 + 0.25)
    assert limits["x_1"] == pytest.approx(0.5 + 6 * 0.25 + 6 * 0.125 + 0.0625)
    found = judged(power(), line_evolution(power()), {"delta": 0.5, "nu_A": 1.0}, 256, 150)
    assert "refuted" not in {check.verdict for check in found}
    wrong = gather(LineMeasurements, LinesPlan(power().program(), {"delta": 0.5, "nu_A": 1.0}, 256, 150))
    assert overall(judge_lines(wrong, [1.5 * x for x in limits.values()], COARSE)) == "refuted"


def test_smooth_activations_are_integrated_with_a_bound_and_hold():
    values = {"delta": 0.5, "nu_A": 1.2, "nu_h": 0.7}
    limits, bound = line_evolution(smooth()).evaluate(**values)
    assert 0 < bound < 1e-10
    found = judged(smooth(), line_evolution(smooth()), values, 256, 150)
    assert "refuted" not in {check.verdict for check in found}
    measured = gather(
        LineMeasurements, LinesPlan(smooth().program(), values, 256, 150, coefficients=coefficients_of(limits))
    )
    assert overall(judge_lines(measured, [1.5 * x for x in errors_of(limits).values()], COARSE)) == "refuted"


def test_too_few_trials_for_an_error_are_refused():
    with pytest.raises(ParameterError, match="trials"):
        checks(1.0, 3)


def test_validate_takes_alternating_programs_and_says_what_it_cannot():
    found = validate(models.amp(1), width=64, trials=30)
    assert found.verdict in ("holds", "undecided")
    assert [check.lag for check in found.checks] == [0]
    for refused in ({"width": 32}, {"horizon": 3}, {"nu_W": 0.3}):
        with pytest.raises(ParameterError):
            validate(models.amp(1), **refused)


def test_draws_after_the_first_ask_sympy_for_no_number(monkeypatch):
    limits = EVOLUTION(**SETTING)
    plan = LinesPlan(models.amp(2).program(), SETTING, 64, 10, coefficients=coefficients_of(limits))
    drawn = partial(LineMeasurements.draw_batch, plan, "lines", 64, 2)
    first = drawn(stream(backend("numpy"), seed_sequence(1)))
    monkeypatch.setattr(sp.Basic, "subs", None)
    monkeypatch.setattr(sp.Basic, "has", None)
    again = drawn(stream(backend("numpy"), seed_sequence(1)))
    assert np.array_equal(first.moments["mean_square"].mean, again.moments["mean_square"].mean)
