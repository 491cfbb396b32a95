"""The cores of a table as loops read them: every order is where the shape says, and no other number."""

import numpy as np
import pytest

from wideproof.derive.expectation.tables.flat_cores import flat, together
from wideproof.derive.expectation.tables.pair_tables import PairTable, TableSide

SIDE = TableSide((0.25, 4.0), 0.5, np.zeros((2, 1)), np.zeros((6, 1)))
RNG = np.random.default_rng(2)


def table(*counts, cut=1.0):
    """One whose order k of a core takes some of the second basis, the fewer the higher, and the first piece five of
    the first."""
    cores = [RNG.standard_normal((count, 6, 6)) for count in counts]
    for n, core in enumerate(cores):
        for k, order in enumerate(core):
            order[:, max(1, 6 - k) :] = 0.0
        core[:, 5 if n < 2 else 6 :] = 0.0
    return PairTable(0.5, 0.3, (SIDE, SIDE), tuple(cores), 0.0, cut=cut)


TABLES = {"one piece": table(3, 4), "two": table(2, 3, 4, 0, cut=-0.4), "odd only": table(0, 5)}


@pytest.mark.parametrize("name", list(TABLES))
def test_every_order_is_where_the_shape_says(name):
    given, found = TABLES[name], flat(TABLES[name])
    counts, rows, widths, taken = found.shape[:4], found.shape[4:6], found.shape[6:8], list(found.shape[8:])
    place, total = 0, 0.0
    for n, core in enumerate(given.cores):
        width = widths[n // 2]
        for k in range(counts[n]):
            part = found.cores[:, place : place + width]
            want = core[k] if k < len(core) else np.zeros((6, 6))
            assert np.array_equal(part, want[:, :width])
            assert not np.any(want[:, taken[k // 2] :])
            assert not np.any(want[rows[n // 2] :])
            place, total = place + width, total + np.sum(want)
        taken = taken[counts[n] // 2 :]
    assert place == found.cores.shape[1]
    assert np.isclose(total, sum(np.sum(x) for x in given.cores))
    assert found.layer == [0.3, -0.4 if name == "two" else np.inf]


def test_tables_of_several_expectations_are_filled_up():
    one, two, odd = TABLES.values()
    cores, shapes, layers = together(((one, two), (odd,)))
    for place, own in ((cores[0, 0], one), (cores[0, 1], two), (cores[1, 0], odd)):
        kept = flat(own).cores
        assert np.array_equal(place[: len(kept), : kept.shape[1]], kept)
        assert np.isclose(place.sum(), kept.sum())
    assert [list(x[:, 0]) for x in shapes] == [[0, 1], [0]]
    assert list(shapes[0][1, 1 : 1 + len(flat(two).shape)]) == flat(two).shape
    assert np.array_equal(layers[0], [flat(one).layer, flat(two).layer])
