"""One entry of a kernel in ball arithmetic: the derived recurrence, every number on the way a ball that holds it."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

from wideproof.derive import Formula
from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.emit.enclosing_stepper import BallInputs, enclosed_kernel
from wideproof.derive.language.errors import NotAccurate, ParameterError
from wideproof.numeric.core.arrays import to_host
from wideproof.numeric.core.enclosures import BITS, Enclosure, is_narrow, narrow
from wideproof.numeric.kernels.sequence_batches import Groups


class EntryPlace(NamedTuple):
    """One entry of a kernel: the two sequences, and the two times where it is that of all steps."""

    rows: tuple[int, int]
    times: tuple[int, int]


def entry_of(given: Any, shape: tuple[int, ...]) -> EntryPlace:
    """Return an index of a kernel's array, (i, j), or (i, t, j, s) where it has times.

    Shapes: `shape` is that of the kernel.  Error: ParameterError for another index.  Source: definition.
    """
    names = "(i, j)" if len(shape) == 2 else "(i, t, j, s)"
    try:
        index = tuple(range(size)[operator.index(x)] for x, size in zip(given, shape, strict=True))
    except (TypeError, ValueError, IndexError):
        raise ParameterError(
            "Kernel.certified: entry",
            f"an index {names} into a kernel of shape {shape}",
            repr(given),
            "It is the index of the same entry of `ntk` or `nngp`.",
        ) from None
    return EntryPlace((index[0], index[1]), (-1, -1)) if len(index) == 2 else EntryPlace(index[::2], index[1::2])  # type: ignore[arg-type]


def sequence(groups: Groups, row: int) -> Any:
    """Return one of the given sequences, on the host.  Shapes: (T, n_x).  Source: definition."""
    return next(to_host(X)[members.index(row)] for members, X in groups if row in members)


def certified(
    formula: Formula,
    inputs: BallInputs,
    readout: str,
    times: tuple[int, int],
    values: dict[str, float],
    tolerance: float,
) -> Enclosure:
    """Return an enclosure of a kernel of two sequences, at higher precision where that of the first is too wide.

    Units: output^2.  Error: NotAccurate where no enclosure is narrow enough; NotClosed without a recurrence.
    Source: `enclosed_kernel`.
    """
    flint()
    for bits in BITS:
        try:
            ball = enclosed_kernel(formula, inputs, readout, times, values, bits)
        except NotAccurate:
            if bits == BITS[-1]:
                raise
            continue
        if is_narrow(ball, tolerance):
            break
    return narrow(f"certified {formula.name} of {formula.program.name}", ball, bits, tolerance)
