"""A derivation: a quantity of a recursion, the proof that ends in it, and the formula read off the proof's goal."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from inspect import getdoc, signature
from typing import Any, ClassVar, TypeVar, cast

import sympy as sp

from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.errors import LanguageError, ParameterError, ProofError
from wideproof.derive.language.program import Program, frozen
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Limit, ProcessForm, Recurrence
from wideproof.derive.proof.proof import Proof

Part = Callable[[Any], sp.Expr]
Known = TypeVar("Known", bound=Program)
ALL = "wideproof.derive.referee.quantities"
"""What imports every module with quantities, by name: it reads all rooms, and no room below imports it."""


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
    registry: ClassVar[dict[tuple[type[Program], str], Callable[[Proof], Formula]]] = {}

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
    of: type[Program] = Program,
) -> None:
    """Say how the formula of a quantity, of the programs of one kind, is read off its goal."""
    Reading.registry[of, quantity] = Reading(name or quantity.replace("-", "_"), indices, part, own, kind)


def read_off(quantity: str, proof: Proof) -> Formula:
    """The formula that the goal of a proof states about a quantity."""
    found = Reading.registry[type(proof.program), quantity](proof)
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


Progress = Callable[[int, int], None]
"""What is told how much is done, and of how much."""


@dataclass(frozen=True)
class Quantity:
    """A quantity of the programs of one kind: its name, with hyphens, and the function that derives it."""

    name: str
    make: Callable[..., Derivation]
    of: type[Program]
    registry: ClassVar[dict[tuple[type[Program], str], Quantity]] = {}

    @property
    def argument(self) -> str:
        """What it is of beside the program: "lag", a single one at finite width, "step", or "" for all of them."""
        return next((x for x in ("lag", "step") if x in signature(self.make).parameters), "")

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return (getdoc(self.make) or "").partition("\n")[0]

    def __call__(
        self, model: object, lag: int | None = None, step: int | None = None, progress: Progress | None = None
    ) -> Derivation:
        """Derive it, where it is one of a single lag or step at that one; `progress` is told where it takes long.

        Errors: ParameterError for a lag that is missing, and for a lag or step that makes no sense.
        """
        given = {"lag": lag, "step": step}
        for name, value in given.items():
            if value is not None and name != self.argument:
                takers = ", ".join(x.name for x in quantities(self.of).values() if x.argument == name) or "others"
                hint = f"Leave --{name} out: only {takers} are of one {name}."
                raise ParameterError(self.name, f"no {name}", f"{name} {value}", hint)
        if self.argument == "lag" and lag is None:
            raise ParameterError(self.name, "the lag it is of", "none", "Write --lag 3; in Python, (rnn, lag=3).")
        long = {"progress": progress} if "progress" in signature(self.make).parameters else {}
        return self.make(model, **{name: value for name, value in given.items() if name == self.argument}, **long)


def quantities(kind: type[Program]) -> dict[str, Quantity]:
    """The quantities of the programs of a kind, by their names, in the order in which they are told."""
    found: dict[str, Quantity] = importlib.import_module(ALL).QUANTITIES.get(kind, {})
    return found


def quantity_of(kind: type[Program]) -> Callable[[Make], Make]:
    """Make the decorated function known as a quantity of a kind of programs, by its name with hyphens.

    What `quantities` lists, `check` and the command line take. Called on a model, it derives the quantity of its name
    that the kind of the model has.  Errors: LanguageError for what is no model, and where its kind has none.
    """

    def register(make: Make) -> Make:
        name, parameters = make.__name__.replace("_", "-"), signature(make)
        Quantity.registry[kind, name] = Quantity(name, make, kind)

        @wraps(make)
        def derived(*arguments: Any, **options: Any) -> Derivation:
            given = parameters.bind(*arguments, **options)
            program = frozen(given.args[0])
            own = Quantity.registry.get((type(program), name)) or quantities(type(program)).get(name)
            if own is None:
                raise _of_another_kind(program, kind)
            return own.make(program, *given.args[1:], **given.kwargs)

        return cast(Make, derived)

    return register


quantity = quantity_of(Program)
"""Make the decorated function known as a quantity of recursions."""


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


def of_kind(model: object, kind: type[Known]) -> Known:
    """The program of a model, where it is of a kind.  Errors: LanguageError for what is no model, or of another."""
    program = frozen(model)
    if type(program) is not kind:
        raise _of_another_kind(program, kind)
    return program


def as_program(recursion: Recursion | Program) -> Program:
    """Freeze a recursion; a program is returned as it is.  Errors: LanguageError for what is neither."""
    return of_kind(recursion, Program)


def _of_another_kind(program: Program, kind: type[Program]) -> LanguageError:
    names = ", ".join(name.replace("-", "_") for name in quantities(type(program)))
    return LanguageError("model", kind.kind, f"{program.name}, {program.kind}", f"Of it there are {names}.")
