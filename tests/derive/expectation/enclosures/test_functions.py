"""Activations as branches between exact edges."""

import pytest
import sympy as sp
from flint import acb, arb

from wideproof.derive.expectation.enclosures.functions import ball_function
from wideproof.derive.language.activations import NAMES, Z, canonical, define, definition
from wideproof.derive.language.errors import NotClosed

define("enclosed_elu", "max(z, 0) + min(exp(z) - 1, 0)")
define("enclosed_swish", "z*min(max(z + 3, 0), 6)/6")
define("enclosed_root", "max(z**2 - 2, 0)")
define("enclosed_wave", "abs(sin(z) + z/2 - cos(z))")
EDGES = {
    "relu": (0,), "abs": (0,), "step": (0,), "soft_threshold(1)": (-1, 1), "tanh": (), "enclosed_elu": (0,),
    "enclosed_swish": (-3, 3), "enclosed_root": (-sp.sqrt(2), sp.sqrt(2)), "enclosed_wave": (), "abrelu(1/2, 1/2)": (),
}  # fmt: skip


@pytest.mark.parametrize(("name", "edges"), EDGES.items())
def test_the_edges_are_exact(name, edges):
    assert ball_function(name, 0).edges == edges


@pytest.mark.parametrize("name", [*map(canonical, NAMES), *EDGES])
def test_branches_are_the_function_between_the_edges(name):
    phi = ball_function(name, 0)
    for x in (sp.Rational(k, 7) for k in range(-31, 32, 3)):
        branch = phi.values[sum(bool(x > edge) for edge in phi.edges)]
        want = arb(str(sp.N(definition(name).subs(Z, x), 25)))
        at = acb(int(x.p)) / int(x.q)
        assert abs(branch(at, False).real - want) < 1e-13
        assert abs(phi.whole(at) - want) < 1e-13


def test_the_derivative_of_a_jump_is_none():
    assert ball_function("relu", 1).derivative is None
    assert ball_function("enclosed_elu", 1).derivative.branches == (sp.exp(Z), 0)
    assert ball_function("enclosed_elu", 2 - 1).derivative.derivative is None
    assert ball_function("relu", 0).derivative == ball_function("relu", 1)
    with pytest.raises(NotClosed, match="derivative of a jump"):
        ball_function("step", 1)
