"""`derive`, `eval` and `validate` of the models that alternate a matrix and its transpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from derive import Derivation, models
from derive.alternating import Alternating, AlternatingProgram
from derive.alternating.evaluate import errors_of, line_evolution
from derive.alternating.limits import limits
from derive.alternating.terms import Coefficient
from derive.alternating.transposes import corrections
from derive.errors import NotClosed, ParameterError

if TYPE_CHECKING:
    from numeric.checks import Check, Verdict

ALTERNATING: dict[str, Callable[..., Alternating]] = {"amp": lambda steps=2: models.amp(steps)}
QUANTITIES = {"corrections": corrections, "state-evolution": limits}
SETTING = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8}
THRESHOLD, TRIALS = 0.7, 1200


def setting(program: AlternatingProgram, given: Mapping[str, float]) -> dict[str, float]:
    """The numbers of the example where none are given; later thresholds are all alike."""
    known = {name: SETTING.get(name, THRESHOLD) for name in program.symbols if name in SETTING or "theta_" in name}
    return known | dict(given)


@dataclass(frozen=True)
class LinesValidation:
    """The checks of an alternating program and their joint verdict."""

    verdict: Verdict
    method: str
    checks: tuple[Check, ...]


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


def validate_lines(
    model: str, program: Alternating, given: Mapping[str, float], width: int, trials: int | None, seed: int,
    device: str, plain: bool,
) -> LinesValidation:
    """Finite widths against the derived state evolution; symbols that are not given have those of the example.

    Errors: ParameterError where an option of other samplers is asked for, or the width leaves no ladder.
    """
    from numeric.alternating import check_lines
    from numeric.checks import overall

    if not plain:
        raise ParameterError(
            f"validate {model}",
            "the options --width, --trials, --seed, --device",
            "another one",
            "Its matrix is drawn whole, in double precision.",
        )
    if width < 64:
        raise ParameterError(f"validate {model}", "--width 64 or more", width, "The ladder ends at a quarter of it.")
    checks = check_lines(
        program,
        setting(program.program(), given),
        width=width,
        trials=trials or TRIALS,
        seed=seed,
        device={"cpu": "numpy", "cuda": "cupy"}[device],
    )
    return LinesValidation(overall(checks), "dense: the matrix and the sources drawn in every trial", checks)
