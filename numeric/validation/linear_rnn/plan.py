"""The plan of a Monte Carlo run: everything its bits depend on, and its cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import BACKENDS
from wideproof.numeric.core.inputs import choice, real, whole
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.runs.chunks import Chunk, cut, round_size
from wideproof.numeric.sampling.linear import Choice, LinearSetting, choose

KERNEL_TRIALS = 2000
KERNEL_PRODUCT = 4 * 10**6  # width times trials: the kernel's weights vary by O(n^-1/2) from draw to draw
GROUPS = ("response", "kernel")
BATCH_NUMBERS = {"numpy": 2**20, "cupy": 2**26}  # doubles of one batch: a cache, a device
CHUNK_TRIALS = {"numpy": 500, "cupy": 10_000}  # measured on the host: the system takes larger arrays back each time
CHUNK_NUMBERS = {"numpy": 2**26, "cupy": 2**32}  # doubles drawn for one chunk


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
class Plan:
    """A ladder of widths with independent trials at each; equal plans give equal bits.

    With a `target`, a width is done once the standard errors of all its second moments (or kernel weights) are
    below that part of them, checked after each chunk; trials and kernel_trials are then the most there may be.
    `dtype` is the precision of whole matrices, float32 with the sampler dense only.
    Shapes: widths (K,), increasing.  Units: nu_M is the variance of an entry of M.
    Error: ParameterError for a size that means nothing.  Source: definition.

    >>> wp.Plan(width=64, trials=100, horizon=4, nu_W=0.5, nu_F=1.0, nu_C=1.0).widths
    (4, 8, 16, 32, 64)
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

    def chunks(self) -> Iterator[Chunk]:
        """Yield all units of work in their fixed order."""
        for group in GROUPS:
            for width in self.widths:
                yield from cut(group, width, self.trials_of(group), self.chunk_size(group, width))

    def chunk_size(self, group: str, width: int) -> int:
        """Return how many trials share one stream and one file: some seconds of work, whatever the trials."""
        return round_size(CHUNK_TRIALS[self.backend], CHUNK_NUMBERS[self.backend] // self._numbers(group, width))

    def batch_size(self, group: str, width: int) -> int:
        """Return how many trials of a chunk are drawn at once: of the largest array inside a sampler, what fits."""
        return max(1, min(self.chunk_size(group, width), BATCH_NUMBERS[self.backend] // self._numbers(group, width)))

    def _numbers(self, group: str, width: int) -> int:
        """Doubles of the largest array inside a sampler, for one trial."""
        sides = self.n_x + self.n_y if group == "kernel" else min(self.n_x, self.n_y)
        dense = self.choice(group, width).name == "dense"
        side = width if dense else min(width, self.horizon * sides)
        return int(max(side**2, self.horizon**2 * self.n_x * self.n_y))

    def data(self) -> dict[str, Any]:
        """Return the plan as plain data, from which `of` makes an equal one."""
        return asdict(self) | {"widths": list(self.widths)}

    @staticmethod
    def of(data: Mapping[str, Any]) -> Plan:
        """Return the plan of plain data.  Errors: those of a plan."""
        return Plan(**{**data, "widths": tuple(data["widths"])})
