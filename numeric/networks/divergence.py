"""Training that diverges: at which step it is noticed, and why, as step size times largest curvature tells."""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host

BLOW_UP = 1e6
"""A loss this many times the first one, or the power of the outputs, has blown up."""
RISEN = 1.0 + 1e-6
"""A training that ends this many times above its first loss has risen: rounding alone does not do that."""


class Diverged(ParameterError):
    """A step size with which gradient descent diverges."""


def blown_up(losses: Sequence[float] | Host, power: float) -> bool:
    """Whether the last loss is BLOW_UP times the first one and the power of the outputs, or is no number."""
    return not losses[-1] <= BLOW_UP * max(losses[0], power)


def risen(losses: Sequence[float] | Host) -> bool:
    """Whether a training ends above where it began."""
    return losses[-1] > RISEN * losses[0]


def unstable(step_size: float, largest: float, momentum: float = 0.0) -> bool:
    """Whether descent on a quadratic loss of this largest curvature diverges: step × curvature above 2 (1 + μ)."""
    return step_size * largest > 2.0 * (1.0 + momentum)


def diverged(
    where: str, step_size: float, largest: float, momentum: float = 0.0, *, step: int = 0, loss: float = 0.0,
    fixed: bool = False,
) -> Diverged:  # fmt: skip
    """The error of a training whose loss has risen by this step, with its cause.

    `largest` is the largest curvature, of all of training where it is `fixed`, else at the start.
    Units: curvature of the loss.  Error: none, an error is returned and not raised.
    Source: emami2021implicit (62), erratum E12; polyak1964some for momentum.
    """
    bound, product = 2.0 * (1.0 + momentum), step_size * largest
    got = f"{step_size:.6g}" + (f", with which the loss is {loss:.3g} at step {step}" if step else "")
    at = "" if fixed else " at this network's start"
    rule = f"step size × largest curvature{at} = {step_size:.3g} × {largest:.3g} = {product:.3g}"
    if unstable(step_size, largest, momentum):
        limit = f"{bound / largest:.3g}"
        hint = f"{rule} is above {bound:.3g}, where descent diverges. Half the largest stable step is the default."
        return Diverged(where, f"a step size below {limit}", got, hint)
    hint = f"{rule} is below {bound:.3g}: the curvature has grown as the network moved. Halve the step size."
    return Diverged(where, f"a smaller step size than {step_size:.3g}", got, hint)
