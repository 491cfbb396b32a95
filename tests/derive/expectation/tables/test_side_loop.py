"""What sequences contribute to tables: the loop, run as plain Python, gives what each table's own side does."""

import numpy as np
import pytest

from wideproof.derive.expectation.tables import side_loop
from wideproof.derive.expectation.tables.lane_vectors import LANES, functions
from wideproof.derive.expectation.tables.pair_tables import TableSide


def apart(monkeypatch, which, given=True):
    """How far the loop is from the sides, a longer and a shorter one, where steps take those of `which`."""
    monkeypatch.setattr(side_loop, "_compiled", lambda: side_loop._loop)
    monkeypatch.setattr(side_loop, "SEQUENCES", 8)
    for name, function in functions(LANES).items():
        monkeypatch.setattr(side_loop, name, function, raising=False)
    rng = np.random.default_rng(0)
    sides = tuple(TableSide((0.25, 4.0), 1.3, rng.standard_normal((m, r)), rng.standard_normal((b, r)))
                  for m, r, b in ((2, 5, 4), (4, 1, 6)))  # fmt: skip
    variance, roots = rng.uniform(0.25, 4.0, (3, 14)), rng.uniform(0.25, 4.0, (3, 14)) if given else np.empty((0, 0))
    out = side_loop.Contributed(np.full((14, 3, 2, 13), np.nan), np.full((2, 3, 26, 8), np.nan))
    for e in range(2):
        side_loop.contribute(sides, np.array([0, 1, 0]), variance, roots, (e, 13), out)
    want = np.zeros((13, 3, 14))
    for step, n in enumerate(which):
        a, (means, basis) = variance[step], sides[n].at(variance[step])
        want[:4, step] = 1 / np.sqrt(1.3 + a), a / (1.3 + a), *means[:2]
        want[4, step] = roots[step] if given else 0.0
        want[5 : 3 + len(means), step] = means[2:]
        want[7 : 7 + len(basis), step] = basis
    columns = out.columns.reshape(2, 3, 2, 13, 8).transpose(2, 3, 1, 0, 4).reshape(2, 13, 3, 16)
    filled = np.concatenate([want, want[..., -1:], want[..., -1:]], axis=2)
    return max(np.abs(out.rows.transpose(2, 3, 1, 0) - want).max(), np.abs(columns - filled).max())


@pytest.mark.parametrize(("which", "same"), [((0, 1, 0), True), ((0, 0, 1), False)], ids=["its own", "another's"])
def test_each_step_takes_its_table(monkeypatch, which, same):
    assert (apart(monkeypatch, which) < 1e-13) == same


def test_what_is_not_given_is_zero(monkeypatch):
    assert apart(monkeypatch, (0, 1, 0), given=False) < 1e-13
