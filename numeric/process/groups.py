"""Which groups of Gaussian forms are independent, and which of them enter every response linearly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import sympy as sp

from wideproof.numeric.process.layout import Layout


def merged_groups(layout: Layout) -> dict[sp.Symbol, int]:
    """Form -> the number of its group: independent ones that no activation reads together."""
    found = dict(layout.groups)
    for phi in layout.activations:
        together = {found[f] for f in layout.forms_read(phi)}
        found = {f: min(together) if g in together else g for f, g in found.items()}
    return found


def twins(layout: Layout) -> dict[sp.Symbol, sp.Symbol]:
    """Return for each form the first one of the same covariances, both alone in their groups; else itself.

    The gates of an LSTM have matrices of one variance, so one factor of a covariance serves them all.
    """
    alone = [f for f in layout.forms if list(layout.groups.values()).count(layout.groups[f]) == 1]
    first: dict[object, sp.Symbol] = {}
    found = {form: form for form in layout.forms}
    for form in alone:
        weights = layout.forms[form].weights
        laws = [(a * b, layout.laws.get((c, d))) for c, a in weights for d, b in weights]
        key = frozenset(Counter((a * law.weight, replace(law, weight=1.0)) for a, law in laws if law).items())
        found[form] = first.setdefault(key, form)
    return found


def axes_needed(layout: Layout, sequences: int, steps: int) -> int:
    """Return the largest number of variables of a group that some activation reads."""
    merged = merged_groups(layout)
    groups = {merged[f] for f in layout.inside}
    return sequences * steps * max((sum(g == other for other in merged.values()) for g in groups), default=0)


def perturbations(layout: Layout, merged: dict[sp.Symbol, int]) -> set[int]:
    """Return the groups made of perturbations alone, which enter every response linearly.

    Source: emami2021implicit, Lemma B.1.
    """
    base = layout.program.base
    if base is None:
        return set()
    read = {merged[name] for name, form in layout.forms.items() if any(c in base.table for c, _ in form.weights)}
    return set(merged.values()) - read - {merged[name] for name in layout.inside}
