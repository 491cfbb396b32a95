"""`derive` and `validate` of the models that alternate a matrix and its transpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from derive import Derivation, models
from derive.alternating import Alternating
from derive.alternating.transposes import corrections
from derive.errors import NotClosed, ParameterError

if TYPE_CHECKING:
    from numeric.checks import Check, Verdict

ALTERNATING: dict[str, Callable[[], Alternating]] = {"amp": lambda: models.amp(2)}
SETTING = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8, "theta_1": 0.7}
TRIALS = 800


@dataclass(frozen=True)
class LinesValidation:
    """The checks of an alternating program and their joint verdict."""

    verdict: Verdict
    method: str
    checks: tuple[Check, ...]


def derive_lines(model: str, quantity: str) -> Derivation:
    """The verified corrections of a model.  Errors: NotClosed for another quantity."""
    if quantity not in ("", "corrections"):
        raise NotClosed(f"derive {model} {quantity}", "corrections", quantity, f"Write wideproof derive {model}.")
    derivation = corrections(ALTERNATING[model]())
    derivation.proof.verify()
    return derivation


def validate_lines(
    model: str, given: Mapping[str, float], width: int, trials: int | None, seed: int, device: str, plain: bool
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
        ALTERNATING[model](),
        SETTING | dict(given),
        width=width,
        trials=trials or TRIALS,
        seed=seed,
        device={"cpu": "numpy", "cuda": "cupy"}[device],
    )
    return LinesValidation(overall(checks), "dense: the matrix and the sources drawn in every trial", checks)
