"""Exact moments at finite width against the table of erratum E2, all pairings of entries, and the limit."""

from itertools import product

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import NotClosed, NotLinear, ParameterError, Recursion, impulse_response, models, moments, relu
from wideproof.derive.language.notation import n
from wideproof.derive.linear.finite_width import canonical, mean_of_traces, pairings

TABLE = {2: {2: 2}, 3: {2: 10, 3: 4}, 4: {2: 28, 3: 28, 4: 48}, 5: {2: 62, 3: 110, 4: 468, 5: 304}}


def unit(derived):
    one = {x: 1 for name, x in derived.formula.symbols.items() if name != "n"}
    return sp.expand(derived.formula.expr.subs(one))


def naive(words, width):
    """E of a product of traces: sum over pairings of letters and over all values of all indices."""
    slots, index = [], 0
    for word in words:
        size = len(word)
        ends = [(index + i, index + (i + 1) % size) for i in range(size)]
        slots += [(a, b) if letter > 0 else (b, a) for (a, b), letter in zip(ends, word, strict=True)]
        index += size
    total = 0
    for pairing in pairings(tuple(range(len(slots)))):
        for values in product(range(width), repeat=index):
            total += all(
                values[slots[i][0]] == values[slots[k][0]] and values[slots[i][1]] == values[slots[k][1]]
                for i, k in pairing.items()
            )
    return total


@pytest.mark.parametrize(
    "words",
    [
        ((1, 1, -1, -1),),
        ((1, 1), (1, 1)),
        ((1, -1, 1, -1),),
        ((1, 1, 1), (1,)),
        ((1, -1), (-1, 1)),
        ((1, 1, -1), (-1,)),
        ((1,), (1,), (1,), (-1,)),
    ],
)
def test_loop_equations_are_sums_over_pairings(words):
    found = mean_of_traces(canonical(words))
    for width in (1, 2, 3):
        assert sum(c * width**i for i, c in enumerate(found)) == naive(words, width)


@pytest.mark.parametrize("lag", TABLE)
def test_second_moments_are_those_of_erratum_2(lag):
    assert unit(moments(models.linear_rnn(), lag=lag)) == 1 + sum(c / n**i for i, c in TABLE[lag].items())


def test_the_limit_is_the_derived_law():
    rnn = models.linear_rnn()
    law = impulse_response(rnn).formula
    for lag in range(5):
        second, fourth = (moments(rnn, lag=lag, order=order).formula.expr for order in (2, 4))
        variance = law.expr.subs(law.symbols["j"], lag)
        assert sp.expand(sp.limit(second, n, sp.oo) - variance) == 0
        assert sp.expand(sp.limit(fourth, n, sp.oo) - 3 * variance**2) == 0  # Gaussian


def test_a_redrawn_transition_has_no_correction_in_the_second_moment():
    r = Recursion("fresh")
    W, F, C, h = r.matrix("W", "nu_W", tied=False), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    assert unit(moments(r, lag=4)) == 1
    assert unit(moments(r, lag=1, order=4)) == unit(moments(models.linear_rnn(), lag=1, order=4))
    assert unit(moments(r, lag=2, order=4)) != unit(moments(models.linear_rnn(), lag=2, order=4))


def test_mixed_lags_agree_with_simulation_and_a_wrong_coefficient_does_not():
    rng, width, trials = np.random.default_rng(5), 3, 200_000
    W, F, C = (rng.standard_normal((trials, *shape)) for shape in ((width, width), (width, 1), (1, width)))
    values = [C @ F / width**0.5]
    for _ in range(2):
        F = W @ F / width**0.5
        values.append(C @ F / width**0.5)
    first, second = (values[i][:, 0, 0] ** 2 for i in (1, 2))
    sample = first * second
    mean, stderr = sample.mean(), sample.std() / trials**0.5
    exact = float(unit(moments(models.linear_rnn(), lags=(1, 1, 2, 2))).subs(n, width))
    assert abs(mean - exact) < 5 * stderr
    assert abs(mean - (exact + 4 / width)) > 5 * stderr  # 12 in place of 8


def test_the_formula_compiles():
    f = moments(models.linear_rnn(), lag=2).formula.compile()
    assert f(n=np.array([1, 10]), nu_W=2.0, nu_F=1.0, nu_C=3.0) == pytest.approx([36.0, 12.24])


def test_what_does_not_close_is_refused():
    with pytest.raises(ParameterError):
        moments(models.linear_rnn(), lag=2, order=3)
    with pytest.raises(ParameterError):
        moments(models.linear_rnn())
    r = Recursion("skip")
    W, F, C, h = r.matrix("W"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, h / 2 + W @ h + F @ r.x)
    r.output(C @ h)
    with pytest.raises(NotClosed):
        moments(r, lag=1)
    s = Recursion("relu")
    W, F, C, h = s.matrix("W"), s.input_map("F"), s.readout("C"), s.state("h")
    s.update(h, relu(W @ h + F @ s.x))
    s.output(C @ h)
    with pytest.raises(NotLinear):
        moments(s, lag=1)
