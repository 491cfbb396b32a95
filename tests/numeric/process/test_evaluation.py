"""Gated kernels against the numbers of another program, closed forms, each other, and finite networks."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from array_api_compat import numpy as xp
from scipy import stats

from tests.gate_coverage import Coverage, covered, torch_gru
from wideproof.derive import ParameterError, Recursion, activation, models, nngp, ntk, relu, tanh
from wideproof.derive.calculus.gaussian_process import kernel_subject
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.emit.derivation import Derivation, as_program
from wideproof.derive.language.errors import TooLarge
from wideproof.derive.proof.proof import prove
from wideproof.numeric import Kernel
from wideproof.numeric.core.statistics import holm, two_sided_p
from wideproof.numeric.core.width_ladder import extrapolate
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.process import block_cholesky, paths, quadrature
from wideproof.numeric.process.factors import Factors
from wideproof.numeric.process.layout import Layout
from wideproof.numeric.process.points import pairs
from wideproof.numeric.process.quadrature import grouped, nested
from wideproof.numeric.process.quasi_monte_carlo import sampled, sizes
from wideproof.numeric.process.separable import Separable

CASES = json.loads((Path(__file__).parents[2] / "data" / "gru_kernels.json").read_text())["cases"]
NU = {"nu_W": 1.4, "nu_F": 0.8, "nu_b": 0.2, "nu_C": 1.0}
ALARM = 1e-4
"""False-alarm rate of each family of z- or t-tests below."""


def gp4a():
    """The GRU of the reference, each gate with variances and means of its own."""
    r = Recursion("gp4a")
    W = {k: r.matrix(f"W_{k}", f"varW{k}") for k in "zrh"}
    U = {k: r.input_map(f"U_{k}", f"varU{k}") for k in "zrh"}
    b = {k: r.bias(f"b_{k}", f"varb{k}", mean=sp.Symbol(f"mub{k}", real=True)) for k in "zrh"}
    h, sigma = r.state("h"), activation("erf_sigmoid")
    z, reset = (sigma(U[k] @ r.x + W[k] @ h + b[k]) for k in "zr")
    r.update(h, (1 - z) * h + z * activation("erf")(U["h"] @ r.x + W["h"] @ (h * reset) + b["h"]))
    r.output(r.readout("C", 1) @ h)
    return r


@cache
def derived(name, quantity):
    made = gp4a() if name == "gp4a" else getattr(models, name)()
    return {"nngp": nngp, "ntk": ntk}[quantity](made)


def layout(name, quantity, values=NU):
    found = derived(name, quantity)
    return Layout(found.program, found.formula.process, {s: values[n] for n, s in found.program.symbols.items()})


def steps(X):
    return np.broadcast_to(np.eye(X.shape[1]), (X.shape[0], X.shape[1], X.shape[1]))


def sample(made, X, points=1024, seed=0):
    return sampled(made, xp, X, steps(X), points, seed, lambda: None)


def smallest(scores, freedom=None):
    """The Holm-adjusted p-value of the largest of several z-scores, or t-scores."""
    scores = np.ravel(scores)
    tails = two_sided_p(scores) if freedom is None else 2 * stats.t.sf(np.abs(scores), freedom)
    return float(holm(list(tails)).min())


# ---- other programs and closed forms ---------------------------------------------------------------------
@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_the_gru_agrees_with_gp4a(case):
    X, want = np.array(case["inputs"]), np.array(case["states"])
    kernel = Kernel(gp4a(), **{k: v / case["dim"] if k.startswith("varU") else v for k, v in case["params"].items()})
    value = kernel.evaluate("nngp", X)
    found = value.value[0, :, 0, :]
    assert value.method.startswith("nested quadrature")
    assert value.stderr is None
    assert 0 < value.error.max() < 1e-9
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-6)
    mc = case["mc"]
    assert smallest((found - np.array(mc["mean"])) / np.array(mc["se"])) > ALARM


def test_wrong_gates_do_not_agree_with_gp4a():
    case = CASES[1]
    X, want = np.array(case["inputs"]), np.array(case["states"])
    values = {k: v / case["dim"] if k.startswith("varU") else v for k, v in case["params"].items()}
    made = layout("gp4a", "nngp", values)
    right = nested(made, xp, X, steps(X)).mean[0, :, 0, :]
    apart = layout("gp4a", "nngp", values)
    apart.laws = {pair: replace(law, redrawn=True) for pair, law in made.laws.items()}
    dropped = layout("gp4a", "nngp", values)
    h = next(x for law in made.laws.values() for x in law.moment or () if x.is_Symbol)
    dropped.laws = {pair: replace(law, moment=law.moment and (h, h)) for pair, law in made.laws.items()}
    np.testing.assert_allclose(right, want, atol=1e-6)
    for wrong in (apart, dropped):
        assert np.abs(nested(wrong, xp, X, steps(X)).mean[0, :, 0, :] - want).max() > 1e-3


@cache
def as_process(name, quantity):
    """A recursion that closes over two times, stated as a process."""
    program = getattr(models, name)("erf").program()
    program = program if quantity == "nngp" else tangent(program, "entries")
    return Derivation(quantity, prove(program, "kernel-process", kernel_subject(program)))


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["elman", "leaky", "residual"])
def test_what_closes_over_two_times_is_the_same_as_a_process(name, quantity):
    values = {**NU, "alpha": 0.3}
    found = as_process(name, quantity)
    parameters = {n: values[n] for n in found.program.symbols}
    made = Layout(found.program, found.formula.process, {s: values[n] for n, s in found.program.symbols.items()})
    X = np.random.default_rng(1).standard_normal((1, 3, 2))
    want = getattr(Kernel(getattr(models, name)("erf"), **parameters), quantity)(X)
    exact = nested(made, xp, X, steps(X))
    np.testing.assert_allclose(exact.mean, want, rtol=1e-10)
    several = np.random.default_rng(2).standard_normal((3, 4, 2))
    several[2] = several[0]
    want = getattr(Kernel(getattr(models, name)("erf"), **parameters), quantity)(several)
    estimate = sample(made, several)
    assert smallest((estimate.mean - want) / estimate.error, 15) > ALARM
    assert float(estimate.error.max() / np.abs(want).max()) < 0.05


# ---- the two methods, and their errors ------------------------------------------------------------------
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["gru", "mgu"])
def test_sampling_agrees_with_quadrature(name, quantity):
    X = np.random.default_rng(3).standard_normal((1, 3 if quantity == "nngp" else 2, 2))
    made = layout(name, quantity)
    exact = nested(made, xp, X, steps(X))
    estimate = sample(made, X)
    assert float((exact.error / estimate.error).max()) < 0.05
    assert smallest((estimate.mean - exact.mean) / estimate.error, 15) > ALARM
    wrong = layout(name, quantity)
    wrong.laws = {pair: replace(law, redrawn=True) for pair, law in wrong.laws.items()}
    estimate = sample(wrong, X)
    assert smallest((estimate.mean - exact.mean) / estimate.error, 15) < ALARM


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_nets_of_each_group_agree_with_paths_and_are_sharper(name, quantity):
    X = np.random.default_rng(17).standard_normal((2, 3, 2))
    X[1, 1] = X[0, 1]
    made = layout(name, quantity)
    apart = grouped(made, xp, X, steps(X), 1024, 0, lambda: None)
    together = sample(made, X, 1024, 1)
    assert smallest((apart.mean - together.mean) / np.hypot(apart.error, together.error), 15) > ALARM
    known_gate = name == "lstm" and quantity == "nngp"  # paths know the output gate by its exact moments, too
    assert float(np.median(apart.error / together.error)) < (1.5 if known_gate else 0.7)
    assert np.linalg.eigvalsh(apart.mean.reshape(6, 6)).min() > 0
    if name != "lstm":
        one = grouped(made, xp, X[:1, :2], steps(X[:1, :2]), 1024, 2, lambda: None)
        exact = nested(made, xp, X[:1, :2], steps(X[:1, :2]))
        assert smallest((one.mean - exact.mean) / one.error, 15) > ALARM
    made.laws = {pair: replace(law, redrawn=True) for pair, law in made.laws.items()}
    wrong = grouped(made, xp, X, steps(X), 1024, 0, lambda: None)
    assert smallest((wrong.mean - together.mean) / together.error, 15) < ALARM


def test_the_rule_of_perturbations_is_exact_to_the_third_degree():
    rule = pairs(xp, 5)
    u, v = rule.variable(0), rule.variable(3)
    assert rule.mean(u * u) == pytest.approx(1, rel=1e-15)
    assert rule.mean(u) == rule.mean(u * v) == rule.mean(u * u * v) == rule.mean(u**3) == 0


def test_the_lstm_of_one_step_by_both_methods():
    X = np.random.default_rng(4).standard_normal((1, 1, 2))
    for quantity in ("nngp", "ntk"):
        made = layout("lstm", quantity)
        exact, estimate = nested(made, xp, X, steps(X)), sample(made, X)
        assert smallest((estimate.mean - exact.mean) / estimate.error, 15) > ALARM


def test_the_standard_error_holds_the_bias_of_few_paths():
    X = np.random.default_rng(5).standard_normal((1, 3, 2))
    made = layout("gru", "nngp", {**NU, "nu_W": 4.0})
    exact = nested(made, xp, X, steps(X)).mean[0, 2, 0, 2]
    runs = [sample(made, X, 8, seed) for seed in range(25)]
    scores = np.array([(run.mean[0, 2, 0, 2] - exact) / run.error[0, 2, 0, 2] for run in runs])
    outside = int(np.sum(np.abs(scores) > stats.t.isf(0.025, 15)))
    assert stats.binomtest(outside, 25, 0.05, "greater").pvalue > ALARM


def test_kinks_are_quadratures_with_an_honest_error():
    X = np.random.default_rng(6).standard_normal((1, 2, 2))
    found = nngp(models.gru("relu"))
    made = Layout(found.program, found.formula.process, {s: NU[n] for n, s in found.program.symbols.items()})
    coarse = nested(made, xp, X, steps(X))
    estimate = sample(made, X, 4096)
    assert 1e-9 < float(coarse.error.max()) < 1e-3
    assert smallest((estimate.mean - coarse.mean) / np.hypot(estimate.error, coarse.error), 15) > ALARM


# ---- the GRU of PyTorch and cuDNN, factors, cost and coverage -------------------------------------------------
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_a_gate_times_a_product_inside_an_activation_is_what_networks_have(quantity):
    X = np.random.default_rng(20).standard_normal((1, 2, 2))

    def one(width):
        if quantity == "ntk":
            found = empirical_ntk(torch_gru(), X, width, trials=1600 // width, seed=width, **NU).total
        else:
            h = simulate(torch_gru(), X, width, trials=12800 // width, seed=width, states=True, **NU).states["h"]
            h = h.reshape(h.shape[0], -1, width)
            found = NU["nu_C"] * h @ np.swapaxes(h, 1, 2) / width
        found = found.reshape(found.shape[0], 2, 2)
        return found.mean(0), found.std(0, ddof=1) / len(found) ** 0.5

    mean, error = at_infinity(one)
    kernel = Kernel(torch_gru(), points=512, **NU).evaluate(quantity, X)
    limit, upper = kernel.value.reshape(2, 2), np.triu_indices(2)
    both = np.hypot(error, 0.0 if kernel.stderr is None else kernel.stderr.reshape(2, 2))[upper]
    assert smallest((mean - limit)[upper] / both) > ALARM
    assert smallest((mean - 1.3 * limit)[upper] / both) < ALARM


def test_output_and_reset_gates_need_no_paths():
    for name, without in (("gru", {"r"}), ("lstm", {"o"})):
        factors = Factors(layout(name, "ntk"))
        used = {c.name for f in factors.used & factors.layout.forms.keys() for c, _ in factors.layout.forms[f].weights}
        assert not any(x.startswith(f"W_{gate}") for x in used for gate in without)
        assert factors.used


@pytest.mark.parametrize("case", ["gru, nngp", "lstm, ntk"])
def test_sampled_errors_cover_the_truth_and_not_what_is_off(case):
    assert covered(case, 12).holds()
    assert not covered(case, 6, off=0.3).holds()


def test_coverage_refuses_scores_with_a_mean_that_no_quantile_shows():
    scores = np.random.default_rng(24).standard_t(15, 600)
    assert Coverage("fair", scores).holds()
    assert not Coverage("half a standard error high", 0.8 * scores + 0.5).holds()


def test_gates_of_one_variance_share_the_factor_of_their_covariance():
    def shared(made):
        factors = Factors(made)
        used = factors.used & made.forms.keys()
        return len(used), len({factors.twins[form] for form in used})

    assert shared(layout("lstm", "ntk")) == (6, 2)
    assert shared(layout("lstm", "nngp")) == (3, 1)
    assert shared(layout("gru", "ntk")) == (1, 1)  # the others are integrated
    other = layout("lstm", "nngp")
    gates = [c for c, d in other.laws if c == d and c.name.startswith("b_")]
    other.laws = {
        pair: replace(law, weight=0.3 + 0.1 * gates.index(pair[0])) if pair[0] in gates else law
        for pair, law in other.laws.items()
    }
    assert shared(other) == (3, 3)


def test_single_precision_is_a_millionth_of_the_kernel(monkeypatch):
    X = np.random.default_rng(22).standard_normal((5, 6, 2))
    X[1], X[2] = -X[0], X[0] + 1e-3 * X[1]
    made = layout("gru", "ntk")
    single = sample(made, X, 64)
    monkeypatch.setattr(paths, "LARGEST", 1e-300)
    double = sample(made, X, 64)
    size = sizes(xp, double.mean)
    assert 0 < np.abs((single.mean - double.mean) / size).max() < 1e-6
    np.testing.assert_allclose(single.error, double.error, rtol=1e-3)


def test_paths_stay_within_the_memory_that_is_announced():
    X, told = np.random.default_rng(21).standard_normal((10, 8, 2)), []
    kernel = Kernel(models.gru(), readout="last", points=256, memory=2.0**23, progress=lambda *x: told.append(x), **NU)
    cost = kernel.cost("nngp", X)
    assert str(cost).startswith("about ")
    kernel.nngp(X[:, :5])  # imports and caches are not the kernel's
    tracemalloc.start()
    kernel.nngp(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= cost.memory + 2.0**20 <= kernel.memory + 2.0**20
    assert cost.seconds > 0
    assert Kernel(models.gru(), **NU).cost("nngp", X[:1, :2]) is None
    assert Kernel(models.elman(), **NU).cost("nngp", X) is None


@pytest.mark.parametrize(("readout", "columns"), [("last", 2), ("average", 13)])
def test_moments_that_are_left_behind_are_not_announced_and_do_not_change_the_kernel(readout, columns, monkeypatch):
    X, kept = np.random.default_rng(22).standard_normal((6, 12, 2)), set()
    before = paths.Paths._column
    monkeypatch.setattr(
        paths.Paths, "_column", lambda self, key, *rest: (before(self, key, *rest), kept.add(len(self.columns[key])))[0]
    )
    kernel = Kernel(models.lstm(), readout=readout, points=64, **NU)
    value = kernel.ntk(X)
    assert max(kept) == columns
    Kernel(models.lstm(), readout=readout, points=64, **NU).ntk(X[:, :11])  # imports and caches are not the kernel's
    fresh = Kernel(models.lstm(), readout=readout, points=64, **NU)
    told = fresh.cost("ntk", X)
    tracemalloc.start()
    fresh.ntk(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= told.memory + 2.0**20
    monkeypatch.setattr(Factors, "passing", False)
    assert np.array_equal(Kernel(models.lstm(), readout=readout, points=64, **NU).ntk(X), value)
    assert max(kept) == 13


def product_of_three():
    """Three products inside one activation: a net of all of them."""
    r = Recursion("product-of-three")
    W, V, U = (r.matrix(x, "nu_W") for x in "WVU")
    h = r.state("h")
    r.update(h, tanh((W @ h + r.input_map("F", "nu_F") @ r.x) * (V @ h + r.bias("b", "nu_b")) * (U @ h)))
    r.output(r.readout("C", "nu_C") @ h)
    return r


@pytest.mark.parametrize(
    ("made", "quantity", "points", "steps"),
    [(product_of_three, "ntk", 16, 2), (product_of_three, "nngp", 256, 2), (models.gru, "ntk", 256, 4)],
    ids=["many products", "many points", "quadrature"],
)
def test_what_takes_long_is_told_before_within_a_factor_of_three(made, quantity, points, steps, monkeypatch):
    """By a clock that counts the numbers that are multiplied and averaged."""
    clock = [0.0]

    def counted(work):
        def done(*given):
            found = work(*given)
            clock[0] += 100.0 + sum(np.size(x) for x in given[1:] if isinstance(x, np.ndarray))
            return found

        return done

    for name in ("_pointwise", "_group_mean", "_placed"):
        monkeypatch.setattr(Separable, name, counted(getattr(Separable, name)))
    monkeypatch.setattr(quadrature, "process_time", lambda: clock[0])
    monkeypatch.setattr(quadrature, "LEVELS", (5, 7, 9, 11))
    monkeypatch.setattr(quadrature, "GRID", 11**4)
    X = np.random.default_rng(23).standard_normal((1, steps, 2))
    kernel = Kernel(made(), points=points, **NU)
    told, before = kernel.cost(quantity, X), clock[0]
    getattr(kernel, quantity)(X)
    assert 1 / 3 < told.seconds / (clock[0] - before) < 3
    assert told.memory > 0
    monkeypatch.setattr(quadrature, "process_time", lambda: 1e-9 * clock[0])
    assert kernel.cost(quantity, X) is None


# ---- activations of products and of states -----------------------------------------------------------------
def product_gate(through_a_state=False):
    """tanh(b (F x + 1)): the argument is a product of two independent Gaussian variables."""
    r = Recursion("product_gate")
    F, b, h = r.input_map("F"), r.bias("b"), r.state("h")
    g = r.state("g") if through_a_state else None
    argument = b * (F @ r.x + 1)
    if g is not None:
        r.update(g, argument)
    r.update(h, tanh(argument if g is None else g.next))
    r.output(r.readout("C") @ h)
    return r


def product_kernels(X):
    """Both kernels of `product_gate` on single steps, by sums over b and over the two products with F."""
    grams, z = X @ X.T, np.linspace(-8.5, 8.5, 161)
    weight = np.exp(-z * z / 2)
    weight, b = weight / weight.sum(), np.linspace(-8.5, 8.5, 341)[:, None, None]
    heights = np.exp(-b * b / 2) / np.exp(-b * b / 2).sum()
    both, found = heights * weight[:, None] * weight, {"nngp": np.empty(grams.shape), "ntk": np.empty(grams.shape)}
    for i, j in np.ndindex(grams.shape):
        a, c = np.sqrt(grams[i, i]), grams[i, j] / np.sqrt(grams[i, i])
        u = 1 + a * z[:, None]
        v = 1 + c * z[:, None] + np.sqrt(max(grams[j, j] - c * c, 0)) * z
        phi, psi = np.tanh(b * u), np.tanh(b * v)
        slopes = (1 - phi**2) * (1 - psi**2)
        found["nngp"][i, j] = np.sum(both * phi * psi)
        found["ntk"][i, j] = found["nngp"][i, j] + np.sum(both * slopes * (u * v + b * b * grams[i, j]))
    return found


@pytest.mark.parametrize("through_a_state", [False, True])
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_a_product_inside_an_activation_lies_within_the_stated_error(quantity, through_a_state):
    X = np.random.default_rng(0).standard_normal((2, 2))
    exact = product_kernels(X)[quantity]
    recursion = product_gate(through_a_state)
    runs = [Kernel(recursion, points=512, seed=seed).evaluate(quantity, X[:, None]) for seed in range(20)]
    scores = np.array([(run.value[:, 0, :, 0] - exact) / run.stderr[:, 0, :, 0] for run in runs])
    for i, j in ((0, 0), (0, 1), (1, 1)):
        outside = int(np.sum(np.abs(scores[:, i, j]) > stats.t.isf(0.025, 15)))
        assert stats.binomtest(outside, 20, 0.05, "greater").pvalue > ALARM
    assert all((np.abs(run.value[:, 0, :, 0] - exact) <= run.error[:, 0, :, 0]).all() for run in runs)
    assert max(float(run.error.max()) for run in runs) < 1e-3


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_a_quadrature_that_has_not_settled_says_so(quantity):
    """Four variables leave too few nodes for steep products: the stated error holds, and sampling takes over."""
    X = np.random.default_rng(0).standard_normal((2, 2))
    found = {"nngp": nngp, "ntk": ntk}[quantity](product_gate())
    made = Layout(found.program, found.formula.process, {})
    assert made.inside >= {f for f in made.forms if made.forms[f].weights[0][0].label.startswith(("F", "b"))}
    coarse, exact = nested(made, xp, X[:, None], steps(X[:, None])), product_kernels(X)[quantity]
    off = np.abs(coarse.mean[:, 0, :, 0] - exact)
    assert (off <= coarse.error[:, 0, :, 0] + 1e-12).all()
    assert off.max() > 1e-6
    kernel = Kernel(product_gate()).evaluate(quantity, X[:, None])
    assert kernel.method.startswith("randomised")
    assert kernel.error.max() < coarse.error.max()


# ---- finite networks -------------------------------------------------------------------------------------
WIDTHS = (32, 64, 128, 256)


def at_infinity(one_width):
    """Extrapolate (mean, standard error) of each entry over the ladder of widths, quadratic in 1/n."""
    means, errors = map(np.array, zip(*map(one_width, WIDTHS), strict=True))
    flat = [
        extrapolate(np.array(WIDTHS), m, e, 2)
        for m, e in zip(means.reshape(len(WIDTHS), -1).T, errors.reshape(len(WIDTHS), -1).T, strict=True)
    ]
    shape = means.shape[1:]
    return np.array([x.mean for x in flat]).reshape(shape), np.array([x.stderr for x in flat]).reshape(shape)


@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_finite_networks_have_this_nngp_kernel(name):
    X = np.random.default_rng(7).standard_normal((2, 4, 2))

    def one(width):
        run = simulate(getattr(models, name)(), X, width, trials=25600 // width, seed=width, states=True, **NU)
        h = run.states["h"].reshape(run.states["h"].shape[0], -1, width)
        products = NU["nu_C"] * h @ np.swapaxes(h, 1, 2) / width
        return products.mean(0), products.std(0, ddof=1) / len(products) ** 0.5

    mean, error = at_infinity(one)
    kernel = Kernel(getattr(models, name)(), **NU).evaluate("nngp", X)
    limit = kernel.value.reshape(8, 8)
    upper = np.triu_indices(8)
    both = np.hypot(error, kernel.stderr.reshape(8, 8))[upper]
    assert smallest((mean - limit)[upper] / both) > ALARM
    wrong = layout(name, "nngp")
    wrong.laws = {pair: replace(law, redrawn=True) for pair, law in wrong.laws.items()}
    apart = sample(wrong, X).mean.reshape(8, 8)
    assert smallest((mean - apart)[upper] / both) < ALARM


@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_finite_networks_have_this_tangent_kernel(name):
    X = np.random.default_rng(8).standard_normal((2, 3, 2))

    def one(width):
        found = empirical_ntk(getattr(models, name)(), X, width, trials=6400 // width, seed=width, **NU).total
        found = found.reshape(found.shape[0], 6, 6)
        return found.mean(0), found.std(0, ddof=1) / len(found) ** 0.5

    mean, error = at_infinity(one)
    kernel = Kernel(getattr(models, name)(), **NU).evaluate("ntk", X)
    limit = kernel.value.reshape(6, 6)
    upper = np.triu_indices(6)
    both = np.hypot(error, kernel.stderr.reshape(6, 6))[upper]
    assert smallest((mean - limit)[upper] / both) > ALARM
    assert smallest((mean - 1.3 * limit)[upper] / both) < ALARM


# ---- kernels of sequences --------------------------------------------------------------------------------
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_equal_opposite_and_zero_sequences_are_finite_and_psd(name, quantity):
    X = np.random.default_rng(9).standard_normal((5, 5, 2))
    X[1], X[2], X[3] = X[0], -X[0], 0
    kernel = Kernel(getattr(models, name)(), points=128, **NU).evaluate(quantity, X)
    found = kernel.value
    assert np.isfinite(found).all()
    assert np.isfinite(kernel.stderr).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-15)
    flat = found.reshape(25, 25)
    np.testing.assert_allclose(flat, flat.T, rtol=1e-12)
    assert np.linalg.eigvalsh(flat).min() > -1e-12 * np.trace(flat)
    for zero in ("nu_W", "nu_F", "nu_b", "nu_C"):
        assert np.isfinite(getattr(Kernel(getattr(models, name)(), points=64, **{**NU, zero: 0}), quantity)(X)).all()


def test_without_biases_zero_inputs_give_a_zero_kernel():
    for X in (np.zeros((1, 3, 2)), np.zeros((2, 6, 2))):
        kernel = Kernel(models.gru(), points=64, **{**NU, "nu_b": 0})
        assert np.abs(kernel.nngp(X)).max() == 0
        assert np.isfinite(kernel.ntk(X)).all()


def test_lengths_readouts_and_batches():
    rng = np.random.default_rng(10)
    L = [rng.standard_normal((T, 2)) for T in (6, 3, 6, 2)]
    last = Kernel(models.gru(), readout="last", points=128, **NU)
    ends = last.evaluate("nngp", L)
    found = ends.value
    each = Kernel(models.gru(), points=128, **NU)
    for i, x in enumerate(L):
        alone = each.evaluate("nngp", x[None])
        gap = found[i, i] - alone.value[0, -1, 0, -1]
        assert abs(gap) <= ends.error[i, i] + alone.error[0, -1, 0, -1]
    crossed = last.nngp(L[:2], L[2:])
    np.testing.assert_allclose(crossed, found[:2, 2:], atol=1e-12)
    mean = Kernel(models.gru(), readout="average", points=128, **NU).nngp(L)
    full = each.evaluate("nngp", np.stack([L[0], L[2]]))
    assert mean[0, 2] == pytest.approx(full.value[0, :, 1, :].mean(), abs=float(full.error.max()))


def test_blocks_within_the_memory_agree_with_all_at_once():
    X = np.random.default_rng(11).standard_normal((4, 5, 2))
    once, told = Kernel(models.mgu(), points=64, **NU), []
    whole = once.evaluate("nngp", X)
    small = Kernel(models.mgu(), points=64, memory=150_000, progress=lambda done, of: told.append((done, of)), **NU)
    parts = small.evaluate("nngp", X)
    assert smallest((whole.value - parts.value) / np.hypot(whole.stderr, parts.stderr), 15) > ALARM
    assert told[-1][0] == told[-1][1] == len(told) > 16
    assert once.nngp(X) == pytest.approx(whole.value, rel=0, abs=0)
    with pytest.raises(ParameterError, match="memory"):
        Kernel(models.mgu(), memory=2**10, **NU).nngp(X)
    with pytest.raises(ParameterError, match="power of two"):
        Kernel(models.mgu(), points=1000, **NU)
    with pytest.raises(ParameterError, match="nu_b"):
        Kernel(models.mgu(), nu_W=1.0, nu_F=1.0, nu_C=1.0).nngp(X)


def test_the_parts_of_the_parameters_add_up_and_the_conventions_agree():
    X = np.random.default_rng(12).standard_normal((1, 2, 2))
    kernel = Kernel(models.gru(), **NU)
    parts = kernel.ntk_by_parameter(X)
    np.testing.assert_allclose(sum(parts.values()), kernel.ntk(X), rtol=1e-9)
    scaled = sum(part * NU["nu_" + name[0]] for name, part in parts.items())
    np.testing.assert_allclose(Kernel(models.gru(), "ntk", **NU).ntk(X), scaled, rtol=1e-9)


def test_correlated_activations_of_one_matrix_have_numbers():
    r = Recursion("shared")
    U, F, h = r.matrix("U"), r.input_map("F"), r.state("h")
    r.update(h, tanh(F @ r.x) * relu(U @ h + F @ r.x))
    r.output(r.readout("C") @ h)
    X = np.random.default_rng(13).standard_normal((2, 3, 2))

    def one(width):
        run = simulate(r, X, width, trials=25600 // width, seed=width, states=True)
        states = run.states["h"].reshape(run.states["h"].shape[0], -1, width)
        products = states @ np.swapaxes(states, 1, 2) / width
        return products.mean(0), products.std(0, ddof=1) / len(products) ** 0.5

    mean, error = at_infinity(one)
    kernel = Kernel(r).evaluate("nngp", X)
    limit = kernel.value.reshape(6, 6)
    assert smallest(((mean - limit) / np.hypot(error, kernel.stderr.reshape(6, 6)))[np.triu_indices(6)]) > ALARM


def test_gates_drawn_afresh_at_each_step():
    X = np.random.default_rng(16).standard_normal((2, 3, 2))

    def gated(tied):
        r = Recursion("redrawn")
        U, W, F, h = r.matrix("U", 2, tied=tied), r.matrix("W", tied=tied), r.input_map("F"), r.state("h")
        z = activation("sigmoid")(U @ h + F @ r.x)
        r.update(h, z * h + (1 - z) * tanh(W @ h + F @ r.x))
        r.output(r.readout("C") @ h)
        return r

    def one(width):
        states = simulate(gated(False), X, width, trials=25600 // width, seed=width, states=True).states["h"]
        states = states.reshape(states.shape[0], -1, width)
        products = states @ np.swapaxes(states, 1, 2) / width
        return products.mean(0), products.std(0, ddof=1) / len(products) ** 0.5

    (mean, error), upper = at_infinity(one), np.triu_indices(6)
    afresh, shared = (Kernel(gated(tied), points=2048).evaluate("nngp", X) for tied in (False, True))
    limit, other = (kernel.value.reshape(6, 6) for kernel in (afresh, shared))
    assert smallest(((mean - limit) / np.hypot(error, afresh.stderr.reshape(6, 6)))[upper]) > ALARM
    assert smallest(((limit - other) / np.hypot(shared.stderr, afresh.stderr).reshape(6, 6))[upper], 15) < ALARM


def test_random_starts_shared_or_not():
    X = np.random.default_rng(14).standard_normal((2, 3, 2))
    for shared in (True, False):
        r = Recursion("started")
        U, F, h = r.matrix("U"), r.input_map("F"), r.state("h", initial=2, shared=shared)
        gate = activation("sigmoid")(F @ r.x)
        r.update(h, gate * h + (1 - gate) * tanh(U @ h))
        r.output(r.readout("C") @ h)
        run = simulate(r, X, 128, trials=200, seed=3, states=True).states["h"].reshape(200, -1, 128)
        products = run @ np.swapaxes(run, 1, 2) / 128
        kernel = Kernel(r)
        limit = kernel.nngp(X).reshape(6, 6)
        assert float(np.abs(products.mean(0) - limit).max()) < 0.05 * float(limit.max())
        assert (abs(limit[0, 3]) > 0.2) == shared


# ---- singular covariances --------------------------------------------------------------------------------
@pytest.mark.parametrize("swept", [True, False], ids=["as installed", "on arrays"])
@pytest.mark.parametrize("panel", [0, 4, 256])
def test_revealed_blocks_have_the_covariance_they_were_given(panel, swept, monkeypatch):
    monkeypatch.setattr(block_cholesky, "PANEL", panel)
    if not swept:
        monkeypatch.setattr(block_cholesky, "loop_of", lambda loop: None)
    rng = np.random.default_rng(15)
    A = rng.standard_normal((10, 14))
    A[3], A[4], A[9] = A[0], 0, A[1] - A[6]
    covariance = A @ A.T
    revealed = block_cholesky.Revealed(np.full((2, 10, 10), np.nan))
    both = np.stack([covariance, 2 * covariance])
    blocks = [slice(start, start + 2) for start in range(0, 10, 2)]
    rows = [revealed.append(both[:, : b.start, b], both[:, b, b]) for b in blocks]
    L, other = (np.concatenate([np.pad(row[i], ((0, 0), (0, 10 - row.shape[2]))) for row in rows]) for i in (0, 1))
    np.testing.assert_allclose(other, np.sqrt(2) * L, atol=1e-12)
    np.testing.assert_allclose(L @ L.T, covariance, atol=1e-12)
    assert np.all(L[:, [3, 4, 9]] == 0)
    assert revealed.ends == {0: [2, 4, 6, 8, 10], 4: [4, 8, 10], 256: [8, 10]}[panel]


def test_factors_by_the_loop_are_those_on_arrays(monkeypatch):
    A = np.random.default_rng(16).standard_normal((3, 6, 9))
    A[:, 4], A[1, 2] = A[:, 1], 0.0
    matrix = A @ np.swapaxes(A, 1, 2)
    scale = np.diagonal(matrix, axis1=1, axis2=2)
    looped = block_cholesky.semidefinite_cholesky(matrix, scale)
    monkeypatch.setattr(block_cholesky, "loop_of", lambda loop: None)
    for found, want in zip(looped, block_cholesky.semidefinite_cholesky(matrix, scale), strict=True):
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_an_overflow_comes_with_its_step_whatever_the_method(steps):
    """Two and three steps at nu_F x^2 = 1e320 came out as 0 +- 0; from four on the overflow had no step."""
    X = np.random.default_rng(0).standard_normal((1, steps, 2))
    nu = {name: 1.0 for name in as_program(models.gru()).symbols} | {"nu_F": 1e200}
    X[0, 1] *= 1e60  # the first step is harmless
    with pytest.raises(TooLarge, match=r"kernel of gru.*overflow from step 1 on"):
        Kernel(models.gru(), readout="last", points=256, **nu).nngp(X)


@pytest.mark.parametrize(
    ("steps", "options", "said"),
    [
        (
            9,
            {"memory": 1e6},
            r"steps and 4096 paths, 5\.86e\+06 bytes, got 1e\+06\. Give memory=5856576, or points=512,",
        ),
        (10700, {"points": 1, "memory": 1e12}, "at most 10600 steps, got 10700"),
    ],
)
def test_horizons_that_do_not_fit_say_what_does(steps, options, said):
    """The hint was to give more memory, and not how much, also where no memory would do."""
    X = np.arange(2.0)[:, None, None] * np.ones((1, steps, 1))
    kernel = Kernel(models.gru(), readout="last", **options, **dict.fromkeys(as_program(models.gru()).symbols, 0.5))
    with pytest.raises(ParameterError, match=said):
        kernel.nngp(X)


def test_signs_by_their_transform_and_by_products_give_one_kernel(monkeypatch):
    X = np.random.default_rng(18).standard_normal((3, 4, 2))
    made = layout("lstm", "ntk")
    swept = sample(made, X, 64)
    monkeypatch.setattr(paths, "loop_of", lambda loop: None)
    np.testing.assert_allclose(swept.mean, sample(made, X, 64).mean, rtol=1e-5)
