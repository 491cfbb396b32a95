"""How long the recursion remembers: fixed points, slopes and horizon from its own state evolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import DeriveError
from wideproof.derive.latex.displays import equations
from wideproof.derive.latex.text import Cite, Latex, Math, Ref, Text
from wideproof.numeric.memory_horizon.fixed_points import groups_of
from wideproof.numeric.memory_horizon.phase_diagram import critical_gains, phase_diagram
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Section, Table, Theorem
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.nonlinear.run import INPUT_SIZE, KernelRun
from wideproof.reports.write import prose
from wideproof.reports.write.phase_figure import phase_figure
from wideproof.reports.write.picture import placed

CELLS = (44, 28)
UNMAPPED = (
    "This recursion is linear, so the difference of two runs obeys it without inputs, whatever the variance does."
)
COUPLED = "States that feed each other have one slope, the largest eigenvalue of the derivative of their moments "


def remembered(run: KernelRun, folder: Path, known: prose.Known) -> Section:
    """The derived maps, their fixed points at the numbers used, and the phase diagram."""
    return Section("Memory", (*_maps(run, known), *_points(run), *_diagram(run, folder)), "sec:memory")


def _maps(run: KernelRun, known: prose.Known) -> tuple[Block, ...]:
    derived = run.memory
    assert derived is not None
    slopes = [derived.chi[group[0]] for group in groups_of(derived)]
    parts = (*derived.variance_map.values(), *slopes, derived)
    goals: list[Any] = [part.proof.goal for part in parts]
    known.states([(goal.left, goal.right) for goal in goals], "eq:memory")
    closed = derived.chain.closed
    together = any(len(group) > 1 for group in groups_of(derived))
    return (
        Paragraph(
            (
                "Two runs of one wide network see the same inputs from some step on. Near a fixed point the difference "
                "of the two shrinks at each step by the slope of the map of their covariance, so it falls by a factor ",
                Math(Latex("e")), " in so many steps as the logarithm of the slope says ",
                Cite("schoenholz2017deep"), ". ",
                "Tied and untied weights share these maps, which hold at equal times." if closed else UNMAPPED,
                *((" ", COUPLED, Cite("perron1907theorie"), ".") if together else ()),
            )
        ),
        Theorem(
            (
                Paragraph(
                    (
                        "With inputs of the size ", Math(Latex(r"X = x_t^{\mathsf{T}} x_t")), " at every step, the "
                        "variance of the states, the slope of the covariance of two runs where they agree, and the "
                        "memory horizon in steps are, ", Math(Latex("q")), " being the variance one step before,",
                    )
                    if closed
                    else "The growth per step of the squared difference of two runs with the same inputs, and the "
                    "memory horizon in steps, are"
                ),
                Equation(equations([(goal.left, goal.right) for goal in goals], derived.program), "eq:memory"),
            ),
            title="Memory", label="thm:memory",
        ),
        known.proof(derived.proof, "memory"),
        known.premises_line(derived.proof),
    )  # fmt: skip


def _points(run: KernelRun) -> tuple[Block, ...]:
    found = run.analysis
    assert found is not None
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


def _diagram(run: KernelRun, folder: Path) -> tuple[Block, ...]:
    """The phase diagram, where the maps have one matrix and one bias."""
    derived = run.memory
    if derived is None or not {"nu_W", "nu_b"} <= set(run.values):
        return ()
    at: dict[str, Any] = {"X": INPUT_SIZE} | {"nu_F": run.values.get("nu_F", 1.0)}
    top = max(0.3, 1.5 * run.values["nu_b"])
    try:
        drive = at["nu_F"] * INPUT_SIZE + 0.5 * top
        centre = next(iter(critical_gains(derived, drive)), 1.0)
        most = max(2.0 * centre, 1.5 * run.values["nu_W"])
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
