"""The quantities of a recursion by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.limits.adjoint import adjoint
from wideproof.derive.limits.kernels import nngp, ntk, state_evolution
from wideproof.derive.linear.convolution import equivalent_convolution, impulse_response, scale_factors
from wideproof.derive.linear.finite_width import fourth_moment, ntk_mean, ntk_variance, second_moment
from wideproof.derive.linear.gradient_descent import training_bound
from wideproof.derive.linear.scale_factor_bounds import FORMS, scale_factor_bound, scale_factor_peak
from wideproof.derive.linear.spectral_radius import stability
from wideproof.derive.linear.width_bound import ntk_deviation, ntk_gap
from wideproof.derive.memory_horizon.memory import memory

QUANTITIES: dict[str, Callable[..., Derivation]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        impulse_response,
        scale_factors,
        equivalent_convolution,
        nngp,
        ntk,
        state_evolution,
        adjoint,
        scale_factor_bound,
        scale_factor_peak,
        training_bound,
        stability,
        memory,
    )
}
AT_A_LAG: dict[str, Callable[..., Derivation]] = {
    make.__name__.replace("_", "-"): make
    for make in (second_moment, fourth_moment, ntk_mean, ntk_variance, ntk_gap, ntk_deviation)
}
"""Quantities of one lag at a finite width n."""


def derivations_of(recursion: Recursion | Program | Derivation, quantity: str) -> tuple[Derivation, ...]:
    """What is derived for a quantity by its name, of memory also for a part of it: memory.chi.

    One derivation, but for the bound of the scale factors, which has several forms, the one of the paper last. A
    derivation that is given stands for itself, and its parts for theirs.
    Errors: ParameterError listing the names; those of the derivation.
    """
    name, _, part = str(quantity).replace("_", "-").partition(".")
    if isinstance(recursion, Derivation):
        if name != recursion.quantity:
            raise ParameterError("check: quantity", repr(recursion.quantity), repr(quantity), "It is the derivation's.")
        derived = recursion
    elif name == "scale-factor-bound":
        forms = sorted(FORMS, key="paper".__eq__)
        return tuple(scale_factor_bound(recursion, form) for form in forms)
    else:
        derived = quantity_named(name)(recursion)
    return (_part(derived, part) if part else derived,)


def quantity_named(name: str, lag: int | None = None) -> Callable[..., Derivation]:
    """The function that derives the quantity of that name, where it is one of a single lag that at this lag.

    Errors: ParameterError listing the names, and for a lag that is missing or makes no sense.
    """
    known = QUANTITIES | AT_A_LAG
    if name not in known:
        near = get_close_matches(name, known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        hint = f"{meant}wideproof derive MODEL shows them all."
        raise ParameterError("QUANTITY", ", ".join(known), repr(shortened(name)), hint)
    if name in AT_A_LAG:
        if lag is None:
            raise ParameterError(name, "the lag it is of", "none", "Write --lag 3; in Python, (rnn, lag=3).")
        return partial(AT_A_LAG[name], lag=lag)
    if lag is not None:
        hint = f"Leave --lag out: only {', '.join(AT_A_LAG)} are of one lag."
        raise ParameterError(name, "no lag", f"lag {lag}", hint)
    return QUANTITIES[name]


def _part(derived: Derivation, part: str) -> Derivation:
    parts = {name.replace(" ", "-").replace("_", "-"): x for name, x in getattr(derived, "parts", {}).items()}
    if part not in parts:
        known = ", ".join(f"{derived.quantity}.{name}" for name in parts) or f"{derived.quantity}, which has no parts"
        raise ParameterError("QUANTITY", known, f"{derived.quantity}.{part}", "For example memory.chi.")
    return parts[part]
