"""What a program declares, in words: the law of each parameter, the start of each state, its updates and output."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.program import Parameter, Program, State

Shown = Callable[[Any], str]


def parameter_law(parameter: Parameter, shown: Shown = str) -> str:
    """The law of the entries of one parameter, how often it is drawn, and whether it is frozen."""
    mean = "" if parameter.mean == 0 else f" with mean {shown(parameter.mean)}"
    drawn = "one draw for all steps" if parameter.tied else "drawn afresh at each step"
    return f"variance {shown(parameter.variance)}{mean}, {drawn}{'' if parameter.trainable else ', frozen'}"


def state_start(state: State, shown: Shown = str) -> str:
    """How a state starts, and in which direction it reads the sequence."""
    start = "zero"
    if state.initial != 0:
        whose = "one draw for all sequences" if state.shared else "one draw for each sequence"
        start = f"Gaussian with variance {shown(state.initial)}, {whose}"
    return start + (", reading the sequence from its end" if state.backward else "")


def own_part(program: Program) -> tuple[list[Parameter], list[State]]:
    """The parameters and states that a program declares itself: those of a tangent are the perturbed ones."""
    base = program.base
    return (
        [p for p in program.parameters if base is None or p not in base.parameters],
        [state for state in program.states if base is None or state not in base.states],
    )


@singledispatch
def declared(program: Program) -> list[str]:
    """Every line of a definition as text: parameters, starts, updates, output; of a tangent what it adds."""
    parameters, states = own_part(program)
    found = [f"{p.name} ({p.role.replace('_', ' ')}): {parameter_law(p)}" for p in parameters]
    found += [f"{state.name} starts at {state_start(state)}" for state in states]
    new = {program.updated[state] for state in states}
    found += [f"{c.label} = {body}" for c, body in program.updates if c in new]
    return [*found, f"{'y' if program.base is None else 'the response'} = {program.output}"]


@declared.register
def _(program: AlternatingProgram) -> list[str]:
    matrix = program.matrix
    found = [f"{matrix.name} (m x n): variance {matrix.variance}, m/n = {program.aspect}"] if matrix is not None else []
    for _, source in program.sources:
        law = " or ".join(f"N(0, {variance}) with weight {weight}" for weight, variance in source.law)
        found.append(f"{source.name} (size {source.side}): {law}")
    for c, line in program.lines:
        found.append(f"{c.label} = {line.vector}{' corrected' if line.corrected else ''} (size {line.side})")
    return [*found, *(f"{name} = {vector}" for name, vector in program.vectors)]
