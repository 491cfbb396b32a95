"""What a run of kernels can decide, said before it starts, and how many networks decide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream
from wideproof.numeric.core.checks import Level
from wideproof.numeric.validation.kernels.claims import PRECISION, entry_degree, entry_scales
from wideproof.numeric.validation.kernels.plan import KernelPlan
from wideproof.numeric.validation.kernels.runner import PILOT_STREAM, QUANTITIES, KernelMeasurements
from wideproof.numeric.validation.ladder import Rungs, at_infinity, out_of_reach

PILOT = 64
"""Networks of the pilot, drawn at the narrowest width that is wide for the last step."""
MARGIN = 1.3
"""What the worst of all entries sees, over what the pilot says of it: its own spread, and two fits apart by chance."""
ROUND, MOST = 500, 100_000
"""A default number of networks is a multiple of the one and at most the other."""


@dataclass(frozen=True)
class Power:
    """What the worst entry of a run will see, relative to the diagonal, and what is asked of it.

    `trials` are those of the run, `needed` those that see the effect, 0 where none does, for the reason `obstacle`.
    Shapes: scalars.  Units: relative.  Error: `sees` within a factor of 1.5; the tails of a pilot are rough.
    Source: standard errors of a pilot, which fall as (n trials)^-1/2.
    """

    trials: int
    sees: float
    effect: float
    power: float
    needed: int
    obstacle: str = ""

    @property
    def decides(self) -> bool:
        """Whether the run is expected to end with a verdict."""
        return not self.obstacle and self.trials >= self.needed

    def __str__(self) -> str:
        if self.obstacle:
            return f"cannot decide: {self.obstacle}"
        sees = f"{self.trials} networks a width see an entry {self.sees:.2g} of the diagonal off"
        if self.decides:
            return f"can decide: {sees} with probability {self.power:g}, asked {self.effect:.2g}"
        return f"cannot decide: {sees}, asked {self.effect:.2g}: use --trials {self.needed}"


def kernel_power(plan: KernelPlan, level: Level | None = None) -> Power:
    """Estimate what a plan of kernels can decide, from a pilot of networks that no run draws.

    Shapes, units, error: as `Power`.  Source: `at_infinity` on the standard errors that the pilot lets expect.
    """
    level = level or Level()
    pilot = _Pilot.of(plan)
    sees, effect = pilot.worst(plan, level)
    obstacle = out_of_reach(pilot.rungs(plan, QUANTITIES[0], 0), plan.horizon - 1, "step")
    needed, now = plan.trials, sees
    for _ in range(4):  # the degree of the fits may grow with the trials
        needed = max(2, math.ceil(needed * (now / effect) ** 2)) if effect else 0
        now, _ = pilot.worst(replace(plan, trials=needed), level) if needed else (now, effect)
        if now <= effect or not needed:
            break
    return Power(plan.trials, sees, effect, level.power, 0 if obstacle else _rounded(needed), obstacle)


def default_trials(plan: KernelPlan, level: Level | None = None) -> int:
    """Return the number of networks of a plan, or what decides where that is more, at most `MOST`.

    Units: networks a width.  Error: as `Power`.  Source: `kernel_power`.
    """
    return max(plan.trials, min(MOST, kernel_power(plan, level).needed))


def _rounded(trials: int) -> int:
    """A multiple of `ROUND`, so that rounding of another machine changes no default; less, below it, to 50."""
    step = ROUND if trials > ROUND else 50
    return step * math.ceil(trials / step)


@dataclass(frozen=True)
class _Pilot:
    """Means and standard deviations of every entry at one width."""

    width: int
    means: dict[str, Host]
    spreads: dict[str, Host]

    @staticmethod
    def of(plan: KernelPlan) -> _Pilot:
        entries = np.zeros(len(plan.widths))
        width = Rungs("nngp", 0, plan.widths, plan.trials, entries, entries).wide_for(plan.horizon - 1).widths[0]
        source = stream(backend("numpy"), seed_sequence(plan.seed, PILOT_STREAM, width))
        found = KernelMeasurements.draw_batches(plan, "kernels", width, PILOT, source).moments
        means = {name: moments.feature(0).mean for name, moments in found.items()}
        spreads = {name: moments.feature(0).stderr * math.sqrt(PILOT) for name, moments in found.items()}
        return _Pilot(width, means, spreads)

    def rungs(self, plan: KernelPlan, quantity: str, index: int) -> Rungs:
        """The rungs to expect of an entry: equal means, and the spread of the pilot brought to each width."""
        widths = np.asarray(plan.widths, dtype=np.float64)
        stderrs = self.spreads[quantity][index] * np.sqrt(self.width / widths / plan.trials)
        means = np.full(len(widths), self.means[quantity][index])
        return Rungs(quantity, plan.pairs[index], plan.widths, plan.trials, means, stderrs,
                     PRECISION).wide_for(plan.horizon - 1)  # fmt: skip

    def worst(self, plan: KernelPlan, level: Level) -> tuple[float, float]:
        """What the entry furthest from its effect sees, and that effect."""
        each = level.false_alarm / (2 * len(plan.pairs))
        found = []
        for quantity in QUANTITIES:
            scales, means = entry_scales(self._diagonal(plan, quantity)), self.means[quantity]
            for index, (i, j) in enumerate(zip(*np.triu_indices(plan.points), strict=True)):
                rungs, scale = self.rungs(plan, quantity, index), float(scales[i, j])
                claim = at_infinity(rungs, float(means[index]), entry_degree(rungs, plan, scale), scale=scale)
                effect = level.effects[quantity]
                found.append((MARGIN * claim.detectable(each, level.power), effect))
        return max(found, key=lambda x: x[0] / x[1] if x[1] else math.inf)

    def _diagonal(self, plan: KernelPlan, quantity: str) -> Host:
        own = [k for k, pair in enumerate(plan.pairs) if pair[:2] == pair[2:]]
        return self.means[quantity][own]
