"""The model, the limits of its kernels with their proofs, and the gradients."""

from __future__ import annotations

import sympy as sp

from wideproof.derive import Derivation, NotClosed, Program, adjoint
from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.notation import LETTERS
from wideproof.derive.latex.displays import equations
from wideproof.derive.latex.printer import latex
from wideproof.derive.latex.text import Cite, Inline, Latex, Math, Ref, Text, inlines, marked
from wideproof.derive.proof.claims import Equation as Claimed
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table, Theorem
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.needs import ReportRun, derived
from wideproof.reports.sections.nonlinear.run import nngp, ntk
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import prose

ROLES = {"matrix": "matrix", "input_map": "input map", "readout": "readout", "bias": "bias"}
gradient = derived(adjoint)
SIZES = {"matrix": r"n \times n", "input_map": r"n \times n_x", "readout": r"n_y \times n", "bias": "n"}


@section("The model", "sec:model", 10, (nngp,))
def model(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The recursion, its parameters and what is assumed of them."""
    program = run.program
    body = [*program.updates, (OUTPUT, program.output)]
    draft.known.states(body, "eq:model")
    draft.known.declares(run[nngp])
    others = [name for name in run.nu if name not in {str(p.variance) for p in program.parameters}]
    return (
            Paragraph(
                marked(r"For inputs $x_t \in \mathbb{R}^{n_x}$, states of width $n$ that start at zero, and outputs "
                       r"$y_t \in \mathbb{R}^{n_y}$, the recursion is")
            ),
            Equation(equations(body, program), "eq:model"),
            Paragraph(
                (
                    "Products of activations are taken entry by entry. All entries of the parameters are independent; ",
                    Ref("tab:parameters"), " gives their laws and the variances used in the experiments",
                    *(_others(run, others)), ". These numbers are our assumption; any others can be asked for.",
                )
            ),
            _parameters(program, run.nu),
    )  # fmt: skip


def _others(run: ReportRun, names: list[str]) -> tuple[Inline, ...]:
    found: list[Inline] = []
    for name in names:
        found += ["; " if not found else ", ", Math(latex(sp.Symbol(name))), " = ", value(run.nu[name])]
    return tuple(found)


def _parameters(program: Program, values: dict[str, float]) -> Table:
    rows: list[tuple[Text, ...]] = []
    at = {program.symbols[name]: x for name, x in values.items()}
    for p in program.parameters:
        known = LETTERS[p.name].meaning if p.name in LETTERS else ROLES[p.role]
        size = "n_y" if p.role == "bias" and _is_read_out(program, p.name) else SIZES[p.role]
        rows.append(
            (
                Math(latex(sp.Symbol(p.name))), known, Math(Latex(size)), Math(Latex(f"N(0, {latex(p.variance)})")),
                "one draw" if p.tied else "a fresh draw each step", value(float(p.variance.subs(at))),
            )
        )  # fmt: skip
    return Table(
        ("parameter", "meaning", "size", "entries", "over time", "variance used"), tuple(rows),
        "The parameters of the recursion.", "tab:parameters", "lllllr",
    )  # fmt: skip


def _is_read_out(program: Program, name: str) -> bool:
    return any(c.label == name for c in program.output.free_symbols if c in program.table)


@section("The limit of infinite width", "sec:limit", 20, (nngp, ntk))
def limits(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Both kernels as the engine states and proves them."""
    return (
            Paragraph(
                (
                    *marked("Primes mark the second of two sequences, $x$ and $x'$; the same parameters act on both. "),
                    *_letters(run),
                    "The kernels are those of one output; different outputs are independent.",
                )
            ),
            *_theorem(run[nngp], "Gaussian process of the outputs", "nngp",
                      "converge jointly in law, for all times and inputs, to a Gaussian process. The covariance of one "
                      "output at two times is determined by", draft.known),
            *_theorem(run[ntk], "Tangent kernel", "ntk",
                      "have gradients by all trainable parameters whose inner products converge in probability. With a "
                      "tilde for the response to a perturbation of every trainable entry by an independent standard "
                      "normal one, the limit is determined by", draft.known),
    )  # fmt: skip


def _letters(run: ReportRun) -> tuple[Inline, ...]:
    """What the variables of Gaussian expectations are, where there are any."""
    rights = [sp.sympify(right, strict=True) for d in (run[nngp], run[ntk]) for _, right in _stated(d)]
    if not any(right.has(Phi, GaussianMean) for right in rights):
        return ()
    primes = "Primes of activations are derivatives. "
    if not any(right.has(GaussianMean) for right in rights):
        return (primes,)
    return (
        primes, *marked("$u$ and $v$ are jointly Gaussian variables without mean; their variances and covariances "
                        "stand below the equations that have them. "),
    )  # fmt: skip


def _stated(derivation: Derivation) -> list[tuple[sp.Expr, sp.Expr]]:
    stated = derivation.formula.recurrence or derivation.formula.process
    assert stated is not None
    return [(stated.left, stated.right), *((e.left, e.right) for e in stated.equations)]


def _in_closed_form(derivation: Derivation, name: str) -> tuple[Block, ...]:
    """The equations whose expectations are elementary, as textbooks write them; nothing where one is not."""
    try:
        found = derivation.formula.closed()
    except NotClosed:
        return ()
    pairs = [(e.left, e.right) for e in found.equations if e not in _unchanged(derivation)]
    if not pairs:
        return ()
    letters = [(e.left, e.right) for e in found.laws]
    return (
        Paragraph("The expectations are elementary: in the variances and the covariance of the two products,"),
        *prose.displays([*pairs, *letters], derivation.program, f"eq:{name}-closed"),
    )


def _unchanged(derivation: Derivation) -> set[object]:
    """The equations that hold no expectation."""
    stated = derivation.formula.recurrence
    equations = () if stated is None else stated.equations
    goal = () if stated is None or isinstance(stated.right, sp.Tuple) else (Claimed(stated.left, stated.right),)
    return {e for e in (*goal, *equations) if not e.right.has(GaussianMean)}


def _theorem(derivation: Derivation, title: str, name: str, claim: str, known: prose.Known) -> tuple[Block, ...]:
    pairs = _stated(derivation)
    known.states(pairs, f"eq:{name}")
    return (
        *known.theorem(
            derivation,
            name,
            title,
            (
                Paragraph((*marked(r"As $n \to \infty$"), f", the outputs {claim}")),
                *prose.displays(pairs, derivation.program, f"eq:{name}"),
                Paragraph(
                    "A state whose start has no variance is zero before the first step, and so is every moment with it."
                ),
            ),
            _in_closed_form(derivation, name),
        ),
    )


@section("Gradients", "sec:gradients", 30, (gradient,), "derives the gradients that the experiments run")
def gradients(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The adjoint, which the experiments run."""
    derivation = run[gradient]
    recurrence = derivation.formula.recurrence
    assert recurrence is not None
    pairs = [(e.left, e.right) for e in recurrence.equations]
    return (
            Theorem(
                (
                    Paragraph(
                        marked(r"For a cost $J$ of the outputs write $\nabla_v$ for its derivative by a vector $v$ as "
                               r"it stands at its time, and $\nabla_M^{(t)}$ for what the use of $M$ at step $t$ "
                               "contributes. Stepped back in time from zero after the last step,")
                    ),
                    *prose.displays(pairs, derivation.program, "eq:adjoint"),
                    Paragraph("The gradient by a parameter that is drawn once is the sum over the steps."),
                ),
                title="Adjoint",
                label="thm:adjoint",
            ),
            Paragraph(
                (
                    "The tangent recursion says what each right side changes by when what it reads changes. Collected "
                    "by what is read, it gives ", Ref("eq:adjoint"), " ", Cite("griewank2008evaluating"), ". ",
                    *inlines(draft.known.premises_line(derivation.proof).text),
                )
            ),
            Paragraph(
                "These equations are what the experiments below run, forward and back, at finite width. They agree "
                "with difference quotients and, where activations are analytic, with complex steps."
            ),
    )  # fmt: skip
