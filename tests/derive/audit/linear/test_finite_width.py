"""Means of products of traces by pairings, against every entry written out as a variable."""

import pytest
import sympy as sp

from wideproof.derive import models
from wideproof.derive.audit.auditor import worlds
from wideproof.derive.audit.linear.finite_width import free_indices, trace_counts
from wideproof.derive.language.variants import untied
from wideproof.derive.linear.finite_width import ResponseMoment

WORDS = [
    ((1, 1, -1, -1),),
    ((1, -1), (1, 1, -1, -1)),
    ((1, 2, -1, -2),),
    ((1, 2, -2, -1), ()),
    ((1, 1), (2, -2)),
    ((1,),),
]


def gaussian_mean(polynomial):
    """E of a polynomial in independent standard Gaussian variables: even powers give double factorials."""
    return sum(
        int(c) * int(sp.prod([sp.factorial2(e - 1) for e in powers if e]))
        for powers, c in polynomial.terms()
        if all(e % 2 == 0 for e in powers)
    )


def written_out(width, count):
    """The ring, and square matrices and two vectors of its variables."""
    ring, *x = sp.ring([f"x{i}" for i in range(count * width**2 + 2 * width)], sp.ZZ)
    rows = [x[k * width : (k + 1) * width] for k in range(count * width)]
    return ring, [rows[k * width : (k + 1) * width] for k in range(count)], x[count * width**2 :]


def product(a, b):
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


@pytest.mark.parametrize("words", WORDS, ids=str)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_traces(words, width):
    ring, matrices, _ = written_out(width, 2)
    total = ring.one
    for word in words:
        value = [[ring(int(a == b)) for b in range(width)] for a in range(width)]
        for x in word:
            factor = matrices[abs(x) - 1]
            value = product(value, factor if x > 0 else [list(row) for row in zip(*factor, strict=True)])
        total *= sum(value[a][a] for a in range(width))
    counts = trace_counts(words)
    assert sum(c * width**power for power, c in enumerate(counts)) == gaussian_mean(total)


@pytest.mark.parametrize("lags", [(0, 0), (1, 1), (2, 2), (0, 1, 1, 2), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("tied", [True, False])
def test_responses(lags, tied):
    ring, matrices, rest = written_out(2, 2)
    readout, found = [rest[:2]], [[[x] for x in rest[2:]]]
    for step in range(max(lags)):
        found.append(product(matrices[0 if tied else step], found[-1]))
    total = ring.one
    for lag in lags:
        total *= product(readout, found[lag])[0][0]
    program = models.linear_rnn().program()
    world = worlds(program if tied else untied(program))[0]
    sizes = {x.name: v for x, v in world.parameters.items()}
    half, steps = len(lags) // 2, sum(lags)
    scale = (sizes["nu_C"] * sizes["nu_F"]) ** half * sizes["nu_W"] ** (steps // 2)
    found = world.number(ResponseMoment(2, *lags), {})
    assert found == sp.Rational(gaussian_mean(total)) * scale / 2 ** (half + steps // 2)


def test_a_trace_of_the_transpose_is_a_polynomial_of_the_width():
    """E tr(G G') = n^2, E tr(G G) = n, E tr(G)^2 = n."""
    assert free_indices(((1, 1, 2), (1, 1, 2))) == (0, 0, 1)
    assert free_indices(((1, 1, 2), (1, 2, 1))) == (0, 1)
    assert free_indices(((1, 1, 1), (1, 2, 2))) == (0, 1)
    assert free_indices(((1, 1, 2), (2, 1, 2))) == ()
