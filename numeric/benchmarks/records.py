"""What a benchmark returns: rows of paired ratios, each beside the least its work can cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wideproof.derive.language.errors import DeriveError


class DisagreementError(DeriveError):
    """Two programs that were to be timed against each other do not compute the same thing."""


@dataclass(frozen=True)
class Case:
    """A problem: width (0 in the limit), horizon, inputs, outputs; N sequences of data, trials of a batch of draws."""

    n: int
    T: int = 10
    n_x: int = 1
    n_y: int = 1
    N: int | None = None
    trials: int | None = None
    dtype: str = "float64"
    nu_W: float = 0.3
    nu_F: float = 1.0
    nu_C: float = 1.0


@dataclass(frozen=True)
class Floor:
    """The least our algorithm can cost on this machine: its memory traffic or its arithmetic, and its draws.

    Units: bytes and flops of one unit of work, draws of standard normals; seconds is the larger of the first
    two at the probed rates, plus the draws.
    """

    bytes: float
    flops: float
    draws: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """One comparison: ratio = rival's CPU time / ours, the median over interleaved pairs with its quartiles.

    Units: ours_s and rival_s are CPU seconds of one unit of work, what `unit` says.
    """

    name: str
    rival: str
    n: int
    T: int
    n_x: int
    n_y: int
    N: int | None
    trials: int | None
    dtype: str
    ratio: float
    ratio_low: float
    ratio_high: float
    pairs: int
    unit: str
    ours_s: float
    rival_s: float
    floor: Floor
    agreement: str

    @property
    def fraction(self) -> float:
        """The part of the machine's bandwidth, arithmetic or draws, whichever binds, that ours reaches."""
        return self.floor.seconds / self.ours_s


@dataclass(frozen=True)
class BenchResult:
    """All rows of one run, what was left out and why, the machine, and the date (UTC)."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    machine: dict[str, Any]
    date: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and dictionaries, as JSON has them."""
        return {
            "rows": [asdict(row) | {"fraction": row.fraction} for row in self.rows], "notes": list(self.notes),
            "machine": self.machine, "date": self.date,
        }  # fmt: skip
