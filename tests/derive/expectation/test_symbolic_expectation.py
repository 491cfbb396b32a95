"""The Gaussian calculus against enumerated pairings, products of Hermite quadrature, and independence."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from wideproof.derive.expectation.symbolic_expectation import Affine, Factor, GaussianMean, expect
from wideproof.derive.language.activations import definition_at

ROOT = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.5, 0.9]])
COV = ROOT @ ROOT.T


def exact(a, b):
    return sp.Rational(COV[a, b]).limit_denominator(10**12)


def pairings(items):
    """All perfect matchings of a list."""
    if not items:
        yield ()
        return
    for i in range(1, len(items)):
        for rest in pairings(items[1:i] + items[i + 1 :]):
            yield ((items[0], items[i]), *rest)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 2), max_size=8))
def test_isserlis_is_the_sum_over_pairings(variables):
    want = (
        sp.Add(*(sp.Mul(*(exact(a, b) for a, b in match)) for match in pairings(variables)))
        if len(variables) % 2 == 0
        else 0
    )
    assert expect(tuple(variables), (), exact) == want


def quadrature(f, size=80):
    """E f(z) for z ~ N(0, COV) by a product of Hermite rules."""
    x, w = np.polynomial.hermite_e.hermegauss(size)
    grid = np.stack(np.meshgrid(x, x, x, indexing="ij"))
    z = np.einsum("ab,bijk->aijk", ROOT, grid)
    return np.einsum("i,j,k,ijk->", w, w, w, f(z)) / (2 * np.pi) ** 1.5


SIN = {0: np.sin, 1: np.cos, 2: lambda x: -np.sin(x), 3: lambda x: -np.cos(x), 4: np.sin}


def node_value(node):
    """The mean of products of sines and their derivatives from their characteristic function."""
    functions, means, upper = node.args
    size = len(functions)
    cov, it = np.zeros((size, size)), iter(upper)
    for a in range(size):
        for b in range(a, size):
            cov[a, b] = cov[b, a] = float(next(it))
    total = 0.0
    for signs in np.ndindex(*(2,) * size):
        s = np.array([1 - 2 * bit for bit in signs], dtype=float)
        coefficient = np.prod([(x / 2j) * (1j * x) ** int(order) for x, (_, order) in zip(s, functions, strict=True)])
        total += coefficient * np.exp(1j * s @ np.array([float(m) for m in means]) - s @ cov @ s / 2)
    return total.real


CASES = {
    "z sin": ((0,), ((0, 0.0),)),
    "z z sin": ((0, 1), ((2, 0.4),)),
    "z sin sin": ((1,), ((0, 0.2), (2, -0.5))),
    "z z z sin": ((0, 0, 1), ((1, 0.3),)),
    "sin sin": ((), ((0, 0.1), (1, 0.7))),
    "z z sin sin": ((0, 2), ((0, 0.2), (1, 0.0))),
}


@pytest.mark.parametrize("case", CASES)
def test_stein_against_quadrature(case):
    variables, forms = CASES[case]
    factors = tuple(Factor(sp.Symbol("sin"), 0, Affine(((v, sp.S.One),), sp.Rational(str(m)))) for v, m in forms)
    found = expect(variables, factors, exact)
    value = float(found.xreplace({node: sp.Float(node_value(node), 17) for node in found.atoms(GaussianMean)}))
    want = quadrature(lambda z: np.prod([z[v] for v in variables] + [np.sin(z[v] + m) for v, m in forms], axis=0))
    assert value == pytest.approx(want, rel=1e-9, abs=1e-12)
    assert value * 1.001 != pytest.approx(want, rel=1e-9, abs=1e-12)


def test_independent_factors_split_and_dependent_ones_do_not():
    s, t = (Factor(sp.Symbol("relu"), 0, Affine(((v, sp.S.One),))) for v in "uv")
    split = expect((), (s, t), lambda a, b: sp.Integer(a == b))
    assert len(split.atoms(GaussianMean)) == 1  # equal laws: the square of one node
    assert split.is_Pow
    joint = expect((), (s, t), lambda a, b: sp.S.One if a == b else sp.Rational(1, 3))
    assert isinstance(joint, GaussianMean)
    assert len(joint.args[0]) == 2


def test_factors_linked_by_a_third_stay_together():
    chain = {frozenset("uw"), frozenset("wv")}
    factors = tuple(Factor(sp.Symbol("relu"), 0, Affine(((v, sp.S.One),))) for v in "uvw")
    node = expect((), factors, lambda a, b: sp.Integer(a == b) + sp.Rational(int(frozenset((a, b)) in chain), 3))
    assert isinstance(node, GaussianMean)
    assert len(node.args[0]) == 3


def test_a_variable_independent_of_the_rest_has_mean_zero():
    factor = Factor(sp.Symbol("relu"), 0, Affine((("v", sp.S.One),)))
    assert expect(("u",), (factor,), lambda a, b: sp.Integer(a == b)) == 0


@pytest.mark.parametrize("name", ["relu", "erf", "tanh", "gelu", "sigmoid", "sin", "step"])
def test_definitions_of_activations(name):
    table = {
        "relu": lambda x: max(x, 0),
        "tanh": np.tanh,
        "sin": np.sin,
        "step": lambda x: float(x > 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }
    for x in (-1.5, 0.25, 2.0):
        value = float(definition_at(name, 0, sp.Rational(x)))
        if name in table:
            assert value == pytest.approx(float(table[name](x)))
        if name not in ("relu", "step"):
            slope = (definition_at(name, 0, sp.Float(x + 1e-6)) - definition_at(name, 0, sp.Float(x - 1e-6))) / 2e-6
            assert float(definition_at(name, 1, sp.Rational(x))) == pytest.approx(float(slope), rel=1e-6)
