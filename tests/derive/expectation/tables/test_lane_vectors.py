"""Vectors of lanes: as code of vectors what they are as array code."""

import numpy as np
import pytest

from wideproof.derive.emit.sweeps.compiled_text import function_of
from wideproof.derive.expectation.tables.compiled_sweep import HOW
from wideproof.derive.expectation.tables.lane_vectors import LANES, functions_of, of_lanes

TEXT = """def sweep(x, shares, out):
    for j in range(np.uint64(0), np.uint64(x.shape[1]), np.uint64({count})):
        total = spread(0.25)
        for n in range(shares.shape[0]):
            total = total * lanes(x, (0, j)) + share(shares, (n,)) / lanes(x, (1, j))
        keep(out, (0, j), greater(lesser(root(total), lanes(x, (1, j))), spread(1) - lanes(x, (0, j))))
        keep(out, (1, j), pick(lanes(x, (0, j)), lanes(x, (1, j)), spread(2), total))
        keep(out, (2, j), spread(1 if some_below(lanes(x, (0, j)), spread(0.7)) else 0))
        keep(out, (3, j), spread(1 if all_below(lanes(x, (0, j)), spread(1.3)) else 0))
"""


@pytest.mark.parametrize("count", [1, 4, LANES], ids=str)
def test_they_are_the_array_code(count):
    numba = pytest.importorskip("numba")
    text = of_lanes(TEXT.format(count=count), count)
    x, shares = 0.5 + np.sort(np.random.default_rng(0).random((2, 2 * LANES))), np.linspace(0.1, 0.9, 5)
    plain, compiled = np.zeros((4, 2 * LANES)), np.zeros((4, 2 * LANES))
    function_of(text, "<text>")(x, shares, plain)
    numba.njit(**HOW)(function_of(text, "<text>"))(x, shares, compiled)
    total = np.full(2 * LANES, 0.25)
    for one in shares:
        total = total * x[0] + one / x[1]
    assert np.abs(plain[0] - np.maximum(np.minimum(np.sqrt(total), x[1]), 1.0 - x[0])).max() < 1e-14
    assert np.abs(plain - compiled).max() < 1e-14
    groups = x[0].reshape(-1, count)
    assert np.array_equal(plain[1], np.where(x[0] < x[1], 2.0, total))
    assert np.array_equal(plain[2], np.repeat(groups.min(axis=1) < 0.7, count))
    assert np.array_equal(plain[3], np.repeat(groups.max(axis=1) < 1.3, count))
    assert np.all(np.ptp(plain, axis=1) > 0.1)


def test_a_text_names_the_lanes_of_its_vectors():
    text = of_lanes("keep(work, (0, j), spread(1.0) * keeping)", 4)
    assert text == "keep4(work, (0, j), spread4(1.0) * keeping)"
    assert of_lanes("keep8(work, (0, j), spread(1.0))", 4) == "keep8(work, (0, j), spread4(1.0))"
    assert {"keep4", "spread4"} <= {*functions_of(text)}
    assert functions_of(text)["spread4"] is functions_of("spread4(x)")["spread4"]
