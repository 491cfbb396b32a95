"""The sizes at which theorems and lemmas are measured: all of it our choice, not the paper's."""

from __future__ import annotations

from dataclasses import dataclass

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.paper.experiments.assumptions import choice


@dataclass(frozen=True)
class Variances:
    """Of the random networks that theorem 3.3 and the lemmas draw."""

    nu_W: float = choice(0.3, "variance of the entries of W")
    nu_F: float = choice(1.0, "variance of the entries of F")
    nu_C: float = choice(1.0, "variance of the entries of C")

    def __post_init__(self) -> None:
        if not min(self.nu_W, self.nu_F, self.nu_C) > 0:
            raise ParameterError("Variances", "variances > 0", (self.nu_W, self.nu_F, self.nu_C), "Raise them.")


@dataclass(frozen=True)
class RealizationSizes:
    """Proposition 2.1(b): the impulse response that is realised."""

    realized_horizon: int = choice(6, "lags of the impulse response that is realised")
    realized_outputs: int = choice(2, "its outputs")
    realized_inputs: int = choice(3, "its inputs")

    def __post_init__(self) -> None:
        found = (self.realized_horizon, self.realized_outputs, self.realized_inputs)
        if min(found) < 1 or self.realized_horizon > 12 or found[1] * found[2] > 64:
            hint = "The proposition's nodes are solved for exactly, in fractions; realize takes any size in doubles."
            raise ParameterError("RealizationSizes", "1 to 12 lags, at most 64 pairs", found, hint)


@dataclass(frozen=True)
class RankSizes:
    """Proposition 3.1: the kernel on recordings whose rank is taken."""

    rank_lags: int = choice(24, "lags of the recordings, for the rank of the kernel")

    def __post_init__(self) -> None:
        if self.rank_lags < 1:
            raise ParameterError("RankSizes", "a lag", self.rank_lags, "Raise rank_lags.")


@dataclass(frozen=True)
class DrawSizes:
    """Theorem 3.3 and Lemma B.1: the draws that judge the laws of the impulse response and of the kernel."""

    widest: int = choice(1024, "largest width of the Monte Carlo draws")
    trials: int = choice(20_000, "networks drawn at each of its widths")

    def __post_init__(self) -> None:
        if self.widest < 64 or self.trials < 1000:
            got = (self.widest, self.trials)
            raise ParameterError("DrawSizes", "width >= 64, trials >= 1000", got, "Verdicts need both.")


@dataclass(frozen=True)
class ResponseSizes:
    """Lemma B.1: the network whose responses to random perturbations are held against its gradients."""

    response_width: int = choice(16, "width of the network that is perturbed")
    response_steps: int = choice(3, "steps whose responses are compared")
    perturbations: int = choice(30_000, "random perturbations of it")

    def __post_init__(self) -> None:
        found = (self.response_width, self.response_steps, self.perturbations)
        if min(found) < 1 or self.perturbations < 1000:
            raise ParameterError("ResponseSizes", "a width, a step, 1000 perturbations", found, "Raise them.")


@dataclass(frozen=True)
class KernelSizes:
    """Theorem 3.3(b): the networks whose tangent kernel is held against its limit."""

    kernel_widths: tuple[int, ...] = choice(
        tuple(10**k for k in range(2, 8)), "widths of the kernel's error", most=10**15
    )
    kernel_networks: int = choice(100, "networks drawn at each of these widths")

    def __post_init__(self) -> None:
        _check_ladder("KernelSizes", self.kernel_widths, self.kernel_networks)


@dataclass(frozen=True)
class RadiusSizes:
    """Erratum E1: the matrices whose spectral radius is measured."""

    radius_width: int = choice(150, "width of the matrices whose spectral radius is taken")
    radius_draws: int = choice(20, "matrices drawn")

    def __post_init__(self) -> None:
        if self.radius_width < 100 or self.radius_draws < 10:
            got = (self.radius_width, self.radius_draws)
            raise ParameterError("RadiusSizes", "width >= 100, ten draws", got, "A limit is seen at large width.")


@dataclass(frozen=True)
class MomentSizes:
    """Erratum E2: the networks of width 4 whose second moments are averaged."""

    moment_trials: int = choice(200_000, "networks of width 4 drawn")

    def __post_init__(self) -> None:
        if self.moment_trials < 50_000:
            raise ParameterError("MomentSizes", "50000 networks", self.moment_trials, "Fewer do not tell 1 from 1.13.")


@dataclass(frozen=True)
class StartSizes:
    """Erratum E4: the random starts whose error is measured."""

    starts: int = choice(2000, "random starts drawn")

    def __post_init__(self) -> None:
        if self.starts < 500:
            raise ParameterError("StartSizes", "500 starts", self.starts, "The largest of a few is not far out.")


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

    state_widths: tuple[int, ...] = choice(
        tuple(10**k for k in range(2, 8)), "widths of the distance of the laws", most=10**15
    )
    state_networks: int = choice(100, "networks drawn at each of these widths")
    state_horizon: int = choice(6, "steps whose states are compared")
    law_widths: tuple[int, ...] = choice((100, 1000, 10_000, 100_000), "widths at which all coordinates are drawn")

    def __post_init__(self) -> None:
        _check_ladder("StateSizes", self.state_widths, self.state_networks)
        _check_ladder("StateSizes", self.law_widths, self.state_networks)
        if self.state_horizon < 1:
            raise ParameterError("StateSizes", "a step", self.state_horizon, "Raise state_horizon.")


def _check_ladder(where: str, widths: tuple[int, ...], networks: int) -> None:
    if len(set(widths)) < 4 or min(widths) < 1 or networks < 2:
        got = f"widths {widths}, {networks} networks"
        raise ParameterError(where, "four widths, two networks", got, "A rate needs its error.")
