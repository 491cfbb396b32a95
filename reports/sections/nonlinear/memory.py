"""How long the recursion remembers: fixed points, slopes and horizon from its own state evolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive import Memory, memory
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.latex.displays import equations
from wideproof.derive.latex.text import Cite, Ref, Text, marked
from wideproof.derive.memory_horizon.two_run_maps import Memoryless
from wideproof.numeric.memory_horizon.fixed_points import Analysis, analyse, groups_of
from wideproof.numeric.memory_horizon.phase_diagram import critical_gains, phase_diagram
from wideproof.numeric.runs.gathering import Progress
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.needs import Making, ReportRun, concluded, verify
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import prose
from wideproof.reports.write.phase_figure import phase_figure
from wideproof.reports.write.picture import placed

CELLS = (44, 28)
INPUT_SIZE = 1.0
"""x.x of the common inputs at which the memory is evaluated: the length that the other experiments use."""
UNMAPPED = (
    "This recursion is linear, so the difference of two runs obeys it without inputs, whatever the variance does."
)
COUPLED = "States that feed each other have one slope, the largest eigenvalue of the derivative of their moments "


@dataclass(frozen=True)
class Remembered:
    """The derived maps with their fixed points at the numbers used, or `reason`, why they are not derived.

    All are empty where no state feeds itself.
    """

    maps: Memory | None = None
    analysis: Analysis | None = None
    reason: str = ""


@concluded("memory", record=lambda found: {"memory": found.analysis})
def remembered(run: Making, progress: Progress) -> Remembered:
    """The memory of the recursion, proved and evaluated."""
    try:
        derived = memory(run.program)
        verify((derived, *derived.parts.values()), progress)
        given: dict[str, Any] = {"X": INPUT_SIZE, **run.nu}
        return Remembered(derived, analyse(derived, **given))
    except Memoryless:
        return Remembered()
    except DeriveError as error:
        return Remembered(reason=f"It needs {error.expected}. {error.hint}")


@section("Memory", "sec:memory", 60, (remembered,), "derives how long the recursion remembers")
def horizon(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The derived maps, their fixed points at the numbers used, and the phase diagram."""
    maps, analysis = run[remembered].maps, run[remembered].analysis
    if maps is None or analysis is None:
        return ()
    return (*_maps(maps, draft.known), *_points(analysis), *_diagram(maps, run.nu, draft.folder))


def _maps(derived: Memory, known: prose.Known) -> tuple[Block, ...]:
    slopes = [derived.chi[group[0]] for group in groups_of(derived)]
    parts = (*derived.variance_map.values(), *slopes, derived)
    goals: list[Any] = [part.proof.goal for part in parts]
    known.states([(goal.left, goal.right) for goal in goals], "eq:memory")
    closed = derived.chain.closed
    together = any(len(group) > 1 for group in groups_of(derived))
    return (
        Paragraph(
            (
                *marked("Two runs of one wide network see the same inputs from some step on. Near a fixed point the "
                        "difference of the two shrinks at each step by the slope of the map of their covariance, so "
                        "it falls by a factor $e$ in so many steps as the logarithm of the slope says "),
                Cite("schoenholz2017deep"), ". ",
                "Tied and untied weights share these maps, which hold at equal times." if closed else UNMAPPED,
                *((" ", COUPLED, Cite("perron1907theorie"), ".") if together else ()),
            )
        ),
        *known.theorem(
            derived, "memory", "Memory", (
                Paragraph(
                    marked(r"With inputs of the size $X = x_t^{\mathsf{T}} x_t$ at every step, the variance of the "
                           "states, the slope of the covariance of two runs where they agree, and the memory horizon "
                           "in steps are, $q$ being the variance one step before,")
                    if closed
                    else "The growth per step of the squared difference of two runs with the same inputs, and the "
                    "memory horizon in steps, are"
                ),
                Equation(equations([(goal.left, goal.right) for goal in goals], derived.program), "eq:memory"),
            ),
        ),
    )  # fmt: skip


def _points(found: Analysis) -> tuple[Block, ...]:
    note = f" {found.note[0].upper()}{found.note[1:]}." if found.note else ""
    if not found.points:
        return (Paragraph(f"At the numbers used there is no fixed point.{note}"),)
    rows: list[tuple[Text, ...]] = [
        (
            ", ".join(f"{q:.4g}" for q in point.q.values()) or "-", value(point.chi), value(point.slope),
            value(point.horizon), point.phase, "yes" if point.stable else "no",
        )
        for point in found.points
    ]  # fmt: skip
    return (
        Paragraph((Ref("tab:memory"), " has the fixed points at the numbers of the other experiments.")),
        Table(
            ("variance", "slope at equal runs", "slope where runs end", "horizon", "phase", "stable"), tuple(rows),
            (
                f"Fixed points of the variance at the numbers of the other experiments and inputs of size "
                f"{INPUT_SIZE:g}; the horizon is in steps.{note}",
            ),
            "tab:memory", "rrrrll",
        ),
    )  # fmt: skip


def _diagram(derived: Memory, nu: Mapping[str, float], folder: Path) -> tuple[Block, ...]:
    """The phase diagram, where the maps have one matrix and one bias."""
    if not {"nu_W", "nu_b"} <= set(nu):
        return ()
    at: dict[str, Any] = {"X": INPUT_SIZE} | {"nu_F": nu.get("nu_F", 1.0)}
    top = max(0.3, 1.5 * nu["nu_b"])
    try:
        drive = at["nu_F"] * INPUT_SIZE + 0.5 * top
        centre = next(iter(critical_gains(derived, drive)), 1.0)
        most = max(2.0 * centre, 1.5 * nu["nu_W"])
        diagram = phase_diagram(
            derived, np.linspace(most / CELLS[0], most, CELLS[0]), np.linspace(0, top, CELLS[1]), **at
        )
    except DeriveError:
        return ()
    return (
        Paragraph((Ref("fig:phase"), " draws the horizon where these numbers change.")),
        placed(
            phase_figure(diagram), folder, "phase",
            (
                "Memory horizon over the variances of the transition matrix and of the bias, for inputs of size "
                f"{INPUT_SIZE:g}, with the line where the slope of ", Ref("eq:memory"), " is one.",
            ),
            "fig:phase",
        ),
    )  # fmt: skip
