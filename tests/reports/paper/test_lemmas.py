"""Lemmas in numbers: distances of empirical laws, responses to perturbations; and what is wrong by a little."""

import dataclasses as dc

import numpy as np
import pytest
from scipy import integrate, special
from sympy import Rational

from wideproof.numeric.paper import perturbation
from wideproof.numeric.validation.convergence import normal_distance, state_distance
from wideproof.reports.paper.width_gaps import LAW_POWER, at_most, power

NU = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
WIDTHS = (100, 1000, 10_000, 100_000)


def test_the_distance_is_the_integral_over_quantiles():
    sample, variance = np.array([0.7, -1.1, 0.2, 2.5, -0.4]), 1.3
    square = 0.0
    for i, x in enumerate(np.sort(sample)):
        square += integrate.quad(lambda u, x=x: (x - variance**0.5 * special.ndtri(u)) ** 2, i / 5, (i + 1) / 5)[0]
    assert normal_distance(sample, variance) == pytest.approx(square**0.5, rel=1e-8)
    assert normal_distance(sample, 1.001 * variance) != pytest.approx(square**0.5, rel=1e-6)


def test_the_law_of_a_state_tends_to_its_limit_and_not_to_another(monkeypatch):
    found = state_distance(NU, WIDTHS, trials=20, horizon=2)
    assert at_most("", *power(found), LAW_POWER).verdict == "holds"
    draw = normal_distance
    distance = "wideproof.numeric.validation.convergence.normal_distance"
    monkeypatch.setattr(distance, lambda sample, variance: draw(sample, 1.03 * variance))
    wrong = state_distance(NU, WIDTHS, trials=20, horizon=2)
    assert at_most("", *power(wrong), LAW_POWER).verdict == "refuted"


def test_responses_to_perturbations_have_the_covariance_of_the_gradients(monkeypatch):
    checks = perturbation.response_covariance(NU)
    assert [c.lag for c in checks] == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert {c.verdict for c in checks} == {"holds"}
    moved = perturbation.tangent

    def louder(program):
        found = moved(program)
        return dc.replace(found, output=Rational(103, 100) * found.output)

    monkeypatch.setattr(perturbation, "tangent", louder)
    assert "refuted" in {c.verdict for c in perturbation.response_covariance(NU)}
