"""Fixed points, slopes and horizons in numbers; phase diagrams; chi against two runs of one network."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, optimize

from wideproof.derive import NotClosed, Recursion, define, erf, memory, models
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.variants import untied
from wideproof.numeric.core.checks import judge
from wideproof.numeric.core.roots import roots, vanishes
from wideproof.numeric.memory_horizon.fixed_points import analyse
from wideproof.numeric.memory_horizon.phase_diagram import critical_gains, phase_diagram
from wideproof.numeric.validation.memory_slope import EFFECT, memory_claim

LEAKY, AT_LEAKY = memory(untied(models.leaky("tanh"))), {"nu_W": 3.0, "nu_b": 0.1, "alpha": 0.5}
TANH, ERF, RELU = (memory(models.elman(name)) for name in ("tanh", "erf", "relu"))


def gaussian(f, variance):
    """E f(z), z ~ N(0, variance), by adaptive quadrature: nothing of the engine."""
    deviation = math.sqrt(variance)
    return integrate.quad(lambda z: f(deviation * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -9, 9,
                          epsabs=1e-13, epsrel=1e-13)[0]  # fmt: skip


@pytest.mark.parametrize(("nu_W", "nu_b"), [(1.5, 0.05), (6.25, 0.09)])
def test_tanh_agrees_with_a_naive_twin(nu_W, nu_b):
    """The state variance, chi at q* and its error bound, by scipy alone."""
    point = analyse(TANH, nu_W=nu_W, nu_b=nu_b).settled
    q = optimize.brentq(lambda q: gaussian(lambda z: math.tanh(z) ** 2, nu_W * q + nu_b) - q, 1e-3, 2, xtol=1e-14)
    chi = nu_W * gaussian(lambda z: (1 - math.tanh(z) ** 2) ** 2, nu_W * q + nu_b)
    assert abs(point.q["h"] - q) <= point.q_error["h"] + 1e-11
    assert point.chi == pytest.approx(chi, rel=1e-10)
    assert point.phase == ("ordered" if chi < 1 else "chaotic")
    if chi < 1:
        assert point.horizon == pytest.approx(-1 / math.log(chi), rel=1e-9)


def test_the_known_critical_points():
    """tanh is critical at nu_W = 1 without bias and at 1.76 with nu_b = 0.05, ReLU at 2, erf at pi/4."""
    assert analyse(TANH, nu_W=1.0, nu_b=0.0).settled.phase == "critical"
    for derived, nu_W in ((TANH, 1.0), (ERF, math.pi / 4), (RELU, 2.0)):
        assert analyse(derived, nu_W=0.99 * nu_W, nu_b=0.0).settled.phase == "ordered"
    gain, drive = (TANH.critical[part].formula.compile("numpy") for part in ("gain", "drive"))
    a = optimize.brentq(lambda a: float(drive(a=a)) - 0.05, 1e-3, 5)
    assert round(float(gain(a=a)), 2) == 1.76
    near = analyse(TANH, nu_W=0.999 * float(gain(a=a)), nu_b=0.05).settled
    assert (near.phase, near.horizon > 1000) == ("ordered", True)


def test_chaos_without_bias_has_two_fixed_points_and_forgets_all_correlation():
    found = analyse(TANH, nu_W=1.69, nu_b=0.0)
    assert [point.stable for point in found.points] == [False, True]
    assert [point.q["h"] > 0 for point in found.points] == [False, True]
    assert found.settled.c["h"] == 0.0
    slope = 1.69 * gaussian(lambda z: 1 - math.tanh(z) ** 2, 1.69 * found.settled.q["h"]) ** 2
    assert found.settled.slope == pytest.approx(slope, rel=1e-9)


def test_linear_and_relu_in_closed_form():
    linear = analyse(models.linear_rnn(), nu_W=0.6, nu_F=1.0, X=2.0).settled
    assert (linear.q["h"], linear.horizon) == (pytest.approx(5.0), pytest.approx(-1 / math.log(0.6)))
    assert analyse(RELU, nu_W=1.2, nu_b=0.1).settled.q["h"] == pytest.approx(0.1 / 0.8)


@pytest.mark.parametrize(("nu_W", "nu_b", "word"), [(2.5, 0.1, "diverges"), (2.0, 0.1, "grows without bound"),
                                                    (2.0, 0.0, "every variance")])  # fmt: skip
def test_what_relu_has_no_single_fixed_point_for_is_told(nu_W, nu_b, word):
    found = analyse(RELU, nu_W=nu_W, nu_b=nu_b)
    assert word in found.note
    assert found.settled is None


def test_several_fixed_points_are_found():
    """phi = z^2/2: V = 3 (nu_W q + nu_b)^2 / 4 has two fixed points, the outer one unstable."""
    define("memory_square", sp.Symbol("z") ** 2 / 2)
    found = analyse(models.elman("memory_square"), nu_W=1.0, nu_b=0.1)
    exact = np.sort(np.roots([0.75, 0.15 - 1, 0.0075]))
    assert [point.q["h"] for point in found.points] == pytest.approx(list(exact), rel=1e-10)
    assert [point.stable for point in found.points] == [True, False]
    assert "diverges beyond" in found.note


def test_a_map_that_turns_late_is_followed_far_enough():
    """exp: q = exp(2 nu_W q) has two solutions, the outer one at q = 35.77 for nu_W = 0.05."""
    found = analyse(models.elman("exp"), nu_W=0.05, nu_b=0.0)
    exact = [optimize.brentq(lambda q: math.exp(0.1 * q) - q, *ends) for ends in ((1, 2), (20, 50))]
    assert [point.q["h"] for point in found.points] == pytest.approx(exact, rel=1e-9)
    assert "diverges beyond" in found.note


def test_slopes_at_a_dead_state_are_those_from_above():
    """At q = 0 the slope of ReLU is nu_W/2, not that of its value at the kink."""
    point = analyse(RELU, nu_W=1.0, nu_b=0.0).settled
    assert (point.q["h"], point.chi) == (0.0, pytest.approx(0.5))


def test_a_jump_is_refused_with_the_reason():
    with pytest.raises(NotClosed, match="jump"):
        analyse(models.elman("sign"), nu_W=1.0, nu_b=0.1)


def test_a_stack_is_as_slow_as_its_slowest_layer():
    found = analyse(models.stacked(2, "erf"), nu_W=1.1, nu_b=0.1, nu_U=0.5).settled
    first = analyse(ERF, nu_W=1.1, nu_b=0.1).settled
    assert found.q["h_1"] == pytest.approx(first.q["h"])
    assert found.chi >= first.chi - 1e-12


@pytest.mark.parametrize("given", [{"nu_W": 1.0}, {"nu_W": 1.0, "nu_b": -1.0}, {"nu_W": 1.0, "nu_b": 0.1, "mu": 1.0},
                                   {"nu_W": math.inf, "nu_b": 0.1}, {"nu_W": 1.0, "nu_b": 0.1, "X": 1.0}])  # fmt: skip
def test_wrong_parameters_are_refused(given):
    with pytest.raises(ParameterError):
        analyse(TANH, **given)


def test_roots_are_enclosed_and_noise_is_not_a_root():
    def cubic(x):
        return (x - 0.3) * (x - 0.31) * (x - 2), np.full_like(x, 1e-12)

    grid = np.linspace(0, 3, 7)
    found = roots(cubic, grid)
    assert [root.value for root in found] == pytest.approx([0.3, 0.31, 2])
    assert [root.falls for root in found] == [False, True, False]
    assert all(abs(root.value - exact) <= root.error < 1e-8 for root, exact in zip(found, (0.3, 0.31, 2), strict=True))
    touching = roots(lambda x: ((x - 1) ** 2, np.full_like(x, 1e-6)), np.linspace(0, 2, 21))
    assert [root.crossing for root in touching] == [False]
    assert vanishes(lambda x: (0 * x, np.full_like(x, 1e-15)), grid)
    assert not vanishes(cubic, grid)


def test_the_phase_diagram_agrees_with_single_points_and_with_the_line():
    across, up = np.linspace(0.4, 3.0, 14), np.linspace(0.0, 0.3, 7)
    found = phase_diagram(ERF, across, up)
    for i, k in ((0, 3), (4, 5), (2, 12), (6, 9)):
        point = analyse(ERF, nu_W=across[k], nu_b=up[i]).settled
        assert found.chi[i, k] == pytest.approx(point.chi, rel=1e-8)
        assert found.horizon[i, k] == pytest.approx(point.horizon, rel=1e-6)
    for row, beta in zip(found.chi, up, strict=True):
        edge = np.interp(beta, found.line[1], found.line[0])
        assert np.all((row > 1) == (across > edge))
    with pytest.raises(ParameterError):
        phase_diagram(models.stacked(), across, up)


@pytest.mark.parametrize(("derived", "given"), [
    (TANH, {"nu_W": 1.5, "nu_b": 0.05}), (TANH, {"nu_W": 3.0, "nu_b": 0.05}),
    (memory(models.elman("erf", tied=False)), {"nu_W": 1.2, "nu_b": 0.1}), (LEAKY, AT_LEAKY),
])  # fmt: skip
def test_chi_is_the_growth_of_the_difference_of_two_runs(derived, given):
    """Calibrated: refutes a true chi with probability 0.01; one that is 5 % off, either way, is refuted."""
    width = 256 if derived is LEAKY else 1024  # redrawn matrices are slow
    claim = memory_claim(derived, width, 300, 4, seed=3, nu_F=1.0, **given)
    assert judge([claim], EFFECT)[0].verdict == "holds"
    for factor in (0.95, 1.05):
        assert judge([replace(claim, prediction=factor * claim.prediction)], EFFECT)[0].verdict == "refuted"


def test_the_untied_slope_of_a_leaky_recursion_is_refuted_by_tied_runs():
    """What carries itself over is correlated with W h: redrawn matrices are an approximation, and it shows."""
    claim = memory_claim(LEAKY, 1024, 300, 4, 3, "numpy", models.leaky("tanh").program(), nu_F=1.0, **AT_LEAKY)
    assert judge([claim], EFFECT)[0].verdict == "refuted"


def coupled(phi=lambda z: z):
    r = Recursion("coupled")
    W, V, U, Z = (r.matrix(x, f"nu_{x}") for x in "WVUZ")
    h, g = r.state("h"), r.state("g")
    r.update(h, phi(W @ h + V @ g + r.input_map("F", "nu_F") @ r.x))
    r.update(g, phi(U @ h.next + Z @ g))
    r.output(r.readout("C", "nu_C") @ h)
    return memory(r)


AT_COUPLED = {"nu_W": 0.3, "nu_V": 0.5, "nu_U": 0.5, "nu_Z": 0.3, "nu_F": 1.0}


def test_coupled_states_have_one_fixed_point_and_one_horizon():
    point = analyse(coupled(), X=1.0, **AT_COUPLED).settled
    step = np.linalg.solve([[1, 0], [-0.5, 1]], [[0.3, 0.5], [0, 0.3]])
    fed = np.linalg.solve([[1, 0], [-0.5, 1]], [1.0, 0.0])
    assert list(point.q.values()) == pytest.approx(np.linalg.solve(np.eye(2) - step, fed))
    assert point.horizon == pytest.approx(-1 / math.log(max(np.linalg.eigvals(step))))
    assert analyse(coupled(), **{**AT_COUPLED, "nu_Z": 0.9}).settled is None


def test_coupled_states_in_chaos_lose_their_correlation():
    """erf: moments and slopes by the arcsine law, iterated here."""
    at = {"nu_W": 3.0, "nu_V": 2.0, "nu_U": 1.5, "nu_Z": 0.3, "nu_F": 0.0}
    found = analyse(coupled(erf), **at)
    assert [point.stable for point in found.points] == [False, True]
    q = [0.1, 0.1]
    for _ in range(300):
        a = 3 * q[0] + 2 * q[1]
        q[0] = 2 / math.pi * math.asin(2 * a / (1 + 2 * a))
        b = 1.5 * q[0] + 0.3 * q[1]
        q[1] = 2 / math.pi * math.asin(2 * b / (1 + 2 * b))
    assert list(found.settled.q.values()) == pytest.approx(q, rel=1e-9)
    assert list(found.settled.c.values()) == [0.0, 0.0]
    assert found.settled.phase == "chaotic"


def test_what_coupled_variances_do_at_and_beyond_their_critical_line_is_told():
    r = Recursion("delay")
    W, V, h, g = r.matrix("W", "nu_W"), r.matrix("V", "nu_V"), r.state("h"), r.state("g")
    r.update(g, h)
    r.update(h, W @ h + V @ g + r.input_map("F", "nu_F") @ r.x)
    r.output(r.readout("C") @ h)
    at = {"nu_W": 0.5, "nu_F": 1.0}
    assert analyse(r, nu_V=0.5, **at).points[0].phase == "critical"
    assert "constant per step" in analyse(r, nu_V=0.5, X=1.0, **at).note
    assert "diverges" in analyse(r, nu_V=0.7, X=1.0, **at).note


def test_a_linear_state_that_carries_itself_over_has_a_horizon_and_no_variance():
    found = analyse(models.leaky("identity"), alpha=0.4, nu_W=0.3)
    assert found.settled.horizon == pytest.approx(-1 / math.log((0.6 + 0.4 * 0.3**0.5) ** 2))
    assert (found.settled.q, "products of inputs" in found.note) == ({}, True)


def test_chi_of_coupled_states_is_the_growth_of_the_difference_of_two_runs():
    claim = memory_claim(coupled(erf), 512, 300, 4, seed=5, X=0.3, **AT_COUPLED)
    assert judge([claim], EFFECT)[0].verdict == "holds"
    for factor in (0.95, 1.05):
        assert judge([replace(claim, prediction=factor * claim.prediction)], EFFECT)[0].verdict == "refuted"


def test_tanh_without_drive_is_critical_at_one_and_not_beside_it():
    assert critical_gains(TANH, 0.0) == (1.0,)
    assert critical_gains(RELU, 0.0) == (2.0,)


def test_without_a_settled_variance_there_is_no_check():
    with pytest.raises(NotClosed):
        memory_claim(RELU, 64, 10, 2, nu_W=2.5, nu_b=0.1, nu_F=1.0)
    with pytest.raises(ParameterError):
        memory_claim(RELU, 64, 10, 2, nu_W=1.5, nu_b=0.1, nu_F=0.0)
