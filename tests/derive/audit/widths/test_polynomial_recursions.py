"""Counts from partitions of indices against every entry written out as a variable."""

import pytest

from tests.derive.polynomial_recursions.test_index_sums import PRODUCTS, summed
from wideproof.derive.audit.widths.polynomial_recursions import index_counts
from wideproof.derive.polynomial_recursions.index_sums import canonical, mean_of_entries

SQUARED_TWICE = (
    *((1, 0, 1), (1, 0, 2), (2, 1, 3), (2, 1, 4), (2, 2, 5), (2, 2, 6)),
    *((3, k, 0) for k in (3, 3, 4, 4, 5, 5, 6, 6)),
)
"""Two times C (W F^2)^2: the second moment of squares at lag 1."""


@pytest.mark.parametrize("name", PRODUCTS)
def test_counts_are_means_of_all_entries_written_out(name):
    counts = index_counts(PRODUCTS[name])
    for width in (1, 2):
        assert sum(c * width**power for power, c in enumerate(counts)) == summed(PRODUCTS[name], width)


def test_partitions_and_pairings_agree():
    """27 n^3 + 288 n^2: 3 for the readout's row, 9 where both leaves differ, 105 where they are one."""
    assert index_counts(SQUARED_TWICE) == mean_of_entries(canonical(SQUARED_TWICE)) == (0, 0, 288, 27)
