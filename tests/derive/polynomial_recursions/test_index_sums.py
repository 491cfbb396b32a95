"""Means of products of entries against every entry written out as a variable, whatever their indices are called."""

import random

import pytest

from tests.derive.audit.linear.test_finite_width import gaussian_mean, written_out
from wideproof.derive.polynomial_recursions.index_sums import canonical, index_mean, mean_of_entries

PRODUCTS = {
    "a number": ((1, 0, 0),) * 4,
    "one vector": ((1, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 0)),
    "one matrix": ((1, 1, 2), (1, 1, 2), (1, 1, 3), (1, 1, 3)),
    "a chain": ((1, 1, 2), (1, 2, 3), (1, 1, 3), (1, 3, 3)),
    "two matrices": ((1, 1, 2), (2, 1, 2), (1, 1, 3), (2, 1, 3)),
    "a square of a square": ((2, 1, 2), (2, 1, 3), (1, 2, 0), (1, 2, 0), (1, 3, 0), (1, 3, 0), (2, 1, 4), (2, 1, 5)),
    "odd": ((1, 1, 2), (1, 2, 1), (1, 1, 1)),
}
"""Entries as (letter, row, column); index 0 is fixed."""


def summed(entries, width):
    """E of the product, all entries variables of a ring, all indices summed over."""
    indices = sorted({x for _, *places in entries for x in places if x})
    ring, matrices, _ = written_out(width + 1, max(letter for letter, _, _ in entries))
    values, total = [{0: 0}], ring.zero
    for x in indices:
        values = [at | {x: i} for at in values for i in range(1, width + 1)]
    for at in values:
        one = ring.one
        for letter, a, b in entries:
            one *= matrices[letter - 1][at[a]][at[b]]
        total += one
    return gaussian_mean(total)


@pytest.mark.parametrize("name", PRODUCTS)
def test_means_are_those_of_all_entries_written_out(name):
    counts = mean_of_entries(canonical(PRODUCTS[name]))
    for width in (1, 2):
        assert sum(c * width**power for power, c in enumerate(counts)) == summed(PRODUCTS[name], width)


@pytest.mark.parametrize("name", PRODUCTS)
def test_names_and_order_of_indices_do_not_matter(name):
    entries, rng = list(PRODUCTS[name]), random.Random(1)
    indices = sorted({x for _, *places in entries for x in places if x})
    for _ in range(5):
        names = dict(zip(indices, rng.sample(range(1, 40), len(indices)), strict=True)) | {0: 0}
        renamed = [(letter, names[a], names[b]) for letter, a, b in rng.sample(entries, len(entries))]
        assert canonical(tuple(renamed)) == canonical(tuple(entries))


def test_a_mean_is_shown_as_a_sum_over_indices():
    shown = index_mean(((1, 1, 0), (1, 1, 0), (2, 1, 2), (2, 1, 2)))._latex(None)
    assert shown == (r"\mathbb{E}\left[\sum_{a b} \left(G_{1}\right)_{a}^{2} \left(G_{2}\right)_{a b}^{2}\right]")
    many = tuple((1, 1, k) for k in range(1, 31))
    assert "b_{1}" in index_mean(many)._latex(None)
