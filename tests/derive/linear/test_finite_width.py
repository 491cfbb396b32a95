"""Exact moments at finite width against the table of erratum E2, all pairings of entries, and the limit."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    NotClosed,
    NotLinear,
    ParameterError,
    ProofError,
    Recursion,
    impulse_response,
    models,
    moments,
    relu,
    scale_factors,
    state_evolution,
)
from wideproof.derive.language.notation import j, n
from wideproof.derive.linear.finite_width import KernelEntry, ntk_mean, ntk_variance
from wideproof.derive.linear.matrix_words import pairings
from wideproof.derive.linear.trace_means import canonical, mean_of_traces
from wideproof.derive.linear.width_bound import ntk_deviation, ntk_gap
from wideproof.derive.linear.width_correction import WidthCorrection
from wideproof.derive.proof.rules import Rule

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


def residual():
    r = Recursion("skip")
    W, F, C, h = r.matrix("W"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, h / 2 + W @ h + F @ r.x)
    r.output(C @ h)
    return r


def several(biased=True):
    """Two states that feed each other, one matrix shared by both, two readouts, a bias, a product of matrices."""
    r = Recursion("several")
    W, V, U, F, C, D = r.matrix("W"), r.matrix("V"), r.matrix("U"), r.input_map("F"), r.readout("C"), r.readout("D")
    h, g = r.state("h"), r.state("g")
    r.update(h, W @ h + V @ g + F @ r.x + (r.bias("b") if biased else 0))
    r.update(g, g / 3 + W @ (U @ h.next))
    r.output(C @ h + 2 * D @ g)
    return r


OTHERS = ("residual", "several", "deep linear")


def test_words_add_up_where_a_state_is_carried_over():
    """L_2 of h/2 + W h + F x is C (W^2/n + W/sqrt(n) + 1/4) F / sqrt(n)."""
    second = {lag: unit(moments(residual(), lag=lag)) for lag in (0, 1, 2)}
    quarter = sp.Rational(1, 4)
    assert second == {0: 1, 1: 1 + quarter, 2: 1 + 2 / n**2 + 1 + quarter**2 + quarter * 2 / n}
    moments(residual(), lag=3).verify()


@pytest.mark.parametrize("make", [residual, several, lambda: models.deep_linear(depth=3)], ids=OTHERS)
def test_moments_of_other_recursions_are_proved_and_have_their_law_as_limit(make):
    rnn = make()
    law = impulse_response(several(biased=False) if make is several else rnn).formula.compile()
    for lag in (0, 1, 2):
        derived = moments(rnn, lag=lag)
        derived.verify()
        nu = {name: 0.7 for name in derived.formula.symbols if name not in ("n", "nu_b")}
        near, limit = derived.formula.compile()(n=10.0**9, **nu), law(j=np.array([lag]), **nu)[0]
        assert float(near) == pytest.approx(limit, rel=1e-6)


def test_what_does_not_close_is_refused():
    with pytest.raises(ParameterError):
        moments(models.linear_rnn(), lag=2, order=3)
    with pytest.raises(ParameterError):
        moments(models.linear_rnn())
    s = Recursion("relu")
    W, F, C, h = s.matrix("W"), s.input_map("F"), s.readout("C"), s.state("h")
    s.update(h, relu(W @ h + F @ s.x))
    s.output(C @ h)
    for derive in (moments, ntk_mean, ntk_variance, ntk_gap, ntk_deviation):
        with pytest.raises(NotLinear, match="linear"):
            derive(s, lag=1)
    r = Recursion("redrawn readout")
    W, F, C, h = r.matrix("W"), r.input_map("F"), r.readout("C", tied=False), r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    with pytest.raises(NotClosed, match="tied readouts"):
        moments(r, lag=1)
    with pytest.raises(NotClosed, match="smaller lags"):
        ntk_variance(several(), lag=9)
    for lag in (-1, 1.0, True, "3", None):
        with pytest.raises(ParameterError, match="lag"):
            ntk_mean(models.linear_rnn(), lag)


# ---- the empirical tangent kernel -----------------------------------------------------------------
def entries_at(width, trials, seed):
    """Draws of Theta_{2,2} and Theta_{1,2} of the linear RNN with unit variances, summed from the definition."""
    rng = np.random.default_rng(seed)
    W, F, C = (rng.standard_normal((trials, *shape)) for shape in ((width, width), (width, 1), (1, width)))
    right, left = [F], [C]
    for _ in range(2):
        right.append(W @ right[-1] / width**0.5)
        left.append(left[-1] @ W / width**0.5)

    def entry(t, j):
        over_readout = np.sum(right[t] * right[j], axis=(1, 2)) / width
        over_inputs = np.sum(left[t] * left[j], axis=(1, 2)) / width
        over_matrix = sum(
            np.sum(left[a] * left[b], axis=(1, 2)) * np.sum(right[t - 1 - a] * right[j - 1 - b], axis=(1, 2))
            for a in range(t)
            for b in range(j)
        )
        return over_readout + over_inputs + over_matrix / width**2

    return entry(2, 2), entry(1, 2)


@pytest.mark.parametrize("width", [4, 5, 7])
def test_the_kernel_at_finite_width_agrees_with_simulation_and_altered_moments_do_not(width):
    diagonal, leaked = entries_at(width, 200_000, 3)
    exact = [float(unit(d).subs(n, width)) for d in (
        ntk_mean(models.linear_rnn(), 2), ntk_variance(models.linear_rnn(), 2),
        ntk_mean(models.linear_rnn(), KernelEntry(1, 2)), ntk_variance(models.linear_rnn(), KernelEntry(1, 2)),
    )]  # fmt: skip
    squares = [(x - x.mean()) ** 2 for x in (diagonal, leaked)]
    samples = [diagonal, squares[0], leaked, squares[1]]
    for value, sample in zip(exact, samples, strict=True):
        stderr = sample.std() / len(sample) ** 0.5
        assert abs(sample.mean() - value) < 4.5 * stderr
    assert abs(diagonal.mean() - exact[0] * 1.03) > 4.5 * diagonal.std() / len(diagonal) ** 0.5
    assert abs(diagonal.mean() - 4) > 4.5 * diagonal.std() / len(diagonal) ** 0.5  # the limit


def test_the_mean_of_the_kernel_tends_to_the_scale_factors_and_leaks_between_lags_of_one_parity():
    rnn = models.linear_rnn()
    rho = scale_factors(rnn).formula
    for lag in range(4):
        mean = ntk_mean(rnn, lag).formula.expr
        assert sp.expand(sp.limit(mean, n, sp.oo) - rho.expr.subs(rho.symbols["j"], lag).doit()) == 0
    assert unit(ntk_mean(rnn, KernelEntry(0, 1))) == 0
    assert unit(ntk_mean(rnn, KernelEntry(0, 2))) == 2 / n


def test_entries_of_other_outputs_and_inputs_are_told_apart():
    """Off-diagonal entries have mean 0; those that share an output vary with the inputs only."""
    rnn = models.linear_rnn()
    assert unit(ntk_mean(rnn, KernelEntry(1, 1, row=0, row2=1))) == 0
    both, outputs, inputs = (
        unit(ntk_variance(rnn, KernelEntry(1, 1, *places))) for places in ((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1))
    )
    assert outputs == inputs  # C and F play the same part where all variances are 1
    assert sp.limit(n * outputs, n, sp.oo) < sp.limit(n * both, n, sp.oo)
    ntk_variance(rnn, KernelEntry(1, 1, 0, 1, 0, 1)).verify()


def test_unit_variance_parameters_weigh_each_part_with_its_variance():
    rnn = models.linear_rnn()
    nu = {name: sp.Symbol(name, positive=True) for name in ("nu_C", "nu_F", "nu_W")}
    entries, ntk = (ntk_mean(rnn, 1, p).formula for p in ("entries", "ntk"))
    parts = nu["nu_C"] * nu["nu_F"] + nu["nu_C"] * nu["nu_W"] + nu["nu_F"] * nu["nu_W"]
    assert entries.expr.subs({entries.symbols[x]: v for x, v in nu.items()}) == parts
    assert ntk.expr.subs({ntk.symbols[x]: v for x, v in nu.items()}) == 3 * nu["nu_C"] * nu["nu_F"] * nu["nu_W"]


@pytest.mark.parametrize("make", [residual, several, lambda: models.deep_linear(depth=2)], ids=OTHERS)
def test_kernels_of_other_recursions_are_proved(make):
    rnn = make()
    ntk_mean(rnn, 1).verify()
    ntk_mean(rnn, KernelEntry(0, 2)).verify()
    ntk_deviation(rnn, 0).verify()


@pytest.mark.parametrize(
    "name", ["readout-pairings", "kernel-pairings", "kernel-covariance", "kernel-gap", "chebyshev", "loop-equations"]
)
def test_a_rule_wrong_by_a_thousandth_is_refused(name, monkeypatch):
    known = Rule.registry[name]
    monkeypatch.setitem(Rule.registry, name, replace(known, apply=lambda *a: altered(known.apply(*a))))
    rnn = models.linear_rnn()
    made = {"readout-pairings": moments, "kernel-gap": ntk_gap, "chebyshev": ntk_deviation}
    derived = made.get(name, ntk_variance)(rnn, lag=2 if name == "readout-pairings" else 1)
    with pytest.raises(ProofError, match="audit"):
        derived.verify()


def altered(claim):
    """The last term of the right side a thousandth smaller."""
    *others, last = sp.Add.make_args(sp.expand(claim.right))
    return replace(claim, right=sp.Add(*others, last * sp.Rational(999, 1000)))


def test_the_chance_of_a_gap_is_bounded_at_every_width_and_the_bound_is_met_by_simulation():
    bound, gap = ntk_deviation(models.linear_rnn(), 2), ntk_gap(models.linear_rnn(), 2)
    assert unit(bound).subs(n, 1) == unit(gap).subs(n, 1)  # at epsilon = 1
    assert sp.limit(unit(gap), n, sp.oo) == 0
    diagonal, _ = entries_at(7, 200_000, 8)
    for size in (1, 2, 4, 8):
        share = np.mean(np.abs(diagonal - 4) > size)
        assert share <= float(unit(gap).subs(n, 7)) / size**2 <= float(unit(bound).subs(n, 7)) / size**2


def test_whole_numbers_of_numpy_and_sympy_are_lags_and_orders():
    rnn = models.linear_rnn()
    coefficient = WidthCorrection(sp.S.Zero, 2 * j, (), ())
    for whole in (np.int64, np.uint8, sp.Integer):
        assert moments(rnn, lag=whole(2), order=whole(2)) == moments(rnn, lag=2)
        assert ntk_mean(rnn, KernelEntry(whole(0), whole(2), whole(0))) == ntk_mean(rnn, KernelEntry(0, 2))
        assert ntk_mean(rnn, whole(1)) == ntk_mean(rnn, 1)
        assert coefficient.at(whole(5)) == 10
        assert state_evolution(rnn, horizon=whole(2)) == state_evolution(rnn, horizon=2)
        assert models.deep_linear(depth=whole(2)).program() == models.deep_linear(depth=2).program()
    assert moments(rnn, lags=np.array([0, 2])) == moments(rnn, lags=(0, 2))
    for refused in (np.float64(2), np.bool_(True), True, 2.0):
        with pytest.raises(ParameterError):
            moments(rnn, lag=refused)
        with pytest.raises(ParameterError):
            state_evolution(rnn, horizon=refused)
        with pytest.raises(ParameterError):
            coefficient.at(refused)
