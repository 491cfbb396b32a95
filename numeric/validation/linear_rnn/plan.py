"""The plan of a Monte Carlo run: everything its bits depend on, and its cut into chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wideproof.derive import Program
from wideproof.derive.language.program import Role
from wideproof.numeric.core.inputs import real
from wideproof.numeric.runs.chunks import Chunk
from wideproof.numeric.sampling.linear import Choice, LinearSetting, choose
from wideproof.numeric.validation.plan import LadderPlan

KERNEL_TRIALS = 2000
KERNEL_PRODUCT = 4 * 10**6  # width times trials: the kernel's weights vary by O(n^-1/2) from draw to draw
GROUPS = ("response", "kernel")
PARTS: dict[str, Role] = {"nu_W": "matrix", "nu_F": "input_map", "nu_C": "readout"}


def variances(program: Program, values: Mapping[str, float]) -> dict[str, Any]:
    """Return the variances of a linear RNN's transition matrix, input map and readout, whatever its letters are.

    Units: nu_M is the variance of an entry of M.  Error: rounding.  Source: definition.
    """
    at = {program.symbols[name]: value for name, value in values.items()}
    roles = {p.role: p for p in program.parameters}
    return {name: float(roles[role].variance.subs(at)) for name, role in PARTS.items()}


@dataclass(frozen=True)
class Plan(LadderPlan):
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

    GROUPS = GROUPS
    follows = {"kernel_trials": None}  # noqa: RUF012
    BATCH_NUMBERS = {"numpy": 2**20, "cupy": 2**26}  # noqa: RUF012 - a cache, a device
    CHUNK_TRIALS = {"numpy": 500, "cupy": 10_000}  # noqa: RUF012 - on the host larger arrays are taken back each time
    CHUNK_NUMBERS = {"numpy": 2**26, "cupy": 2**32}  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nu_W", "nu_F", "nu_C"):
            self._set(name, real(name, getattr(self, name), 0.0, hint="It is a variance, not a scale."))
        if self.kernel_trials is None:
            enough = max(KERNEL_TRIALS, KERNEL_PRODUCT // max(1, self.width))
            self._set("kernel_trials", self.trials if self.target else min(self.trials, enough))
        for width in self.widths:
            self.choice(GROUPS[0], width)

    def least(self) -> dict[str, int]:
        """Return the least that each count may be."""
        given = {} if self.kernel_trials is None else {"kernel_trials": 2}
        return super().least() | {"horizon": 1, "n_x": 1, "n_y": 1} | given

    def setting(self, width: int) -> LinearSetting:
        """Return the linear recursion at one width of the ladder."""
        return LinearSetting(width, self.horizon, self.n_x, self.n_y, self.nu_W, self.nu_F, self.nu_C)

    def trials_of(self, group: str) -> int:
        """Return how many trials a group has at each width."""
        return self.trials if group == "response" else self.kernel_trials or self.trials

    def choice(self, group: str, width: int) -> Choice:
        """Return the sampler of a group at a width, with its reason."""
        return choose(self.setting(width), group == "kernel", self.sampler, self.dtype)

    def whole_matrices(self, group: str, width: int) -> bool:
        """Whether the sampler is the one that draws them."""
        return self.choice(group, width).name == "dense"

    @property
    def matrices_asked(self) -> bool:
        """Whether they were asked for by the name of their sampler."""
        return self.sampler == "dense"

    def stream_key(self, chunk: Chunk) -> tuple[int, ...]:
        """The group, the width and the chunk."""
        return GROUPS.index(chunk.group), chunk.width, chunk.index

    def numbers(self, group: str, width: int) -> int:
        """Doubles of the largest array inside a sampler, for one trial."""
        sides = self.n_x + self.n_y if group == "kernel" else min(self.n_x, self.n_y)
        side = width if self.whole_matrices(group, width) else min(width, self.horizon * sides)
        return int(max(side**2, self.horizon**2 * self.n_x * self.n_y))

    def held(self, group: str, width: int) -> float:
        """Doubles held per trial of one batch: the factors, and what the features take.

        Error: leading orders only.  Source: `dense`, `one_sided`, `two_sided`, features.
        """
        n, T, n_x, n_y = width, self.horizon, self.n_x, self.n_y
        kernel = group == "kernel"
        sides, entries = n_x + n_y if kernel else min(n_x, n_y), float(T * n_x * n_y)
        if self.whole_matrices(group, n):
            return n * (n + n_x + n_y) + T * n * sides + 4 * entries
        return 3.0 * min(n, T * sides) ** 2 + 4 * entries * (T if kernel else 1)
