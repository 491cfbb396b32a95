"""The coefficients of 1/n of both kernels at equal times: derived where theory gives them, beside those measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.errors import NotAccurate, NotClosed
from wideproof.derive.language.program import Program
from wideproof.derive.width_expansion.corrections import nngp_correction, ntk_correction
from wideproof.derive.width_expansion.overlaps import is_recurrent
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Check

MAKE: dict[str, Callable[[Program, int], Derivation]] = {"nngp": nngp_correction, "ntk": ntk_correction}
LATEST = {"nngp": 3, "ntk": 1}
"""Kernel -> the last step at which its correction is derived in seconds."""


@dataclass(frozen=True)
class Correction:
    """The coefficient of 1/n of one entry of a kernel: measured, and derived where `reason` is empty.

    Shapes: scalars; `sequences` are 0, 0 for the first sequence with itself.  Units: of the kernel.
    Error: stderr of the measured one, `error` of the derived one, an estimate.
    Source: `first_correction`; nngp_correction and ntk_correction of derive.
    """

    quantity: str
    step: int
    sequences: tuple[int, int]
    measured: float
    stderr: float
    derived: float | None = None
    error: float = 0.0
    reason: str = ""

    @property
    def z(self) -> float | None:
        """How far the measured coefficient is off the derived one, in standard errors; None where there is none."""
        if self.derived is None:
            return None
        return (self.measured - self.derived) / math.hypot(self.stderr, self.error)


def corrections_beside(
    program: Program, checks: tuple[Check, ...], inputs: Host, values: Mapping[str, float]
) -> tuple[tuple[Correction, ...], tuple[Derivation, ...]]:
    """Return the coefficient of 1/n of each entry at equal times with the first sequence, and what was derived.

    Shapes: inputs (N, T, n_x).  Errors: none; what theory does not give carries its reason.
    Source: `Correction`.
    """
    gram = inputs[0] @ inputs[0].T
    recurrent, derived = is_recurrent(program), dict[tuple[str, int], Derivation]()
    found = []
    for check in checks:
        lag = check.lag
        if not isinstance(lag, tuple) or lag[0] != 0 or lag[1] != lag[3] or check.correction is None:
            continue
        assert check.correction_stderr is not None
        _, step, other, _ = lag
        entry = Correction(check.quantity, step, (0, other), check.correction, check.correction_stderr)
        found.append(_completed(entry, program, gram, values, recurrent, derived))
    return tuple(found), tuple(derived.values())


def _completed(
    entry: Correction,
    program: Program,
    gram: Host,
    values: Mapping[str, float],
    recurrent: bool,
    derived: dict[tuple[str, int], Derivation],
) -> Correction:
    """An entry with its derived coefficient, or with the reason for which there is none."""
    own, step = (entry.step, 0) if recurrent else (0, entry.step)
    if entry.sequences != (0, 0):
        return replace(entry, reason="the theory here is of one sequence")
    if own > LATEST[entry.quantity]:
        return replace(entry, reason=f"later steps than {LATEST[entry.quantity]} take minutes to derive")
    try:
        if (entry.quantity, own) not in derived:
            derived[entry.quantity, own] = MAKE[entry.quantity](program, own)
        formula = derived[entry.quantity, own].formula
        at = {name: values[name] for name in formula.symbols}
        value, error = formula.compile().with_error(X=gram[step:, step:], **at)  # type: ignore[attr-defined]
    except (NotClosed, NotAccurate) as failure:
        return replace(entry, reason=f"the theory needs {failure.expected}")
    return replace(entry, derived=value, error=error)
