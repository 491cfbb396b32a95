"""Which groups of Gaussian forms are independent, and which of them enter every response linearly."""

from __future__ import annotations

import sympy as sp

from wideproof.numeric.process.layout import Layout


def merged_groups(layout: Layout) -> dict[sp.Symbol, int]:
    """Form -> the number of its group: independent ones that no activation reads together."""
    found = dict(layout.groups)
    for phi in layout.activations:
        together = {found[f] for f in layout.forms_read(phi)}
        found = {f: min(together) if g in together else g for f, g in found.items()}
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
