"""Proposition 2.1 both ways, and the spectral radius, on recursions written here."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    NotClosed,
    NotLinear,
    ParameterError,
    ProofError,
    Recursion,
    convolution_of,
    models,
    realization,
    relu,
    stability,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.linear.realization import chebyshev, lagrange_coefficients


def combined():
    r = Recursion("combined")
    W, V = r.matrix("W", "nu_W"), r.matrix("V", "nu_V")
    F, C, h = r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, (W - 2 * V) @ h + h / 3 + F @ r.x)
    r.output(C @ h)
    return r


def test_a_realisation_is_exact_in_rationals():
    rng = np.random.default_rng(0)
    target = rng.standard_normal((7, 2, 3))
    made = realization(target)
    assert made.units == 7 * 2 * 3
    found = made.impulse(9)
    assert all(found[j][r][c] == Fraction(target[j, r, c]) for j in range(7) for r in range(2) for c in range(3))
    assert any(found[7][r][c] != 0 for r in range(2) for c in range(3))  # past the horizon it is what it is


def test_given_nodes_are_used_and_must_differ():
    made = realization([1, 2, sp.Rational(1, 3)], nodes=[0, 1, Fraction(-1, 2)])
    assert made.nodes == (0, 1, Fraction(-1, 2))
    assert [block[0][0] for block in made.impulse(3)] == [1, 2, Fraction(1, 3)]
    for nodes in ([0, 1], [0, 1, 1]):
        with pytest.raises(ParameterError):
            realization([1, 2, 3], nodes=nodes)
    with pytest.raises(ParameterError):
        realization([[[1, 2]], [[1]]])


def test_lagrange_polynomials_are_one_at_their_node_and_zero_at_the_others():
    nodes = chebyshev(6)
    assert len(set(nodes)) == 6
    for k in range(6):
        row = lagrange_coefficients(nodes, k)
        assert [sum(c * x**i for i, c in enumerate(row)) for x in nodes] == [int(i == k) for i in range(6)]


def test_nodes_are_the_rationals_next_to_those_of_chebyshev():
    for count in (1, 2, 4, 9):
        want = np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count))
        found = chebyshev(count)
        assert len(set(found)) == count
        for x, y in zip(found, want, strict=True):
            assert x == Fraction(y).limit_denominator(64 * count**2)


def test_other_numbers_than_the_goal_s_are_refused():
    made = realization([1, 2, Fraction(1, 3)])
    made.verify()
    for other in (
        {"target": (((Fraction(1001, 1000),),), *made.target[1:])},
        {"nodes": (*made.nodes[:2], Fraction(7))},
    ):
        if "nodes" in other:  # any nodes will do, and the weights are theirs
            assert replace(made, **other).impulse(3) == made.target
            continue
        object.__setattr__(made, "target", other["target"])
        with pytest.raises(ProofError, match="given impulse response"):
            made.__post_init__()


def test_numbers_are_taken_as_the_rationals_they_are():
    mixed = [1, 0.1, Fraction(1, 3), sp.Rational(2, 7), np.float64(0.7), np.int64(3), np.float32(0.1)]
    found = [block[0][0] for block in realization(mixed).impulse(7)]
    assert found == [1, Fraction(0.1), Fraction(1, 3), Fraction(2, 7), Fraction(0.7), 3, Fraction(float(mixed[-1]))]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (models.linear_rnn(), "the recursion 'linear-rnn'"),
        (models.linear_rnn().program(), "the recursion 'linear-rnn'"),
        ("0.5", "got 0.5"),
        (3, "got 3"),
        (None, "got None"),
        ({0: 1}, "got {0: 1}"),
        ([1, "0.5"], "str 0.5"),
        ([[["1"]]], "str 1"),
        (["ab"], "str ab"),
        ([True], "bool True"),
        ([float("nan")], "float nan"),
        ([1j], "complex 1j"),
        ([None], "NoneType None"),
        (np.ma.masked_array([1.0, 2.0], mask=[0, 1]), "Masked"),
        ([[1, 2]], "shape"),
        (np.zeros((2, 3)), "shape"),
        (np.zeros((2, 0, 1)), "shape"),
        ([], "shape"),
    ],
    ids=str,
)
def test_what_is_no_impulse_response_is_refused_with_what_to_pass(given, what):
    with pytest.raises(ParameterError, match="realization") as caught:
        realization(given)
    assert what in str(caught.value)


@pytest.mark.parametrize("nodes", ["ab", [0, "1"], 3, [0, float("inf")], [0, 1j]], ids=str)
def test_nodes_that_are_no_numbers_are_refused(nodes):
    with pytest.raises(ParameterError, match="realization"):
        realization([1, 2], nodes=nodes)


def test_the_impulse_response_is_the_paper_s_and_of_a_combination_too():
    derived = convolution_of(models.linear_rnn())
    assert derived.formula.latex().replace(r"\,", " ") == r"n^{- \frac{j}{2} - \frac{1}{2}} C W^{j} F"
    both = convolution_of(combined())
    both.proof.verify()
    assert both.formula.expr.has(sp.Symbol("V", commutative=False)) or "V" in str(both.formula.expr)


def test_the_radius_adds_variances_and_shifts_by_the_skip():
    linear, both = stability(models.linear_rnn()), stability(combined())
    assert linear.formula.compile()(nu_W=0.49, nu_F=1.0, nu_C=1.0) == pytest.approx(0.7)
    assert both.formula.compile()(nu_W=0.09, nu_V=0.04) == pytest.approx(1 / 3 + 0.25**0.5)
    both.proof.verify()
    rng, n = np.random.default_rng(1), 400
    A = np.eye(n) / 3 + (0.3 * rng.standard_normal((n, n)) - 0.4 * rng.standard_normal((n, n))) / n**0.5
    assert np.abs(np.linalg.eigvals(A)).max() == pytest.approx(1 / 3 + 0.5, abs=0.06)


def two_states(*, later=False, carried=0):
    r = Recursion("two")
    W, V, U, Z = (r.matrix(x, f"nu_{x}") for x in "WVUZ")
    C, h, g = r.readout("C"), r.state("h"), r.state("g")
    r.update(h, carried * h + W @ h + V @ g + r.input_map("F") @ r.x)
    r.update(g, U @ (h.next if later else h) + Z @ g + r.bias("b"))
    r.output(C @ h)
    return r


def eigenvalues(blocks, n=300, seed=3):
    """The spectral radius of a drawn matrix of blocks: a variance, or a multiple of the identity."""
    rng = np.random.default_rng(seed)
    drawn = [[x[0] * np.eye(n) + (x[1] / n) ** 0.5 * rng.standard_normal((n, n)) for x in row] for row in blocks]
    return np.abs(np.linalg.eigvals(np.block(drawn))).max()


def test_the_radius_of_a_leaky_recursion_with_a_bias_asks_for_its_own_symbols_only():
    found = stability(models.leaky("identity"))
    found.proof.verify()
    assert found.formula.arguments == ("alpha", "nu_W")
    assert found.formula.compile()(alpha=0.4, nu_W=0.3) == pytest.approx(0.6 + 0.4 * 0.3**0.5)
    assert found.formula.compile()(alpha=1.5, nu_W=0.3) == pytest.approx(0.5 + 1.5 * 0.3**0.5)
    assert eigenvalues([[(0.6, 0.16 * 0.3)]]) == pytest.approx(0.6 + 0.4 * 0.3**0.5, abs=0.04)
    assert stability(models.residual("identity")).formula.arguments == ("nu_W",)
    assert stability(models.elman("identity", bias=False)).formula.expr == sp.sqrt(sp.Symbol("nu_W", nonnegative=True))


def test_the_radius_of_coupled_states_is_that_of_drawn_blocks():
    nu = {"nu_W": 0.3, "nu_V": 0.5, "nu_U": 0.4, "nu_Z": 0.2}
    found = stability(two_states())
    found.proof.verify()
    value = found.formula.compile()(**nu)
    assert value == pytest.approx(np.sqrt(max(np.linalg.eigvals([[0.3, 0.5], [0.4, 0.2]]))))
    assert eigenvalues([[(0, 0.3), (0, 0.5)], [(0, 0.4), (0, 0.2)]]) == pytest.approx(value, abs=0.05)
    r = Recursion("delay")
    W, V, C, h, g = r.matrix("W", "nu_W"), r.matrix("V", "nu_V"), r.readout("C"), r.state("h"), r.state("g")
    r.update(h, W @ h + V @ g + r.input_map("F") @ r.x)
    r.update(g, h)
    r.output(C @ h)
    delayed = stability(r).formula.compile()(nu_W=0.3, nu_V=0.5)
    assert delayed**2 == pytest.approx((0.3 + (0.09 + 2.0) ** 0.5) / 2)
    assert eigenvalues([[(0, 0.3), (0, 0.5)], [(1, 0), (0, 0)]]) == pytest.approx(delayed, abs=0.05)
    assert stability(models.stacked(2, "identity")).formula.compile()(nu_W=0.64) == pytest.approx(0.8)


def test_an_update_that_reads_an_updated_state_multiplies_matrices():
    nu = {"nu_W": 0.3, "nu_V": 0.5, "nu_U": 0.4, "nu_Z": 0.2}
    found = stability(two_states(later=True))
    found.proof.verify()
    step = np.linalg.solve([[1, 0], [-0.4, 1]], [[0.3, 0.5], [0, 0.2]])
    assert found.formula.compile()(**nu) == pytest.approx(np.sqrt(max(np.linalg.eigvals(step))))


def test_coupled_states_beyond_the_law_are_refused_with_the_reason():
    with pytest.raises(NotClosed, match="delayed alone"):
        stability(two_states(carried=sp.Rational(1, 2)))
    r = Recursion("shared")
    W, C, h, g = r.matrix("W", "nu_W"), r.readout("C"), r.state("h"), r.state("g")
    r.update(h, W @ g + r.input_map("F") @ r.x)
    r.update(g, W @ h)
    r.output(C @ h)
    with pytest.raises(NotClosed, match="matrix of its own"):
        stability(r)


@pytest.mark.parametrize("rnn", [models.leaky("identity"), two_states()])
def test_a_radius_wrong_by_a_thousandth_is_refused(rnn):
    proof = stability(rnn).proof
    for step in proof.steps[-2:]:
        wrong = replace(step, claim=replace(step.claim, right=step.claim.right * sp.Rational(1001, 1000)))
        with pytest.raises(ProofError):
            audit_step(wrong, worlds(proof.program))


@pytest.mark.parametrize("quantity", [convolution_of, stability])
def test_other_recursions_are_refused(quantity):
    r = Recursion("relu")
    W, F, C, h = r.matrix("W"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, relu(W @ h + F @ r.x))
    r.output(C @ h)
    with pytest.raises(NotLinear):
        quantity(r)
    s = Recursion("redrawn")
    W, F, C, h = s.matrix("W", tied=False), s.input_map("F"), s.readout("C"), s.state("h")
    s.update(h, W @ h + F @ s.x)
    s.output(C @ h)
    with pytest.raises(NotClosed):
        quantity(s)
