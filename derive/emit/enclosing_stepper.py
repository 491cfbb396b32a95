"""The derived recurrence of a kernel stepped in ball arithmetic: every number on the way is a ball that holds it.

The equations, the order of evaluation and the starts are those of `kernel_stepper`; only the numbers differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.emit.formula import Formula
from wideproof.derive.emit.kernel_stepper import (
    BALLS,
    CompiledEquation,
    Directions,
    Equations,
    Index,
    Look,
    MomentNode,
    Stepper,
)
from wideproof.derive.expectation.enclosures.pairs import PairLaw, enclosure
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.notation import s, t


@dataclass(frozen=True)
class BallInputs:
    """Two sequences of exact numbers, (T, n_x) each, and whether they are one."""

    first: Any
    second: Any
    same: int
    wanted: float = 1.0
    diagonal: bool = False
    rounding: float = 0.0

    def looks(self) -> list[Look]:
        """None."""
        return []

    def directions(self, side: int) -> Directions:
        """Never: balls are stepped one by one.  Errors: NotClosed."""
        raise NotClosed("BallInputs", "numbers", "balls", "Sweeps are of doubles.")

    sequences = lengths = directions

    def gaps(self, first: int, second: int) -> None:
        """None: a ball holds its angle as it is."""

    def gram(self, side: int, first: int, second: int) -> Any:
        """x_first . x'_second of a side."""
        rows = ((self.first, self.first), (self.second, self.second), (self.first, self.second))[side]
        arb = flint().arb
        return sum(
            (arb(float(x)) * arb(float(y)) for x, y in zip(rows[0][first], rows[1][second], strict=True)), arb(0)
        )

    def gram_error(self, side: int, first: int, second: int) -> Any:
        """None: the ball of the inner product holds its rounding."""
        return 0.0

    def beside_all(self, first: int) -> None:
        """None: balls are single numbers."""


class EnclosingStepper(Stepper):
    """The moments of one pair of sequences as balls."""

    def _joined(self, rule: CompiledEquation, numbers: list[Any]) -> Any:
        return rule.joined(*numbers)

    def _node(self, node: MomentNode, law: list[Any], index: Index, sign: Any) -> list[Any]:
        arb = flint().arb
        law = [flint().acb(x).real for x in law]
        first, second, a, c, b = law if len(law) == 5 else (law[0], law[0], law[1], arb(0), law[1])
        return [enclosure(node.factors, PairLaw((first, second), (a, b), c))]


def enclosed_kernel(formula: Formula, inputs: BallInputs, readout: str, index: Index, values: Mapping[str, float],
                    bits: int) -> Any:  # fmt: skip
    """A ball that holds the kernel of two sequences: at the two times `index`, at the last, or averaged.

    Shapes: scalar.  Units: output^2.  Error: none for the numbers given, taken as exact; NotClosed without a recurrence
    over two times, NotAccurate where an expectation has no finite enclosure.  `bits` is the working precision.
    """
    recurrence = formula.recurrence
    if formula.process is not None or recurrence is None or recurrence.indices != (t, s):
        raise NotClosed(
            f"enclosure of {formula.name}",
            "a recurrence over two times, of means of at most two activations",
            "an expectation over a process, in which states or activations multiply",
            "It is a mean over many variables, which ball arithmetic does not reach: Kernel.evaluate gives it with an "
            "estimate of its error.",
        )
    symbols = tuple(x for x in formula.symbols.values() if x.name not in ("t", "s"))
    sizes = (len(inputs.first), len(inputs.second))
    with flint().ctx.workprec(bits):
        numbers = {x.name: flint().arb(float(values[x.name])) for x in symbols}
        stepper = EnclosingStepper(Equations(recurrence, formula.program, symbols, BALLS), inputs, numbers, sizes)
        if readout == "all":
            found = stepper.output(index)
        elif readout == "last":
            found = stepper.last(sizes)
        else:
            found = sum(map(sum, stepper.table(sizes))) / (sizes[0] * sizes[1])
        return flint().acb(found).real
