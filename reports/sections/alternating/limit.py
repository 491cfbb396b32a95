"""The program, its corrections and its state evolution, with their proofs."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive import Derivation
from wideproof.derive.alternating.terms import Coefficient, Covariance, GaussianPart, Image, MeanSquare, Query
from wideproof.derive.expectation.truncated_moments import Ramp
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.latex.displays import equations
from wideproof.derive.latex.printer import latex, math
from wideproof.derive.latex.text import Cite, Latex, Math, Ref, Text, marked
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.alternating.run import corrections, evolution, program_of
from wideproof.reports.sections.needs import ReportRun
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import prose

SIDES = {"n": "columns", "m": "rows"}


@section("The program", "sec:program", 10)
def model(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The lines of the program, the laws of what is given, and the numbers used."""
    program = program_of(run)
    assert program.matrix is not None
    name = latex(sp.Symbol(program.matrix.name))
    return (
            Paragraph(
                (
                    "A matrix ", Math(name), *marked(" of $m$ rows and $n$ columns has independent entries "),
                    Math(Latex(rf"N(0, {latex(program.matrix.variance)})")), ", and ",
                    Math(Latex(rf"m / n \to {latex(program.aspect)}")), *marked(" as the width $n$ grows. The "
                                                                                "program multiplies by it and by its "
                                                                                "transpose, line after line; "
                                                                                "functions act entry by entry:"),
                )
            ),
            Equation(equations(_written(program, name)), "eq:program"),
            *_corrected(program),
            Paragraph((Ref("tab:given"), " lists the given vectors. ", *_numbers(run))),
            _sources(program),
    )  # fmt: skip


def _written(program: AlternatingProgram, name: str) -> list[tuple[Any, Any]]:
    rows: list[tuple[Any, Any]] = []
    for k, (_, line) in enumerate(program.lines):
        rows.append((Query(k), _through(line.vector, program, k)))
        matrix = name if line.side == "m" else rf"{name}^{{\mathsf{{T}}}}"
        terms = "".join(f" - {latex(Coefficient(k, j))} {latex(Query(j))}" for j in program.opposite(k)
                        if line.corrected)  # fmt: skip
        rows.append((Image(k), Latex(rf"n^{{-1/2}} {matrix} {latex(Query(k))}{terms}")))
    return rows + [(_upright(vector), _through(expr, program, len(program.lines))) for vector, expr in program.vectors]


def _through(expr: sp.Expr, program: AlternatingProgram, before: int) -> sp.Expr:
    """An expression with the sums that earlier lines multiply by as their names, the longest first."""
    sums = [(line.vector, Query(k)) for k, (_, line) in enumerate(program.lines[:before]) if line.vector.is_Add]
    return expr.subs(sorted(sums, key=lambda named: -sp.count_ops(named[0])))


def _upright(vector: str) -> Latex:
    """The name of a vector as in its mean square."""
    name, _, index = vector.partition("_")
    return Latex(rf"\mathrm{{{name}}}" + (f"_{{{index}}}" if index else ""))


def _corrected(program: AlternatingProgram) -> tuple[Block, ...]:
    if not any(line.corrected for _, line in program.lines):
        return ()
    return (
        Paragraph(
            (
                "The numbers ", math(Coefficient(sp.Symbol("k"), sp.Symbol("j"))), " are not given: the program only "
                "says that a product is to be corrected, and ", Ref("thm:corrections"), " derives by what. In "
                "approximate message passing this is the Onsager term ", Cite("donoho2009message"), ".",
            )
        ),
    )  # fmt: skip


def _numbers(run: ReportRun) -> tuple[Any, ...]:
    found: list[Any] = ["The experiments use "]
    for i, (name, x) in enumerate(run.nu.items()):
        found += [", " if i else "", math(run.program.symbols[name]), " = ", value(x)]
    return (*found, ". These numbers are our assumption; any others can be asked for.")


def _sources(program: AlternatingProgram) -> Table:
    rows: list[tuple[Text, ...]] = []
    for _, source in program.sources:
        laws: list[Any] = []
        for weight, variance in source.law:
            laws += [" or " if laws else "", Math(Latex("0" if variance == 0 else f"N(0, {latex(variance)})"))]
            laws += [" with probability ", math(weight)] if weight != 1 else []
        rows.append((math(sp.Symbol(source.name)), (Math(Latex(source.side)), f" ({SIDES[source.side]})"), tuple(laws)))
    return Table(("vector", "size", "independent entries"), tuple(rows), "The given vectors.", "tab:given", "lll")


@section("The limit of infinite width", "sec:limit", 20, (corrections, evolution))
def limits(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Both theorems, each with its proof."""
    return (*_corrections(run[corrections], draft.known), *_evolution(run[evolution], draft.known))


def _pairs(derivation: Derivation, *kinds: type) -> list[tuple[sp.Expr, sp.Expr]]:
    stated = derivation.formula.recurrence
    assert stated is not None
    return [(e.left, e.right) for e in stated.equations if isinstance(e.left, kinds) and e.right != 0]


def _corrections(derivation: Derivation, known: prose.Known) -> tuple[Block, ...]:
    known.states(_pairs(derivation, Image), "eq:lines")
    known.states(_pairs(derivation, Coefficient), "eq:coefficients")
    known.states(_pairs(derivation, Covariance), "eq:covariances")
    return (
        *known.theorem(
            derivation, "corrections", "Corrections", (
                Paragraph(
                    marked(r"As $n \to \infty$, every product is a Gaussian part and multiples of earlier vectors,")
                ),
                *prose.displays(_pairs(derivation, Image), label="eq:lines"),
                Paragraph("with the coefficients that are not zero"),
                *prose.displays(_pairs(derivation, Coefficient), label="eq:coefficients"),
                Paragraph(
                    (
                        "Entry by entry the ", math(GaussianPart(sp.Symbol("k"))), " are jointly Gaussian, centred and "
                        "independent of the given vectors; products with the matrix are independent of those with its "
                        "transpose. Their covariances ", math(Covariance(sp.Symbol("j"), sp.Symbol("k"))), " are, "
                        "where not zero,",
                    )
                ),
                *prose.displays(_pairs(derivation, Covariance), label="eq:covariances"),
                Paragraph("Corrected products have lost all but their Gaussian part."),
            ),
        ),
    )  # fmt: skip


def _evolution(derivation: Derivation, known: prose.Known) -> tuple[Block, ...]:
    ramps = _pairs(derivation, Ramp)
    steps = [x for x in _pairs(derivation, Coefficient, Covariance, MeanSquare) if not x[1].is_number]
    known.states(steps, "eq:evolution")
    known.states(ramps, "eq:moments")
    moments: list[Block] = [
        Paragraph(
            marked(r"Here $M_p(\theta, v) = \mathbb{E}\left[(u - \theta)_+^{p}\right]$ for $u \sim N(0, v)$, in "
                   "closed form")
        ),
        *prose.displays(ramps, label="eq:moments"),
    ] if ramps else []  # fmt: skip
    return (
        *known.theorem(
            derivation, "evolution", "State evolution", (
                Paragraph("Entry by entry the vectors converge, and step by step"),
                *prose.displays(steps, label="eq:evolution"),
                *moments,
            ),
        ),
    )  # fmt: skip
