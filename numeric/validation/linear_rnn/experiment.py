"""The linear RNN against its derived limit: the experiment, what is usual in it, and the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive import Program, impulse_response, scale_factors
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.derive.language.program import Input, MatVec, Parameter, Previous, State, Updated
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.core.width_ladder import default_horizon
from wideproof.numeric.validation.experiment import Experiment, PlanOptions
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, exact_means, linear_validation, variances
from wideproof.numeric.validation.linear_rnn.cost import Cost, estimate_cost
from wideproof.numeric.validation.linear_rnn.plan import PARTS

FEW_TRIALS = 5000  # below, networks have 4 inputs and outputs: 16 entries of L_j each make up for few networks
TRIALS = 10_000
NARROW, NARROW_TRIALS, NARROW_LAGS = 16, 200_000, 4
"""Below this width squared entries have long tails, so there are more trials, of networks that cost nothing."""
DEFAULTS = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
"""Our assumption where the user states no variance; the paper's values are lost."""


@dataclass(frozen=True)
class LinearExperiment(Experiment):
    """The law of the impulse response and the scale factors of a linear RNN."""

    program: Program
    values: Mapping[str, float]
    plan: Plan
    level: Level | None = None
    kind = "linear"
    measurements = Measurements

    @classmethod
    def covers(cls, program: Program) -> bool:
        """Whether it is the linear RNN."""
        return is_linear_rnn(program)

    @classmethod
    def usual(cls, program: Program) -> Mapping[str, float]:
        """`DEFAULTS`."""
        return DEFAULTS

    @classmethod
    def planned(cls, program: Program, asked: PlanOptions) -> LinearExperiment:
        """As `Experiment.planned`: it takes every option."""
        values, is_narrow = cls.settings(program, asked.nu, asked.options), asked.width < NARROW
        trials = asked.trials or (NARROW_TRIALS if is_narrow else TRIALS)
        usual = max(1, min(NARROW_LAGS, asked.width - 1)) if is_narrow else default_horizon(asked.width)
        sides = 4 if trials < FEW_TRIALS or is_narrow else 2
        plan = Plan(asked.width, trials, asked.horizon or usual, **variances(program, values), n_x=sides, n_y=sides,
                    seed=asked.seed, sampler=asked.sampler, backend=asked.backend, target=asked.budget,
                    dtype=asked.dtype)  # fmt: skip
        return cls(program, values, plan, asked.level)

    def cost(self) -> Cost:
        """As `estimate_cost`."""
        return estimate_cost(self.plan)

    def judged(self, found: Measurements) -> Judged:
        """The verdict on the emitted formulas.  Error: as `judge`.  Source: `predictions`, `exact_means`."""
        values = dict(self.values)
        limits = predictions(self.program, self.plan.horizon, values)
        return linear_validation(found, *limits, self.level, exact_means(self.program, self.plan, values))

    def data(self) -> dict[str, Any]:
        """The plan knows nothing of the program: it stands beside it."""
        return super().data() | {"program": program_data(self.program), "values": dict(self.values)}

    @classmethod
    def fields(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """As in `Experiment`, and the program."""
        return super().fields(data) | {"program": program_of(data["program"]), "values": data["values"]}


def predictions(program: Program, lags: int, values: dict[str, float]) -> tuple[Host, Host]:
    """The derived variance of an entry of L_j and the derived scale factor, at lags 0 ... lags - 1.

    Shapes: (lags,), (lags,).  Units: (output/input)^2.  Source: the emitted formulas.
    """
    j = np.arange(lags)
    variance = impulse_response(program).formula.compile("numpy")(j=j, **values)
    return variance, scale_factors(program).formula.compile("numpy")(j=j, **values)


def is_linear_rnn(program: Program) -> bool:
    """Say whether a recursion is the linear RNN, under any names: h_t = W h_{t-1} + F x_t, y_t = C h_t, all plain.

    Source: definition.
    """
    plain = all(p == Parameter(p.name, p.role, p.variance) for p in program.parameters)
    plain = plain and all(state == State(state.name) for state in program.states)
    if not plain or sorted(p.role for p in program.parameters) != sorted(PARTS.values()) or len(program.updates) != 1:
        return False
    table = program.table
    products = {c: (x.matrix.role, type(table.get(x.vector))) for c, x in table.items() if isinstance(x, MatVec)}
    summands = {products.get(x) for x in sp.Add.make_args(program.updates[0][1])}
    is_update = summands == {("matrix", Previous), ("input_map", Input)}
    return is_update and products.get(program.output) == ("readout", Updated)
