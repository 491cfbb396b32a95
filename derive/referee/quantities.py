"""The quantities of a recursion by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules

from wideproof.derive import limits, linear, memory_horizon, width_expansion
from wideproof.derive.emit.derivation import QUANTITIES as registered, Derivation
from wideproof.derive.language.errors import ParameterError, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.scale_factor_bounds import FORMS, scale_factor_bound

ROOMS = (linear, limits, memory_horizon, width_expansion)
"""Where quantities are, in the order in which they are told."""
FOUND = [import_module(f"{room.__name__}.{x.name}").__name__ for room in ROOMS for x in iter_modules(room.__path__)]
KNOWN = {name: make for module in FOUND for name, make in registered.items() if make.__module__ == module}
"""Name -> what derives it, for all modules of these rooms."""
AT_A_LAG = {name: make for name, make in KNOWN.items() if "lag" in signature(make).parameters}
"""The quantities of one lag at a finite width n."""
AT_A_STEP = {name: make for name, make in KNOWN.items() if "step" in signature(make).parameters}
"""The corrections of order 1/n at one step."""
QUANTITIES = {name: make for name, make in KNOWN.items() if name not in AT_A_LAG | AT_A_STEP}
"""All others: quantities of infinite width, of all lags at once."""


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


def quantity_named(name: str, lag: int | None = None, step: int | None = None) -> Callable[..., Derivation]:
    """The function that derives the quantity of that name, where it is one of a single lag or step that at this one.

    Errors: ParameterError listing the names, for a lag that is missing, and for a lag or step that makes no sense.
    """
    if name not in KNOWN:
        hint = f"{meant(name, KNOWN)}wideproof derive MODEL shows them all."
        raise ParameterError("QUANTITY", ", ".join(KNOWN), repr(shortened(name)), hint)
    if name in AT_A_LAG:
        if lag is None:
            raise ParameterError(name, "the lag it is of", "none", "Write --lag 3; in Python, (rnn, lag=3).")
        _refuse_given(name, "step", step, AT_A_STEP)
        return partial(AT_A_LAG[name], lag=lag)
    _refuse_given(name, "lag", lag, AT_A_LAG)
    if name in AT_A_STEP:
        return partial(AT_A_STEP[name], step=step)
    _refuse_given(name, "step", step, AT_A_STEP)
    return QUANTITIES[name]


def _refuse_given(name: str, what: str, given: int | None, takers: Mapping[str, object]) -> None:
    """Raise ParameterError where a lag or a step is given to a quantity that is of none."""
    if given is not None:
        hint = f"Leave --{what} out: only {', '.join(takers)} are of one {what}."
        raise ParameterError(name, f"no {what}", f"{what} {given}", hint)


def _part(derived: Derivation, part: str) -> Derivation:
    parts = {name.replace(" ", "-").replace("_", "-"): x for name, x in getattr(derived, "parts", {}).items()}
    if part not in parts:
        known = ", ".join(f"{derived.quantity}.{name}" for name in parts) or f"{derived.quantity}, which has no parts"
        raise ParameterError("QUANTITY", known, f"{derived.quantity}.{part}", "For example memory.chi.")
    return parts[part]
