"""The plan of a Monte Carlo run: everything its bits depend on, and its cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import BACKENDS
from wideproof.numeric.core.inputs import choice, real, whole
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.sampling.linear import Choice, LinearSetting, choose

KERNEL_TRIALS = 2000
KERNEL_PRODUCT = 4 * 10**6  # width times trials: the kernel's weights vary by O(n^-1/2) from draw to draw
GROUPS = ("response", "kernel")
BATCH_NUMBERS = {"numpy": 2**20, "cupy": 2**26}  # doubles of one batch: a cache, a device
BATCH_TRIALS = {"numpy": 2**9, "cupy": 2**20}  # measured: in larger batches the system takes the arrays back each time


def checked_plan(plan: Any, least: dict[str, int]) -> None:
    """Take the counts, the target and the backend of a plan, or refuse them by name.

    Error: ParameterError.  Source: definition.
    """
    for name, smallest in least.items():
        hint = "A standard error needs two trials." if name == "trials" else "Sizes and steps count."
        object.__setattr__(plan, name, whole(name, getattr(plan, name), smallest, 2**128, hint))
    if plan.target is not None:
        real("target", plan.target, 0.0, above=True, hint="A relative standard error: 0.01 is one per cent.")
    choice("backend", plan.backend, BACKENDS, "Choose an array library.")


@dataclass(frozen=True)
class Batch:
    """One unit of work: the trials of one group at one width that share one random stream."""

    group: str
    width: int
    index: int
    trials: int


@dataclass(frozen=True)
class Plan:
    """A ladder of widths with independent trials at each; equal plans give equal bits.

    With a `target`, a width is done once the standard errors of all its second moments (or kernel weights) are
    below that part of them, checked after each batch; trials and kernel_trials are then the most there may be.
    `dtype` is the precision of whole matrices, float32 with the sampler dense only.
    Shapes: widths (K,), increasing.  Units: nu_M is the variance of an entry of M.
    Error: ParameterError for a size that means nothing.  Source: definition.
    """

    width: int
    trials: int
    horizon: int
    nu_W: float
    nu_F: float
    nu_C: float
    n_x: int = 2
    n_y: int = 2
    seed: int = 0
    kernel_trials: int | None = None
    sampler: str = "auto"
    backend: str = "numpy"
    widths: tuple[int, ...] = field(default=())
    target: float | None = None
    dtype: str = "float64"

    def __post_init__(self) -> None:
        least = {"width": 1, "trials": 2, "horizon": 1, "n_x": 1, "n_y": 1, "seed": 0}
        checked_plan(self, least | ({} if self.kernel_trials is None else {"kernel_trials": 2}))
        for name in ("nu_W", "nu_F", "nu_C"):
            object.__setattr__(self, name, real(name, getattr(self, name), 0.0, hint="It is a variance, not a scale."))
        if self.kernel_trials is None:
            enough = max(KERNEL_TRIALS, KERNEL_PRODUCT // max(1, self.width))
            most = self.trials if self.target else min(self.trials, enough)
            object.__setattr__(self, "kernel_trials", most)
        if not self.widths:
            object.__setattr__(self, "widths", width_ladder(self.width))
        object.__setattr__(self, "widths", tuple(whole("widths", width, 1) for width in self.widths))
        if tuple(sorted(set(self.widths))) != self.widths or self.widths[-1] != self.width:
            raise ParameterError("widths", "increasing, up to width", self.widths, "Sort them, no width twice.")
        for width in self.widths:
            self.choice(GROUPS[0], width)

    def setting(self, width: int) -> LinearSetting:
        """Return the linear recursion at one width of the ladder."""
        return LinearSetting(width, self.horizon, self.n_x, self.n_y, self.nu_W, self.nu_F, self.nu_C)

    def trials_of(self, group: str) -> int:
        """Return how many trials a group has at each width."""
        return self.trials if group == "response" else self.kernel_trials or self.trials

    def choice(self, group: str, width: int) -> Choice:
        """Return the sampler of a group at a width, with its reason."""
        return choose(self.setting(width), group == "kernel", self.sampler, self.dtype)

    def batches(self) -> Iterator[Batch]:
        """Yield all units of work in their fixed order."""
        for group in GROUPS:
            for width in self.widths:
                size, left = self.batch_size(group, width), self.trials_of(group)
                for index in range(-(-left // size)):
                    yield Batch(group, width, index, min(size, left - index * size))

    def batch_size(self, group: str, width: int) -> int:
        """Return how many trials of the largest array inside a sampler fit the budget of one batch."""
        sides = self.n_x + self.n_y if group == "kernel" else min(self.n_x, self.n_y)
        dense = self.choice(group, width).name == "dense"
        side = width if dense else min(width, self.horizon * sides)
        numbers = max(side**2, self.horizon**2 * self.n_x * self.n_y)
        return max(1, min(BATCH_TRIALS[self.backend], BATCH_NUMBERS[self.backend] // numbers))

    def identity(self) -> dict[str, Any]:
        """Return the plan as plain data, the identity of its checkpoints."""
        return asdict(replace(self)) | {"widths": list(self.widths), "version": 2}
