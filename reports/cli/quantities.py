"""The quantities on the command line: as a help lists them, and as a shell completes them."""

from __future__ import annotations

from wideproof.derive.language.program import Program
from wideproof.derive.referee.quantities import QUANTITIES, named


def listed() -> str:
    """The names of the quantities, kind by kind of the programs that have them; those of a single lag or step apart."""
    others = [f"of {kind.kind} {', '.join(named(kind=kind))}" for kind in QUANTITIES if kind is not Program]
    return "; ".join([", ".join(named()), *others])


def completed(*arguments: str) -> list[tuple[str, str]]:
    """The quantities of these arguments, "" for those of all lags and steps, each with what it is in a line.

    Those of all kinds of programs are offered: a shell that completes them runs no model.
    """
    known = [x for own in QUANTITIES.values() for x in own.values() if x.argument in arguments]
    return list({x.name: (x.name, x.summary) for x in known}.values())
