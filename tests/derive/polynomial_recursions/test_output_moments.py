"""Moments of polynomial recursions: against simulation, the limit, the linear engine, and rules that are wrong."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from tests.derive.linear.test_finite_width import altered, several, unit
from wideproof.derive import NotClosed, NotLinear, ProofError, Recursion, activation, define, models, moments
from wideproof.derive.language.notation import n
from wideproof.derive.linear.finite_width import fourth_moment, second_moment
from wideproof.derive.polynomial_recursions.output_moments import prove_output_moment
from wideproof.derive.proof.rules import Rule
from wideproof.numeric import Kernel

POLYNOMIALS = {"square2": "z**2", "cube3": "z**3", "hermite_two": "z**2 - 1", "curved": "z + z**2/4"}


def recursion(name):
    """h = phi(W h + F x) with a declared polynomial."""
    define(name, POLYNOMIALS[name])
    r = Recursion(name)
    W, F, C, h = r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    r.update(h, activation(name)(W @ h + F @ r.x))
    r.output(C @ h)
    return r


def multiplied():
    """States that multiply: a redrawn gate, a bias with a mean, a random start, a bias in the output."""
    r = Recursion("multiplied")
    W, V = r.matrix("W", "nu_W"), r.matrix("V", "nu_V", tied=False)
    F, C = r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h = r.state("h", initial="nu_h")
    r.update(h, (W @ h) * (V @ h + r.bias("b", "nu_b", mean="mu")) + F @ r.x + h / 2)
    r.output(C @ h + r.bias("c", "nu_c"))
    return r


@pytest.mark.parametrize(("name", "lag", "exact"), [
    ("square2", 0, 3 + 0 / n),
    ("square2", 1, 3 * (9 + (105 - 9) / n)),
    ("cube3", 0, 15 + 0 / n),
    ("hermite_two", 1, 9 + 168 / n),
])  # fmt: skip
def test_second_moments(name, lag, exact):
    """Of squares 3 E (sum of F^4)^2 / n^2 at lag 1, where E F^8 = 105 and (E F^4)^2 = 9.

    Of z^2 - 1 it is 3 s2 - 2 s1 + 1, where s1 = E (F^2 - 1)^2 = 2, s2 = s1^2 + (60 - 4) / n with E (F^2 - 1)^4 = 60.
    """
    assert sp.expand(unit(second_moment(recursion(name), lag)) - exact) == 0


@pytest.mark.parametrize("width", [4, 5, 7])
@pytest.mark.parametrize(("name", "lag", "order"), [
    ("square2", 1, 2), ("hermite_two", 1, 2), ("curved", 1, 4), ("curved", 2, 2),
])  # fmt: skip
def test_moments_agree_with_simulation_and_altered_ones_do_not(name, lag, order, width):
    """Averaged over the readout, given which y is Gaussian: E y^2 = |h|^2 / n, E y^4 = 3 (|h|^2 / n)^2.

    The variances are small, so that tails are short enough for the standard error to mean something.
    """
    rng, trials, nu = np.random.default_rng(width), 200_000, {"nu_W": 0.2, "nu_F": 0.25, "nu_C": 1.0}
    W = rng.standard_normal((trials, width, width)) * (nu["nu_W"] / width) ** 0.5
    phi = sp.lambdify(sp.Symbol("z"), sp.sympify(POLYNOMIALS[name]))
    h = phi(rng.standard_normal((trials, width, 1)) * nu["nu_F"] ** 0.5)
    for _ in range(lag):
        h = phi(W @ h)
    size = np.sum(h**2, axis=(1, 2)) / width
    sample = size if order == 2 else 3 * size**2
    exact = float(moments(recursion(name), lag=lag, order=order).formula.compile()(n=width, **nu))
    stderr = sample.std() / trials**0.5
    assert stderr < 0.05 * exact
    assert abs(sample.mean() - exact) < 4 * stderr
    assert abs(sample.mean() - 1.25 * exact) > 4 * stderr


@pytest.mark.parametrize(("name", "lag"), [("square2", 2), ("cube3", 1), ("hermite_two", 1), ("curved", 1)])
def test_the_limit_is_that_of_the_kernel_of_an_impulse(name, lag):
    rnn, nu = recursion(name), {"nu_W": 0.6, "nu_F": 0.8, "nu_C": 1.3}
    second, fourth = (
        sp.limit(x.formula.expr.subs({x.formula.symbols[key]: sp.Rational(str(v)) for key, v in nu.items()}), n, sp.oo)
        for x in (second_moment(rnn, lag), fourth_moment(rnn, min(lag, 1)))
    )
    impulse = np.eye(lag + 1)[None, :, :1]
    limit = Kernel(rnn, **nu).nngp(impulse, impulse)[0, :, 0]
    assert float(second) == pytest.approx(limit[lag, lag], rel=1e-9)
    assert float(fourth) == pytest.approx(3 * limit[min(lag, 1), min(lag, 1)] ** 2, rel=1e-9)  # Gaussian


@pytest.mark.parametrize(("rnn", "lags"), [
    (models.linear_rnn(), (3, 3)),
    (models.linear_rnn(), (0, 1, 1, 2)),
    (several(biased=False), (1, 1)),
])  # fmt: skip
def test_a_linear_recursion_has_the_moments_of_its_impulse_response(rnn, lags):
    """Two engines: words and traces, trees and indices."""
    program = rnn.program()
    proof = prove_output_moment(program, lags, "moments")
    proof.verify()
    assert sp.expand(proof.goal.right - moments(rnn, lags=lags).formula.expr) == 0


def test_proofs_hold_where_states_multiply():
    derived = moments(multiplied(), lag=0)
    derived.verify()
    symbols = derived.formula.symbols
    start, gate = symbols["nu_h"], symbols["nu_V"]
    product = derived.formula.expr.coeff(gate).coeff(start, 2)
    assert sp.expand(product - symbols["nu_C"] * symbols["nu_W"] * (1 + 2 / n)) == 0  # E |h|^4 / n^2 = 1 + 2/n
    assert r"\sum_{a" in derived.proof.latex()


@pytest.mark.parametrize("rule", ["activation", "index-sums", "index-pairings"])
def test_a_rule_wrong_by_a_thousandth_is_refused(rule, monkeypatch):
    known = Rule.registry[rule]
    monkeypatch.setitem(Rule.registry, rule, replace(known, apply=lambda *a: altered(known.apply(*a))))
    with pytest.raises(ProofError, match="audit"):
        moments(recursion("curved"), lag=1).verify()


@pytest.mark.parametrize(("name", "order"), [("square2", 4), ("curved", 2)])
def test_proofs_hold(name, order):
    moments(recursion(name), lag=1, order=order).verify()


def test_what_does_not_close_or_costs_too_much_is_refused_with_the_reason():
    for name in ("relu", "erf"):
        with pytest.raises(
            NotLinear, match=f"got {name}, which is none. Moments of other .* products do not close.*define"
        ):
            moments(models.elman(name), lag=1)
    with pytest.raises(NotClosed, match=r"lags 3, 3.*3,000,000 pairings.*27!! = 213,458,046,676,875.*28 entries of W"):
        second_moment(recursion("square2"), 3)
    with pytest.raises(NotClosed, match="products of entries in a sum"):
        moments(recursion("curved"), lag=4)
