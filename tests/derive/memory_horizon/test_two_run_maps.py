"""Memory of coupled and of linear states: Perron roots against iterated two-run maps written here; mutants refused."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import NotClosed, ProofError, Recursion, erf, memory, models, relu, tanh
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.memory_horizon.memory_rules import EvaluatedMap, EvaluatedRadius, FixedAt, OfLetters

NU = {"nu_W": 0.3, "nu_V": 0.5, "nu_U": 0.5, "nu_Z": 0.3}


def start(name, *matrices, tied=True):
    r = Recursion(name)
    return r, *(r.matrix(x, f"nu_{x}", tied=tied) for x in matrices), r.input_map("F", "nu_F"), r.readout("C", "nu_C")


def coupled(phi=lambda z: z, later=False, swapped=False):
    r, W, V, U, Z, F, C = start("coupled", *"WVUZ")
    h, g = r.state("h"), r.state("g")
    updates = [(h, phi(W @ h + V @ g + F @ r.x)), (g, phi(U @ (h.next if later else h) + Z @ g))]
    for state, body in updates[::-1] if swapped else updates:
        r.update(state, body)
    r.output(C @ h)
    return r


def delay(phi=lambda z: z, length=1, reversed_=False):
    r, W, V, F, C = start("delay", *"WV")
    h = r.state("h")
    line = [h, *(r.state(f"g_{i}") for i in range(length))]
    updates = [(h, phi(W @ h + V @ line[-1] + F @ r.x)), *zip(line[1:], line, strict=False)]
    for state, body in updates[::-1] if reversed_ else updates:
        r.update(state, body)
    r.output(C @ h)
    return r


def block():
    r, W, V, F, C = start("block", *"WV")
    h, g = r.state("h"), r.state("g")
    r.update(h, W @ h + F @ r.x)
    r.update(g, relu(V @ g + r.input_map("G") @ r.x))
    r.output(C @ (h + g))
    return r


def shared():
    """One matrix for both states: E[h g'] enters."""
    r, W, Z, F, C = start("shared", *"WZ")
    h, g = r.state("h"), r.state("g")
    r.update(h, erf(W @ (h + 2 * g) + F @ r.x))
    r.update(g, erf(W @ h + Z @ g))
    r.output(C @ h)
    return r


def ring(length=3):
    r = Recursion("ring")
    states = [r.state(f"h_{i}") for i in range(length)]
    for i, state in enumerate(states):
        r.update(state, relu(r.matrix(f"W_{i}", f"nu_{i}") @ states[i - 1]))
    r.output(r.readout("C") @ states[0])
    return r


def mixed():
    """h = a h + (W + V_t) h with V redrawn, biases and constants."""
    r = Recursion("mixed")
    W, V, C, h = r.matrix("W", "nu_W"), r.matrix("V", "nu_V", tied=False), r.readout("C"), r.state("h")
    r.update(h, sp.Symbol("a", real=True) * h + (W + V) @ h + r.input_map("F") @ r.x + r.bias("b") + 1)
    r.output(C @ h)
    return r


MODELS = {
    "linear": coupled,
    "relu": lambda: coupled(relu, later=True),
    "tanh": lambda: coupled(tanh),
    "delay": delay,
    "relu delay": lambda: delay(relu),
    "long delay": lambda: delay(length=2),
    "block": block,
    "shared": shared,
    "leaky": lambda: models.leaky("identity"),
    "mixed": mixed,
}


@cache
def derived(name):
    return memory(MODELS[name]())


def at(derivation, **values):
    formula = derivation.formula
    return float(formula.compile("numpy")(**{name: values.get(name, 0.7) for name in formula.arguments}))


def slope(model, **values):
    return math.exp(-1 / at(memory(model), **values))


@pytest.mark.parametrize("swapped", [False, True])
def test_two_linear_states_are_one_system_whatever_the_order_of_the_updates(swapped):
    found = memory(coupled(swapped=swapped))
    assert at(found, **NU) == pytest.approx(-1 / math.log(0.8), rel=1e-12)
    assert found.formula.expr == derived("linear").formula.expr
    assert [at(found.chi[x], **NU) for x in "hg"] == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize("reversed_", [False, True])
def test_a_delay_line_has_the_root_of_its_quadratic(reversed_):
    for phi, half in ((lambda z: z, 1.0), (relu, 0.5)):
        nu_W, nu_V = half * 0.3, half * 0.5
        root = (nu_W + math.sqrt(nu_W**2 + 4 * nu_V)) / 2
        assert slope(delay(phi, reversed_=reversed_), nu_W=0.3, nu_V=0.5) == pytest.approx(root, rel=1e-10)


def test_a_longer_delay_line_has_the_root_of_its_cubic_with_an_error():
    number, bound = (
        derived("long delay").formula.compile("numpy").with_error(q_h=1.0, q_g_0=1.0, q_g_1=1.0, nu_W=0.3, nu_V=0.5)
    )
    root = max(np.roots([1, -0.3, 0, -0.5]).real)
    assert abs(float(number) + 1 / math.log(root)) <= float(bound) < 1e-11


def test_independent_states_have_the_larger_slope_and_a_ring_the_geometric_mean():
    assert slope(block(), nu_W=0.3, nu_V=0.5) == pytest.approx(0.3)
    assert slope(block(), nu_W=0.3, nu_V=0.9) == pytest.approx(0.45)
    assert slope(ring(), nu_0=0.3, nu_1=0.5, nu_2=0.7) == pytest.approx((0.3 * 0.5 * 0.7) ** (1 / 3) / 2)


def arcsine(a, b, c):
    return 2 / math.pi * math.asin(2 * c / math.sqrt((1 + 2 * a) * (1 + 2 * b)))


def rate(step, count):
    """The growth per step of q - c of two runs whose moments are iterated from rest: nothing of the engine."""
    q = [0.0] * count
    for _ in range(400):
        q = step(q, q)
    gap, last = [1e-6] * count, 0.0
    for _ in range(60):
        after = [a - b for a, b in zip(step(q, q), step(q, [x - d for x, d in zip(q, gap, strict=True)]), strict=True)]
        last = after[0] / gap[0]
        gap = [1e-6 * x / after[0] for x in after]
    return q, last


@pytest.mark.parametrize("later", [False, True])
def test_the_slope_is_that_of_the_iterated_map_also_where_an_update_reads_another(later):
    def step(q, c):
        a = 0.3 * q[0] + 0.5 * q[1] + 0.3
        h = arcsine(a, a, 0.3 * c[0] + 0.5 * c[1] + 0.3)
        own, across = (arcsine(a, a, a), h) if later else (q[0], c[0])
        b = 0.5 * own + 0.3 * q[1]
        return [h, arcsine(b, b, 0.5 * across + 0.3 * c[1])]

    q, expected = rate(step, 2)
    values = {**NU, "nu_F": 1.0, "X": 0.3, "q_h": q[0], "q_g": q[1]}
    assert slope(coupled(erf, later), **values) == pytest.approx(expected, rel=1e-5)


def test_moments_between_states_that_share_a_matrix_are_part_of_the_system():
    def step(q, c):
        def moments(m):
            return 0.6 * (m[0] + 4 * m[1] + 4 * m[2]) + 0.5, 0.6 * m[0] + 0.4 * m[1], 0.6 * (m[0] + 2 * m[2])

        (a, b, _), (x, y, z) = moments(q), moments(c)
        return [arcsine(a, a, x), arcsine(b, b, y), arcsine(a, b, z)]

    q, expected = rate(step, 3)
    values = {"nu_W": 0.6, "nu_Z": 0.4, "nu_F": 1.0, "X": 0.5, "q_h": q[0], "q_g": q[1], "q_h_g": q[2]}
    assert slope(shared(), **values) == pytest.approx(expected, rel=1e-5)
    assert set(derived("shared").variance_map) == {"h", "g", "h_g"}


def test_a_linear_state_that_carries_itself_over_grows_by_the_square_of_its_radius():
    alpha, nu_W, nu_V = 0.4, 0.3, 0.7
    assert slope(models.leaky("identity"), alpha=alpha, nu_W=nu_W) == pytest.approx((0.6 + 0.4 * nu_W**0.5) ** 2)
    assert slope(models.leaky("identity"), alpha=1.5, nu_W=nu_W) == pytest.approx((0.5 + 1.5 * nu_W**0.5) ** 2)
    assert at(memory(models.residual("identity")).chi["h"], nu_W=0.25) == pytest.approx(2.25)
    a, r = 0.6, Recursion("redrawn")
    W, C, h = r.matrix("W", "nu_W", tied=False), r.readout("C"), r.state("h")
    r.update(h, sp.Rational(3, 5) * h + W @ h + r.input_map("F") @ r.x)
    r.output(C @ h)
    assert slope(r, nu_W=nu_W) == pytest.approx(a**2 + nu_W)
    assert slope(mixed(), a=a, nu_W=nu_W, nu_V=nu_V) == pytest.approx(
        a**2 + nu_W + math.sqrt(4 * a**2 * nu_W + nu_V**2)
    )


def test_the_growth_of_a_carried_state_is_that_of_wide_matrices():
    """E d_t^2 of drawn matrices, within 4 standard errors of the binomial sum that the slope is the late growth of."""
    rng, n, a, s, steps, trials = np.random.default_rng(0), 400, 0.5, 0.6, 5, 100
    found = np.empty((trials, steps))
    for trial in range(trials):
        A, d = a * np.eye(n) + s * rng.standard_normal((n, n)) / n**0.5, np.ones(n)
        for t in range(steps):
            found[trial, t] = d @ d / n
            d = A @ d
    sums = [sum(math.comb(t, k) ** 2 * a ** (2 * (t - k)) * s ** (2 * k) for k in range(t + 1)) for t in range(202)]
    errors = found.std(axis=0, ddof=1) / trials**0.5
    assert np.all(np.abs(found.mean(axis=0) - sums[:steps]) <= 4 * errors + 1e-12)
    late = 201 * sums[201] / sums[200] - 200 * sums[200] / sums[199]
    assert late == pytest.approx((a + s) ** 2, rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_every_proof_verifies_and_no_claim_wrong_by_a_thousandth_does(name):
    found = derived(name)
    parts = [*found.slope.values(), *found.variance_slope.values(), *found.fixed_point.values()]
    drawn, refused = worlds(found.proof.program), set()
    for part in [found, *parts[-4:]]:
        part.proof.verify()
        assert part.proof.program == found.proof.program
        ours = [
            s for s in part.proof.steps if isinstance(s.claim, OfLetters | EvaluatedMap | FixedAt | EvaluatedRadius)
        ]
        assert ours
        for step in (s for s in ours if s.claim.right != 0 and s.claim not in refused):
            wrong = replace(step, claim=replace(step.claim, right=step.claim.right * sp.Rational(1001, 1000)))
            with pytest.raises(ProofError):
                audit_step(wrong, drawn)
            refused.add(step.claim)  # parts repeat it


def test_fixed_points_of_affine_maps_solve_the_system():
    found = memory(coupled()).fixed_point
    values = {**NU, "nu_F": 1.0, "X": 1.0}
    q = [at(found[x], **values) for x in "hg"]
    assert q == pytest.approx(np.linalg.solve(np.eye(2) - [[0.3, 0.5], [0.5, 0.3]], [1.0, 0.0]))


def test_coupled_states_that_carry_themselves_over_are_refused_with_the_reason():
    r, W, V, F, C = start("carried", *"WV")
    h, g = r.state("h"), r.state("g")
    r.update(h, h / 2 + W @ g + F @ r.x)
    r.update(g, V @ h)
    r.output(C @ h)
    with pytest.raises(NotClosed) as error:
        memory(r)
    assert "unequal times" in error.value.hint
