"""The quantities of a recursion by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable

from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.errors import ParameterError, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.limits.adjoint import adjoint
from wideproof.derive.limits.kernels import nngp, ntk, state_evolution
from wideproof.derive.linear.convolution import equivalent_convolution, impulse_response, scale_factors
from wideproof.derive.linear.gradient_descent import training_bound
from wideproof.derive.linear.scale_factor_bounds import FORMS, scale_factor_bound, scale_factor_peak
from wideproof.derive.linear.spectral_radius import stability
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


def quantity_named(name: str) -> Callable[..., Derivation]:
    """The function that derives the quantity of that name.  Errors: ParameterError listing the names."""
    if name not in QUANTITIES:
        hint = f"{meant(name, QUANTITIES)}wideproof derive MODEL shows them all."
        raise ParameterError("QUANTITY", ", ".join(QUANTITIES), repr(shortened(name)), hint)
    return QUANTITIES[name]


def _part(derived: Derivation, part: str) -> Derivation:
    parts = {name.replace(" ", "-").replace("_", "-"): x for name, x in getattr(derived, "parts", {}).items()}
    if part not in parts:
        known = ", ".join(f"{derived.quantity}.{name}" for name in parts) or f"{derived.quantity}, which has no parts"
        raise ParameterError("QUANTITY", known, f"{derived.quantity}.{part}", "For example memory.chi.")
    return parts[part]
