"""A derivation: a quantity of a recursion, the proof that ends in it, and the formula read off the proof's goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import sympy as sp

from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import LanguageError, ProofError
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Limit, ProcessForm, Recurrence
from wideproof.derive.proof.proof import Proof

Part = Callable[[Any], sp.Expr]


@dataclass(frozen=True)
class Reading:
    """How the formula of a quantity is read off the goal of its proof: a function of the goal and of nothing else.

    Arguments are those `indices` that the goal is about, then the symbols of the program; with `own` the symbols of
    the expression alone. `part` is the expression that the goal states, its right side unless said otherwise.
    """

    name: str
    indices: tuple[sp.Symbol, ...] = ()
    part: Part | None = None
    own: bool = False
    kind: type[Formula] = Formula
    registry: ClassVar[dict[str, Callable[[Proof], Formula]]] = {}

    def __call__(self, proof: Proof) -> Formula:
        """The formula that the goal of a proof states."""
        goal = proof.goal
        self._refuse_shifted(getattr(goal, "left", sp.S.Zero))
        if self.part is not None:
            return self._written(self.part(goal), proof)
        if isinstance(goal, Recurrence | ProcessForm):
            return self._determined(None, goal, proof)
        if isinstance(goal, Limit) and goal.form is not None:
            return self._determined(None if goal.right == goal.form.right else goal.right, goal.form, proof)
        return self._written(getattr(goal, "right"), proof)  # noqa: B009 (the kinds of claim that have a right side)

    def _refuse_shifted(self, left: sp.Expr) -> None:
        """Raise ProofError where the goal is about an index other than the argument itself, such as j + 1."""
        for x in () if self.own else self.indices:
            if x in left.free_symbols and x not in left.args:
                raise ProofError(f"goal of {self.name}", f"a claim about {x}", left, "It is about another index.")

    def _written(self, expr: sp.Expr, proof: Proof) -> Formula:
        if not self.own:
            return self.kind(self.name, expr, self._symbols(proof), proof.program)
        known = proof.program.symbols.values()
        ranked = self.indices or sorted(expr.free_symbols, key=lambda x: (x in known, x.name))
        return self.kind(self.name, expr, {x.name: x for x in ranked}, proof.program)

    def _determined(self, closed: sp.Expr | None, form: Recurrence | ProcessForm, proof: Proof) -> Formula:
        recurrence = form if isinstance(form, Recurrence) else None
        process = form if isinstance(form, ProcessForm) else None
        return self.kind(self.name, closed, self._symbols(proof), proof.program, recurrence, process)

    def _symbols(self, proof: Proof) -> dict[str, sp.Symbol]:
        sides = [getattr(proof.goal, side, sp.S.Zero) for side in ("left", "right")]
        about = {*getattr(proof.goal, "indices", ())}.union(*(side.free_symbols for side in sides))
        return {x.name: x for x in self.indices if x in about} | proof.program.symbols


def reads(
    quantity: str,
    *indices: sp.Symbol,
    name: str = "",
    part: Part | None = None,
    own: bool = False,
    kind: type[Formula] = Formula,
) -> None:
    """Say how the formula of a quantity is read off its goal."""
    Reading.registry[quantity] = Reading(name or quantity.replace("-", "_"), indices, part, own, kind)


def read_off(quantity: str, proof: Proof) -> Formula:
    """The formula that the goal of a proof states about a quantity."""
    found = Reading.registry[quantity](proof)
    known = set(found.symbols.values())
    domain = tuple(relation for relation in getattr(proof.goal, "domain", ()) if relation.free_symbols <= known)
    return replace(found, domain=domain) if domain else found


@dataclass(frozen=True)
class Derivation:
    """What one derivation function returns: a quantity, and the proof whose goal is its formula.

    `formula` is read off the goal; where another is put in its place, `verify` refuses it.

    >>> found = wp.stability(wp.models.linear_rnn())
    >>> found.quantity, found.formula.expr, len(found.proof.steps)
    ('stability', sqrt(nu_W), 5)
    """

    quantity: str
    proof: Proof
    formula: Formula = field(default=None, kw_only=True)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Read the formula off the goal, and let the proof know which one is shown."""
        if self.formula is None:
            object.__setattr__(self, "formula", read_off(self.quantity, self.proof))
        object.__setattr__(self, "proof", replace(self.proof, formula=(self.quantity, self.formula)))

    @property
    def program(self) -> Any:
        """The recursion, or its tangent, that the proof is about."""
        return self.proof.program

    def verify(self) -> None:
        """As `proof.verify()`: from the definition over every step to the formula.  Errors: ProofError."""
        self.proof.verify()

    def __repr__(self) -> str:
        steps = len(self.proof.steps)
        about = f"{self.quantity} of {self.program.name}"
        return f"{type(self).__name__}({about}: {self.formula.in_words()}; {steps} steps)"

    def _repr_latex_(self) -> str:
        return self.formula._repr_latex_()

    def _repr_html_(self) -> str:
        from wideproof.derive.latex.notebook import displayed, folded, heading

        parts = "".join(map(displayed, self.formula.displays()))
        return heading(f"{self.quantity} of {self.program.name}") + parts + folded("proof", self.proof._repr_html_())


Make = TypeVar("Make", bound=Callable[..., Derivation])
QUANTITIES: dict[str, Callable[..., Derivation]] = {}
"""Name -> what derives it: whatever `quantity` decorates, of those modules that are loaded."""


def quantity(make: Make) -> Make:
    """Make the decorated function known by its name, with hyphens, to `check` and on the command line."""
    QUANTITIES[make.__name__.replace("_", "-")] = make
    return make


def formula_is_the_goals(proof: Proof) -> None:
    """Raise ProofError where a derivation shows another formula than the one that its goal states."""
    if proof.formula is None:
        return
    quantity, shown = proof.formula
    stated = read_off(quantity, proof)
    if shown != stated:
        what = f"the formula that its goal states, {stated}"
        raise ProofError(f"formula of {quantity}", what, shown, "A formula is read off the goal of its proof.")


Proof.auditors.append(formula_is_the_goals)


def as_program(recursion: Recursion | Program) -> Program:
    """Freeze a recursion; a program is returned as it is.  Errors: LanguageError for what is neither."""
    if isinstance(recursion, Alternating | AlternatingProgram):
        raise LanguageError(
            "recursion",
            "a recursion over inputs",
            f"the alternating program {recursion.name}",
            "Of it there are state_evolution, corrections and line_evolution.",
        )
    if not isinstance(recursion, Recursion | Program):
        raise LanguageError(
            "recursion", "a Recursion or its Program", repr(recursion), "For example wideproof.models.elman(), called."
        )
    return recursion.program() if isinstance(recursion, Recursion) else recursion
