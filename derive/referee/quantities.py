"""The quantities of each kind of programs by their names on the command line."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from wideproof.derive import alternating, limits, linear, memory_horizon, width_expansion
from wideproof.derive.emit.derivation import Derivation, Quantity, as_program
from wideproof.derive.language.errors import ParameterError, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.scale_factor_bounds import FORMS, scale_factor_bound

ROOMS = (linear, limits, memory_horizon, width_expansion, alternating)
"""Where quantities are, in the order in which they are told."""
FOUND = [import_module(f"{room.__name__}.{x.name}").__name__ for room in ROOMS for x in iter_modules(room.__path__)]
KNOWN = sorted(
    (x for x in Quantity.registry.values() if x.make.__module__ in FOUND), key=lambda x: FOUND.index(x.make.__module__)
)
QUANTITIES = {kind: {x.name: x for x in KNOWN if x.of is kind} for kind in dict.fromkeys(x.of for x in KNOWN)}
"""Kind of programs -> name -> quantity, for all modules of these rooms."""


def named(argument: str = "", kind: type[Program] = Program) -> list[str]:
    """The names of the quantities of a kind that are of all lags and steps at once, or of a single one."""
    return [x.name for x in QUANTITIES[kind].values() if x.argument == argument]


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
        derived = quantity_named(name)(as_program(recursion))
    return (_part(derived, part) if part else derived,)


def quantity_named(name: str, kind: type[Program] = Program) -> Quantity:
    """The quantity of that name of a kind of programs.  Errors: ParameterError listing the names."""
    known = QUANTITIES[kind]
    if name not in known:
        hint = f"{meant(name, known)}wideproof derive MODEL shows them all."
        raise ParameterError("QUANTITY", f"of {kind.kind}: {', '.join(known)}", repr(shortened(name)), hint)
    return known[name]


def _part(derived: Derivation, part: str) -> Derivation:
    parts = {name.replace(" ", "-").replace("_", "-"): x for name, x in getattr(derived, "parts", {}).items()}
    if part not in parts:
        known = ", ".join(f"{derived.quantity}.{name}" for name in parts) or f"{derived.quantity}, which has no parts"
        raise ParameterError("QUANTITY", known, f"{derived.quantity}.{part}", "For example memory.chi.")
    return parts[part]
