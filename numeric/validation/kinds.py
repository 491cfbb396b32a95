"""Which experiment confronts a program with its limits: the first kind that covers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wideproof.derive import Program
from wideproof.derive.language.errors import StoreError
from wideproof.numeric.validation.alternating.experiment import LinesExperiment
from wideproof.numeric.validation.experiment import Experiment
from wideproof.numeric.validation.kernels.experiment import KernelExperiment
from wideproof.numeric.validation.linear_rnn.experiment import LinearExperiment

KINDS: tuple[type[Experiment], ...] = (LinesExperiment, LinearExperiment, KernelExperiment)


def kind_of(program: Program) -> type[Experiment]:
    """The kind of experiment on a program."""
    return next(kind for kind in KINDS if kind.covers(program))


def experiment_of(data: Mapping[str, Any]) -> Experiment:
    """Return the experiment of plain data.  Errors: StoreError for what is none; those of its parts."""
    try:
        kinds = {kind.kind: kind for kind in KINDS}
        return kinds[data["kind"]].of(data)
    except (KeyError, TypeError) as error:
        raise StoreError("experiment", "the plan of a run", f"{type(error).__name__}: {error}",
                         "It is of another version of wideproof.") from error  # fmt: skip
