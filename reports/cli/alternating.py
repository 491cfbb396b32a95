"""`derive` and `eval` of the models that alternate a matrix and its transpose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from inspect import signature

import sympy as sp

from wideproof.derive import Derivation, models
from wideproof.derive.alternating.corrections import corrections
from wideproof.derive.alternating.evaluation import errors_of, line_evolution
from wideproof.derive.alternating.line_limits import limits
from wideproof.derive.alternating.terms import Coefficient
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import NotClosed, ParameterError

ALTERNATING: dict[str, Callable[..., Alternating]] = {
    name.replace("_", "-"): make
    for name, make in vars(models).items()
    if name in models.__all__ and signature(make).return_annotation == Alternating.__name__
}
"""The models that alternate, by their names on the command line."""
QUANTITIES = {"corrections": corrections, "state-evolution": limits}


def derive_lines(model: str, program: Alternating, quantity: str) -> list[Derivation]:
    """The verified derivations of a model, or the one asked for.  Errors: NotClosed for another quantity."""
    if quantity and quantity not in QUANTITIES:
        raise NotClosed(f"derive {model} {quantity}", " or ".join(QUANTITIES), quantity,
                        f"Write wideproof derive {model}.")  # fmt: skip
    found = [make(program) for name, make in QUANTITIES.items() if quantity in ("", name)]
    for derivation in found:
        derivation.proof.verify()
    return found


def refuse_meaningless(program: AlternatingProgram, given: Mapping[str, float], where: str) -> None:
    """Do nothing where the laws of the given vectors and the aspect ratio mean something at these numbers.

    Errors: ParameterError for a ratio that is not positive, a probability outside [0, 1] or a negative variance.
    """
    at = {program.symbols[name]: x for name, x in given.items()}
    laws = [part for _, source in program.sources for part in source.law]
    wanted = [("a ratio > 0", program.aspect, 1e-300, math.inf)]
    wanted += [("a probability between 0 and 1", weight, 0.0, 1.0) for weight, _ in laws]
    wanted += [("a variance >= 0", variance, 0.0, math.inf) for _, variance in laws]
    for words, expr, least, most in wanted:
        value = sp.sympify(expr, strict=True).subs(at)
        if value.is_number and not least <= float(value) <= most:
            names = sorted(map(str, sp.sympify(expr, strict=True).free_symbols))
            hint = "For example " + " ".join(f"--{name.replace('_', '-')} 0.3" for name in names) + "."
            raise ParameterError(where, words, f"{float(value):g}", hint)


def evaluate_lines(model: str, program: Alternating, quantity: str, given: Mapping[str, float]) -> dict[str, float]:
    """The limits of the mean squares of a model by name, or the coefficients of its correction terms.

    Errors: NotClosed for another quantity, ParameterError for a missing symbol or a meaningless number.
    """
    if quantity not in QUANTITIES:
        raise NotClosed(f"eval {model} {quantity}", " or ".join(QUANTITIES), quantity,
                        f"Write wideproof eval {model} state-evolution.")  # fmt: skip
    refuse_meaningless(program.program(), given, f"eval {model}")
    values = line_evolution(program)(**given)
    if quantity == "state-evolution":
        return errors_of(values)
    return {str(x): value for x, value in values.items() if isinstance(x, Coefficient) and value}
