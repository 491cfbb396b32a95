"""Whether a run fits the machine, known by arithmetic before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.runs.environment import gpu_memory, machine_memory

NUMBER = 8.0
"""Bytes of a double."""


@dataclass(frozen=True)
class BatchMemory:
    """What the largest batch of a run holds: so many trials at a width, so many doubles each.

    `dense` says that the numbers grow as n², `asked` that whole matrices were asked for and need not be drawn.
    Units: counts.  Error: leading orders only, a factor of two.  Source: the plan.
    """

    width: int
    trials: int
    numbers: float
    dense: bool
    asked: bool = False

    @property
    def bytes(self) -> float:
        """Bytes of one worker."""
        return NUMBER * self.numbers * self.trials


def refuse_too_large(where: str, need: BatchMemory, workers: int | None, device: str = "numpy") -> None:
    """Do nothing for a run that can fit, its workers drawing at once on this machine; None where they are elsewhere.

    With the device "cupy" it is the memory of the GPUs that they share.
    Errors: ParameterError with the arithmetic, and the width or the number of workers that would fit.
    """
    most, count = machine_memory() if device == "numpy" else gpu_memory(), workers or 1
    if most is None or need.bytes * count <= most:
        return
    at_once = "" if need.trials == 1 else f" x {need.trials} networks at once"
    told = f"8 bytes x {need.numbers:.3g} numbers of a network at n = {need.width}{at_once}"
    told += f" x {count} workers" if count > 1 else ""
    fits = _rounded_down(need.width * (most / need.bytes) ** (0.5 if need.dense else 1.0))
    hint = f"Take --jobs {int(most // need.bytes)} or fewer." if need.bytes <= most else (
        f"Take a --width of {fits} or less"
        + (", or --method auto, which draws no matrix where it need not." if need.asked else ".")
    )  # fmt: skip
    place = "this machine" if device == "numpy" else "its GPUs"
    raise ParameterError(where, f"a run that fits the {most / 1e9:.3g} GB of {place}",
                         f"{told} = {need.bytes * count / 1e9:.3g} GB", hint)  # fmt: skip


def _rounded_down(value: float) -> int:
    """Two digits of a number, never more than it."""
    unit = 10 ** max(0, len(str(int(value))) - 2)
    return max(1, int(value) // unit * unit)
