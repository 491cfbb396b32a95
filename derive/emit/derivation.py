"""A derivation: a quantity of a recursion, its formula, and the proof that ends in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import LanguageError
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.proof import Proof, Recurrence


@dataclass(frozen=True)
class Derivation:
    """What one derivation function returns; `formula` is read off the goal of `proof`."""

    quantity: str
    program: Program
    formula: Formula
    proof: Proof

    def _repr_latex_(self) -> str:
        return self.formula._repr_latex_()


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
            "recursion",
            "a Recursion or its Program",
            repr(recursion),
            "For example wideproof.derive.models.elman(), called.",
        )
    return recursion.program() if isinstance(recursion, Recursion) else recursion


def formula_of(name: str, program: Program, content: sp.Expr | Recurrence, indices: Iterable[sp.Symbol]) -> Formula:
    """A formula in the given indices and in all the scalar symbols of the program, in the order of their names."""
    symbols = {i.name: i for i in indices}
    symbols |= program.symbols
    if isinstance(content, Recurrence):
        return Formula(name, None, symbols, program, content)
    return Formula(name, content, symbols, program)
