"""Sizes of expressions: those of SymPy's expanded form are within the bound, and what exceeds it is not made."""

from __future__ import annotations

import pytest
import sympy as sp

from wideproof.derive import LanguageError
from wideproof.derive.language.grammar import parse
from wideproof.derive.model_files.expression_size import NODES, TERMS, Size, called

X = sp.symbols("a b c")
NAMES = dict(zip("abc", X, strict=True))
TEXTS = ["a + b - c", "(a + b)**3", "(a + b + c)**5 * (a - b)", "a / (a + b)**2", "-(a + b) * (b + c) + 2",
         "(a + b)**(7/2)", "sqrt(a + b) * a", "2**a * b", "(a + 1)**4 * (b + 1)**2"]  # fmt: skip


def size(text):
    return parse(text, dict.fromkeys(NAMES, Size()), {"sqrt": called})


@pytest.mark.parametrize("text", TEXTS)
def test_the_expanded_form_has_at_most_as_many_terms(text):
    expr = sp.expand(parse(text, NAMES, {"sqrt": sp.sqrt}))
    numerator, denominator = sp.fraction(sp.together(expr))
    terms = [len(sp.Add.make_args(sp.expand(x))) for x in (expr, numerator, denominator)]
    assert max(terms[0], terms[2]) <= size(text).terms


def test_a_power_of_a_sum_counts_its_monomials():
    assert size("(a + b + c)**5").terms == len(sp.expand(sum(X) ** 5).args) == 21
    assert size("a**64").terms == 1


def test_products_of_matrices_read_their_vector_once_for_each_matrix():
    assert (Size(2, 3) @ Size(1, 10)).nodes == 3 + 2 * 11
    assert Size().next == Size()


@pytest.mark.parametrize("text", ["(a + b + c)**19", "(a + 1)**64 * (b + 1)**3", "((a + b)**9 + 1)**9"])
def test_more_terms_than_the_limit_are_not_made(text):
    with pytest.raises(LanguageError, match=f"at most {TERMS} terms"):
        size(text)


def test_more_operations_than_the_limit_are_not_made():
    Size(1, NODES)
    with pytest.raises(LanguageError, match=f"at most {NODES} operations"):
        Size(1, NODES + 1)
