"""Survivors that a reader may accept, each with the reason."""

from __future__ import annotations

from tests.mutants.mutations import Mutant

REASONS: dict[str, tuple[str, ...]] = {
    "Another quadrature of the same expectation: the value moved by less than its stated error": (
        "wideproof.derive.calculus.gaussian_process:independent_groups:1:operator",
    ),
    "A part of `memory` is not offered: nothing wrong is said, and its own tests ask for it": (
        "wideproof.derive.memory_horizon.memory:Memory.fixed_point:1:guard",
    ),
}
"""Reason → ids, or beginnings of ids that end in a colon."""


def reason(mutant: Mutant) -> str:
    """Why this mutant may survive; empty where nothing excuses it."""
    for text, ids in REASONS.items():
        if any(mutant.id == x or (x.endswith(":") and mutant.id.startswith(x)) for x in ids):
            return text
    return ""
