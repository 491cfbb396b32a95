"""The sizes at which theorems and lemmas are measured: all of it our choice, not the paper's."""

from __future__ import annotations

from dataclasses import dataclass

from derive.errors import ParameterError
from numeric.experiments.choice import choice


@dataclass(frozen=True)
class BoundSizes:
    """Theorem 4.1: the networks whose movement is held against the bound."""

    bound_widths: tuple[int, ...] = choice((10**2, 10**3, 10**4, 10**6), "widths held against the bound")
    bound_networks: int = choice(12, "networks drawn at each of these widths")
    bound_steps: int = choice(60, "steps over which lags move")

    def __post_init__(self) -> None:
        if min(self.bound_widths) < 1 or self.bound_networks < 2 or self.bound_steps < 12:
            got = f"widths {self.bound_widths}, {self.bound_networks} networks, {self.bound_steps} steps"
            raise ParameterError("BoundSizes", "widths >= 1, two networks, 12 steps", got, "A mean needs its error.")


@dataclass(frozen=True)
class StateSizes:
    """Lemma C.1: the networks whose states' law is held against its limit."""

    state_widths: tuple[int, ...] = choice(tuple(10**k for k in range(2, 8)), "widths of the distance of the laws")
    state_networks: int = choice(100, "networks drawn at each of these widths")
    state_horizon: int = choice(6, "steps whose states are compared")

    def __post_init__(self) -> None:
        if len(set(self.state_widths)) < 4 or min(self.state_widths) < 1 or self.state_networks < 2 \
                or self.state_horizon < 1:  # fmt: skip
            got = f"widths {self.state_widths}, {self.state_networks} networks, {self.state_horizon} steps"
            raise ParameterError("StateSizes", "four widths, two networks, a step", got, "A rate needs its error.")
