"""The verb `memory`: fixed points, slopes, critical line and horizon of a model, and its phase diagram."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import typer

from wideproof.derive import Memory, memory
from wideproof.derive.language.errors import NotAccurate
from wideproof.derive.language.variants import untied
from wideproof.reports.cli.console import EXIT, Stages, err, out, plain, print_json, table, told
from wideproof.reports.cli.models import Model, model_with
from wideproof.reports.cli.symbols import Json, demand, parameters

if TYPE_CHECKING:
    from wideproof.numeric.core.checks import Check
    from wideproof.numeric.memory_horizon.enclosures import EnclosedPoint
    from wideproof.numeric.memory_horizon.fixed_points import Analysis, Point

Enclosures: TypeAlias = "tuple[EnclosedPoint, ...] | str"
"""Points between bounds, or the reason why there are none."""
SCAN = (0.25, 0.5, 0.8, 0.95, 1.0, 1.05, 1.25, 1.5, 2.0, 3.0)
"""Variances of the matrix that are tabled where none is given, in units of the critical one."""
CELLS = (36, 24)
HEADS = ("nu_W", "q = E[h^2]", "c/q", "chi", "slope at c", "horizon, steps", "phase")
WIDEST = 240  # characters of a formula that a terminal still shows well


def memory_command(
    context: typer.Context,
    model: Model,
    redrawn: Annotated[bool, typer.Option("--untied", help="Redraw every matrix at each step.")] = False,
    figure: Annotated[Path | None, typer.Option(help="Folder for phase.pdf and phase.svg, the phase diagram.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Confront chi with two runs at finite width.")] = False,
    width: Annotated[int, typer.Option(min=4, help="Largest width of the check.")] = 1024,
    trials: Annotated[int, typer.Option(min=2, help="Random networks at each width.")] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the check.")] = 0,
    certified: Annotated[bool, typer.Option("--certified", help="Enclose every number by bounds: seconds.")] = False,
    as_json: Json = False,
) -> None:
    """How long a model remembers: fixed points, slopes, the critical line and the memory horizon, with proofs.

    Its symbols are options, such as --nu-b 0.05; --X is x.x of the inputs that both runs see, 0 if left out. Without
    --nu-W it is varied around its critical value. Numbers are estimates; --certified adds bounds that are proved, with
    python-flint. Exit codes of --check: 0 holds, 1 refuted, 3 undecided.

    Examples: [b]wideproof memory elman --activation tanh --nu-b 0.05 --figure phase[/b],
    [b]wideproof memory linear-rnn --nu-W 0.81[/b],
    [b]wideproof memory elman --activation relu --nu-W 1.2 --nu-b 0.1 --nu-F 1 --check[/b]
    """
    from wideproof.numeric.memory_horizon.fixed_points import analyse
    from wideproof.numeric.memory_horizon.phase_diagram import critical_gains

    recursion = model_with(context, model)
    with Stages(quiet=as_json) as stages, np.errstate(over="ignore", invalid="ignore"):
        with stages(f"memory of {model}"):
            derived = memory(untied(recursion) if redrawn else recursion)
            given = _given(context, derived, check)
            parts = derived.parts
            for part in (derived, *parts.values()):
                part.proof.verify()
        with stages("fixed points") as progress:
            found = [analyse(derived, **at) for at in told(_settings(derived, given), progress)]
        enclosures = None
        if certified:
            with stages("enclosures") as progress:
                enclosures = [_enclosed(derived, analysis) for analysis in told(found, progress)]
        critical = critical_gains(derived, _drive(derived, given))
        files = _drawn(derived, given, figure, stages) if figure else []
        checked_ = None
        if check:
            with stages("two runs of one network"):
                checked_ = _check(derived, given, width, trials, seed)
    if as_json:
        print_json(_document(derived, found, critical, checked_, files, enclosures))
    else:
        _print(derived, found, critical, checked_, files, enclosures)
    if checked_ is not None:
        raise typer.Exit(EXIT[checked_.verdict])


def _given(context: typer.Context, derived: Memory, check: bool) -> dict[str, float]:
    """The numbers of the options.  Errors: ParameterError for a missing one; only nu_W may be left to be varied."""
    from wideproof.numeric.memory_horizon.fixed_points import letters_read

    read = letters_read(derived)
    given = parameters(context, list(dict.fromkeys([*read, *derived.program.symbols, "X", "nu_F"])))
    free = {"X", *(() if check else ("nu_W",)), *(() if given.get("X") else ("nu_F",))}
    demand(context, [name for name in read if name not in free], given)
    return given


def _drive(derived: Memory, given: dict[str, float]) -> float:
    """nu_F X + nu_b of the parameters given."""
    return given.get("nu_F", 0.0) * given.get("X", 0.0) + given.get("nu_b", 0.0)


def _settings(derived: Memory, given: dict[str, float]) -> list[dict[str, float]]:
    """The parameters as given, or with nu_W varied around where chi is one."""
    from wideproof.numeric.memory_horizon.phase_diagram import critical_gains

    if "nu_W" in given:
        return [given]
    centre = next(iter(critical_gains(derived, _drive(derived, given))), 1.0)
    return [{**given, "nu_W": factor * centre} for factor in SCAN]


def _drawn(derived: Memory, given: dict[str, float], folder: Path, stages: Stages) -> list[str]:
    from wideproof.numeric.memory_horizon.phase_diagram import critical_gains, phase_diagram
    from wideproof.reports.write.phase_figure import phase_figure
    from wideproof.reports.write.picture import save

    others: dict[str, Any] = {name: x for name, x in given.items() if name not in ("nu_W", "nu_b")}
    centre = next(iter(critical_gains(derived, max(_drive(derived, given), 0.05))), 1.0)
    most = max(2.0 * centre, 1.5 * given.get("nu_W", 0.0))
    top = max(0.3, 1.5 * given.get("nu_b", 0.0))
    with stages("phase diagram"):
        diagram = phase_diagram(derived, np.linspace(most / CELLS[0], most, CELLS[0]), np.linspace(0, top, CELLS[1]),
                                **others)  # fmt: skip
        stem = save(phase_figure(diagram), folder, "phase")
    return [str(stem.with_suffix(suffix)) for suffix in (".pdf", ".svg", ".csv")]


def _check(derived: Memory, given: dict[str, float], width: int, trials: int, seed: int) -> Check:
    from wideproof.numeric.validation.memory_slope import check_memory

    own: dict[str, Any] = {**given}
    return check_memory(derived, width=width, trials=trials, seed=seed, **own)


def _enclosed(derived: Memory, analysis: Analysis) -> Enclosures:
    """The points of one setting between bounds, or why there are none."""
    from wideproof.numeric.memory_horizon.enclosures import TOLERANCE, enclosed

    try:
        return enclosed(derived, analysis, TOLERANCE)
    except NotAccurate as error:
        return str(error)


def _print(derived: Memory, found: list[Analysis], critical: tuple[float, ...], check: Check | None,
           files: list[str], enclosures: list[Enclosures] | None) -> None:  # fmt: skip
    from wideproof.numeric.core.decimals import measured

    proofs = {"horizon at c = q": derived, **derived.parts}
    for name, part in proofs.items():
        assert part.formula.expr is not None
        text = plain(part.formula.expr)
        out.print(f"{name}: {text if len(text) <= WIDEST else 'a long closed form; --json prints it'}")
    out.print(f"proofs: {sum(len(part.proof.steps) for part in proofs.values())} steps, replayed and audited")
    out.print(derived.reading)
    rows = [_row(analysis, point) for analysis in found for point in analysis.points]
    if rows:
        table(HEADS, rows, f"{_fixed(found[0])}; estimates")
    _print_enclosures(found, enclosures or [])
    for analysis in found:
        if analysis.note:
            out.print(f"nu_W = {analysis.parameters['nu_W']:g}: {analysis.note}")
    for value in critical:
        out.print(f"critical, chi = 1: nu_W = {value:.10g}, an estimate")
    if check is not None:
        estimate = " ± ".join(measured(check.estimate, check.stderr))
        out.print(f"chi by two runs at width {check.width}: {estimate}, derived "
                  f"{check.prediction:.5g}: {check.verdict}")  # fmt: skip
        if check.note:
            err.print(check.note)
    for file in files:
        out.print(file)


def _print_enclosures(found: list[Analysis], enclosures: list[Enclosures]) -> None:
    """One line for each number: its bounds."""
    for analysis, points in zip(found, enclosures, strict=False):
        setting = f"nu_W = {analysis.parameters['nu_W']:g}"
        if isinstance(points, str):
            out.print(f"{setting}, no bounds: {points}")
            continue
        for point in points:
            numbers = {"chi": point.chi, "slope at c": point.slope, "horizon": point.horizon}
            moments = {f"{kind}_{state}": x for kind in ("q", "c") for state, x in getattr(point, kind).items()}
            for name, x in (moments | numbers).items():
                out.print(f"{setting}, proved: {x.lower!r} <= {name} <= {x.upper!r}")


def _fixed(analysis: Analysis) -> str:
    return ", ".join(f"{name} = {x:g}" for name, x in analysis.parameters.items() if name != "nu_W")


def _row(analysis: Analysis, point: Point) -> tuple[str, ...]:
    q = list(point.q.values())
    ratios = [f"{c / x:.4g}" if x else "-" for c, x in zip(point.c.values(), q, strict=True)] or ["-"]
    phase = point.phase if point.stable else f"{point.phase}, unstable"
    horizon = "infinite" if math.isinf(point.horizon) else f"{point.horizon:.6g}"
    return (f"{analysis.parameters['nu_W']:g}", " ".join(f"{x:.6g}" for x in q) or "-", " ".join(ratios),
            f"{point.chi:.6g}", f"{point.slope:.6g}", horizon, phase)  # fmt: skip


def _document(derived: Memory, found: list[Analysis], critical: tuple[float, ...], check: Check | None,
              files: list[str], enclosures: list[Enclosures] | None) -> dict[str, Any]:  # fmt: skip
    formulas = {
        name: {"formula": plain(part.formula.expr), "latex": part.formula.latex(), "verified": True,
               "symbols": list(part.formula.symbols), "steps": len(part.proof.steps)}
        for name, part in {"memory": derived, **derived.parts}.items()
    }  # fmt: skip
    return {
        "model": derived.program.name, "reading": derived.reading, "formulas": formulas,
        "settings": [{"parameters": dict(a.parameters), "note": a.note, "points": [asdict(p) for p in a.points],
                      "errors": "estimates"} for a in found],
        "enclosures": None if enclosures is None else [
            {"refused": x} if isinstance(x, str) else {"points": [asdict(p) for p in x]} for x in enclosures
        ],
        "critical": {"nu_W": list(critical)}, "check": None if check is None else asdict(check), "files": files,
    }  # fmt: skip
