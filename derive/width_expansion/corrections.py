"""What finite width does to the second moments of outputs and to the mean tangent kernel, to order 1/n.

n particles that interact by averages over them alone: the averages have the covariance of one particle over n, and
move the means of what depends on them by their curvature. Where a matrix is used again, a particle also meets its own
past in the averages: the covariance of two averages changes with what lies between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from wideproof.derive.calculus.recursion_rules import ask_body, kind, theorem
from wideproof.derive.calculus.tangent import refuse_jumps, tangent
from wideproof.derive.emit.derivation import Derivation, Progress, as_program, quantity, reads
from wideproof.derive.language.errors import NotClosed, ParameterError
from wideproof.derive.language.program import Program, refuse_backward
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation, Recurrence
from wideproof.derive.proof.proof import Proof, prove
from wideproof.derive.proof.rules import Ask, rule
from wideproof.derive.width_expansion.correction_formula import CorrectionFormula
from wideproof.derive.width_expansion.overlaps import (
    OfOverlaps,
    Overlap,
    OverlapCovariance,
    OverlapNoise,
    OverlapResponse,
    OverlapShift,
    OverlapSystem,
    in_order,
    is_recurrent,
    overlap_system,
)
from wideproof.derive.width_expansion.product_means import ProductMean, expanded

MOST_VARIABLES = 3
"""Gaussian variables of an expectation that is evaluated."""
SMALL = (2, 4, 6, 8)
"""Steps whose proofs are counted: overlaps of pairs of steps respond to those of earlier pairs, as the cube."""
LITERATURE = "yaida2020nongaussian; hanin2024fully; roberts2022principles, ch. 4 and 8; segadlo2022unified"


class OutputShift(sp.Function):
    """n (E_n[y_t^2] - its limit) as n grows: the output, or the symbol of its response, and the time."""

    nargs = (2,)

    def _latex(self, printer: Any) -> str:
        with printer.at(self.args[1]):
            square = rf"{printer._print(self.args[0])}^2"
        mean = rf"\mathbb{{E}}_n\left[{square}\right]"
        return rf"\lim_{{n\to\infty}} n \left({mean} - \lim_{{n\to\infty}} {mean}\right)"


@quantity
def nngp_correction(
    recursion: Recursion | Program, step: int | None = None, progress: Progress | None = None
) -> Derivation:
    """E_n[y_t^2] at width n is the NNGP variance plus formula/n plus O(1/n^2), for one sequence at the time `step`.

    `step` is 1 if left out, 0 where nothing is carried from step to step. Weights may be tied (Elman) or layered.
    Time: grows as the cube of the step: Elman a second at step 8, 15 s at 24, 2 to 3 minutes at 50. `progress` is
    called with (done, of), of steps of the proof, whose number is extrapolated from smaller steps.
    Shapes: the compiled formula maps the Gram X (T, T) of the inputs, T > step, to a number.  Units: output^2.
    Errors: NotClosed where states multiply, start at random or read backwards, or four steps enter one expectation;
    the compiled function's `with_error` gives an estimate.
    Source: yaida2020nongaussian; hanin2024fully; roberts2022principles; segadlo2022unified for tied weights.

    >>> correction = wp.nngp_correction(wp.models.feed_forward(2, "erf", bias=False)).formula.compile()
    >>> round(correction(X=[[1.0]], nu_F=1.0, nu_W=1.0, nu_C=1.0), 6)
    -0.040953
    """
    return _correction("nngp-correction", as_program(recursion), step, progress)


@quantity
def ntk_correction(
    recursion: Recursion | Program,
    step: int | None = None,
    parameterization: str = "entries",
    progress: Progress | None = None,
) -> Derivation:
    """The mean of the empirical tangent kernel at width n is its limit plus formula/n plus O(1/n^2), at equal times.

    As `nngp_correction`, for the response of the output to a random perturbation of all trained entries, whose second
    moment the kernel is (Lemma B.1).
    Shapes, units, errors, source: as `nngp_correction`; NotClosed also for activations that jump.

    >>> wp.ntk_correction(wp.models.feed_forward(1, "relu"))
    Derivation(ntk-correction of feed-forward: a recurrence of 0 equations in nu_C, nu_F, nu_b, nu_c; 10 steps)
    """
    moved = tangent(as_program(recursion), parameterization)
    refuse_jumps(moved, f"ntk_correction({moved.name})")
    return _correction("ntk-correction", moved, step, progress)


def _correction(name: str, program: Program, step: int | None, progress: Progress | None) -> Derivation:
    if step is None:
        step = int(is_recurrent(program))
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ParameterError(f"{name}: step", "a whole number, at least 0", repr(step), "Step 0 reads the first input.")
    refuse_backward(program, f"{name} of {program.name}")
    if progress is None:
        return Derivation(name, _proved(program, step))
    of = _steps_of_proof(program, step)
    found = _proved(program, step, lambda done: progress(done, max(of, done + 1)))
    progress(len(found.steps), len(found.steps))
    return Derivation(name, found)


def _proved(program: Program, step: int, told: Callable[[int], None] | None = None) -> Proof:
    return prove(program, "width-correction", OutputShift(kind(program), sp.Integer(step)), told)


def _steps_of_proof(program: Program, step: int) -> int:
    """How many steps the proof about a step has, by the cubic through those of small steps; 0 for small ones."""
    if step <= SMALL[-1]:
        return 0
    counts = [len(_proved(program, small).steps) for small in SMALL]
    return int(sp.interpolate(list(zip(SMALL, counts, strict=True)), step))


reads("nngp-correction", kind=CorrectionFormula)
reads("ntk-correction", kind=CorrectionFormula)


def _system(ask: Ask) -> OverlapSystem:
    """The overlaps of the program, as the theorem about it gives them."""
    program = ask.program
    ask(theorem(program), theorem(program))
    return overlap_system(program)


def _stated(ask: Ask, name: str, subject: sp.Expr) -> sp.Expr:
    """A quantity that has an equation of its own, or zero where that says so."""
    return subject if ask.equation(name, subject).right != 0 else sp.S.Zero


@rule(
    "overlap",
    source="emami2021implicit, Lemma C.1",
    rank=785,
    says="overlaps of the vectors that matrices multiply converge, each to an expectation given the earlier ones,",
)
def overlap(subject: Any, ask: Ask) -> Claim:
    """The limit of an overlap, as an expectation whose covariances are earlier overlaps."""
    program = ask.program
    system = _system(ask)
    for vector, _ in subject.vectors:
        for state in sorted(vector.free_symbols & set(program.bodies), key=str):
            ask_body(program, ask, state)
    for earlier in in_order(system.limit(subject)):
        ask.equation("overlap", earlier)
    return Equation(subject, system.at_limit(system.limit(subject)))


@rule(
    "overlap-noise",
    source="covariance of a mean of $n$ independent terms",
    rank=786,
    says=(
        "given the overlaps before them, the coordinates are independent, so $n$ times the covariance of two overlaps "
        "is that of one coordinate,"
    ),
)
def overlap_noise(subject: Any, ask: Ask) -> Claim:
    """The covariance of the products of one coordinate, at the limits of all overlaps."""
    system = _system(ask)
    return Equation(subject, system.at_limit(system.noise(*subject.args)))


@rule(
    "overlap-response",
    source="chain rule",
    rank=787,
    says="an overlap responds to an earlier one through all that lie between, by the chain rule,",
)
def overlap_response(subject: Any, ask: Ask) -> Claim:
    """The derivative of one overlap by another, which acts on all later ones."""
    system = _system(ask)
    a, b = subject.args
    if a == b:
        return Equation(subject, sp.S.One)
    return Equation(subject, expanded(sp.Add(*_through(system, ask, a, b))))


def _through(system: OverlapSystem, ask: Ask, a: Overlap, b: Overlap) -> list[sp.Expr]:
    """The responses of all that an overlap depends on directly, each times its slope."""
    slopes = system.slopes(system.limit(a)).items()
    return [weight * response(ask, x, b) for x, weight in slopes if b in system.causes(x)]


def response(ask: Ask, a: Overlap, b: Overlap) -> sp.Expr:
    """The response of an overlap to another: 1 to itself, and what the rule says to earlier ones."""
    return sp.S.One if a == b else _stated(ask, "overlap-response", OverlapResponse(a, b))


@rule(
    "overlap-covariance",
    source=LITERATURE,
    rank=788,
    says="to leading order overlaps fluctuate with what they depend on, and by their own noise,",
    status="cited",
)
def overlap_covariance(subject: Any, ask: Ask) -> Claim:
    """The covariance of two overlaps: that of what the later one depends on, and its noise seen by the other."""
    system = _system(ask)
    a, b = subject.args
    terms = [weight * _covariance(system, ask, x, b) for x, weight in system.slopes(system.limit(a)).items()]
    for x in system.ordered(*system.causes(b)):
        noise = _stated(ask, "overlap-noise", OverlapNoise(*system.ordered(a, x)))
        if noise != 0:
            terms.append(noise * response(ask, b, x))
    return Equation(subject, expanded(sp.Add(*terms)))


def _covariance(system: OverlapSystem, ask: Ask, a: Overlap, b: Overlap) -> sp.Expr:
    return _stated(ask, "overlap-covariance", OverlapCovariance(*system.ordered(a, b)))


@rule(
    "overlap-shift",
    source=LITERATURE,
    rank=789,
    says=(
        "the mean of an overlap is moved by the shifts of those before it, by their fluctuations where it is curved, "
        "and where its noise is that of an earlier one by what that one moves in between,"
    ),
    status="cited",
)
def overlap_shift(subject: Any, ask: Ask) -> Claim:
    """The coefficient of 1/n in the mean of an overlap: the one-loop expansion about infinite width."""
    system = _system(ask)
    (a,) = subject.args
    terms = [
        weight * _stated(ask, "overlap-shift", OverlapShift(x)) for x, weight in system.slopes(system.limit(a)).items()
    ]
    for (x, y), weight in system.curvatures(a).items():
        terms.append(weight * _covariance(system, ask, x, y) * (sp.S.Half if x == y else 1))
    for b in system.ordered(*system.up_to(a)):
        slopes = system.slopes(system.noise(a, b), behind=b).items()
        terms += [weight * response(ask, c, b) for c, weight in slopes]
    return Equation(subject, expanded(sp.Add(*terms)))


RULES: dict[type, str] = {
    Overlap: "overlap",
    OverlapShift: "overlap-shift",
    OverlapCovariance: "overlap-covariance",
    OverlapNoise: "overlap-noise",
    OverlapResponse: "overlap-response",
}
"""Quantity -> the rule that states it."""


@rule(
    "width-correction",
    source="linearity: readouts are independent of the states",
    rank=791,
    says="an output is linear in the readout, so its second moment is moved as the overlaps that it reads are:",
)
def width_correction(subject: Any, ask: Ask) -> Claim:
    """The correction of an output, with the equations of all that it reads."""
    program = ask.program
    system = _system(ask)
    y, step = subject.args
    body = ask_body(program, ask, y)
    read = system.calculus.product(((body, int(step)), (body, int(step))))
    shifts = [weight * _stated(ask, "overlap-shift", OverlapShift(a)) for a, weight in system.slopes(read).items()]
    right = expanded(sp.Add(*shifts))
    found = _closed(right, lambda x: ask.equation(RULES[type(x)], x))
    _refuse_many(program, found)
    return Recurrence(subject, right, tuple(found), ())


def _closed(right: sp.Expr, equation: Callable[[sp.Expr], Equation]) -> list[Equation]:
    """The equations of all that a side reads, each after those it reads itself."""
    found: dict[sp.Expr, Equation] = {}

    def visit(expr: sp.Expr) -> None:
        for x in sorted(_read(expr), key=sp.default_sort_key):
            if x not in found:
                stated = equation(x)
                visit(stated.right)
                found[x] = stated

    visit(right)
    return list(found.values())


def _read(expr: sp.Expr) -> set[sp.Expr]:
    """The quantities that an expression reads; an overlap that only names another quantity is not read."""
    if isinstance(expr, OfOverlaps):
        return {expr}
    return set().union(*map(_read, expr.args))


def _refuse_many(program: Program, equations: list[Equation]) -> None:
    for e in equations:
        for node in e.right.atoms(ProductMean):
            if len(node.args[0]) > MOST_VARIABLES:
                raise NotClosed(
                    f"1/n of {program.name}",
                    f"expectations over {MOST_VARIABLES} Gaussian variables",
                    f"one over {len(node.args[0])} in {e.left}",
                    "Take an earlier step; the coefficient of 1/n is measured on a ladder of widths: "
                    "wideproof validate.",
                )
