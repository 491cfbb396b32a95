"""`derive` and `eval` of the models that alternate a matrix and its transpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from derive import Derivation, models
from derive.alternating import Alternating
from derive.alternating.evaluate import errors_of, line_evolution
from derive.alternating.limits import limits
from derive.alternating.terms import Coefficient
from derive.alternating.transposes import corrections
from derive.errors import NotClosed

ALTERNATING: dict[str, Callable[..., Alternating]] = {"amp": lambda steps=2: models.amp(steps)}
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


def evaluate_lines(model: str, program: Alternating, quantity: str, given: Mapping[str, float]) -> dict[str, float]:
    """The limits of the mean squares of a model by name, or the coefficients of its correction terms.

    Errors: NotClosed for another quantity, ParameterError for a missing symbol.
    """
    if quantity not in QUANTITIES:
        raise NotClosed(f"eval {model} {quantity}", " or ".join(QUANTITIES), quantity,
                        f"Write wideproof eval {model} state-evolution.")  # fmt: skip
    values = line_evolution(program)(**given)
    if quantity == "state-evolution":
        return errors_of(values)
    return {str(x): value for x, value in values.items() if isinstance(x, Coefficient) and value}
