"""What sequences contribute to tables: the loop, run as plain Python, gives what each table's own side does."""

import numpy as np
import pytest

from wideproof.derive.expectation.tables import side_loop
from wideproof.derive.expectation.tables.pair_tables import TableSide


def apart(monkeypatch, which):
    """How far the loop is from the sides, a longer and a shorter one, where steps take those of `which`."""
    monkeypatch.setattr(side_loop, "_compiled", lambda: side_loop._loop)
    monkeypatch.setattr(side_loop, "SEQUENCES", 4)
    rng = np.random.default_rng(0)
    sides = [TableSide((0.25, 4.0), 1.3, rng.standard_normal((m, r)), rng.standard_normal((b, r)))
             for m, r, b in ((2, 5, 4), (4, 1, 6))]  # fmt: skip
    variance, out = rng.uniform(0.25, 4.0, (3, 6)), np.full((13, 3, 6), np.nan)
    out[4] = 0.0
    side_loop.contribute(sides, np.array([0, 1, 0]), variance, out)
    want = np.zeros_like(out)
    for step, n in enumerate(which):
        a, (means, basis) = variance[step], sides[n].at(variance[step])
        want[:4, step] = 1 / np.sqrt(1.3 + a), a / (1.3 + a), *means[:2]
        want[5 : 3 + len(means), step] = means[2:]
        want[7 : 7 + len(basis), step] = basis
    return np.abs(out - want).max()


@pytest.mark.parametrize(("which", "same"), [((0, 1, 0), True), ((0, 0, 1), False)], ids=["its own", "another's"])
def test_each_step_takes_its_table(monkeypatch, which, same):
    assert (apart(monkeypatch, which) < 1e-13) == same
