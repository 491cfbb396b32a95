"""Linear recursions as convolutions: impulse response, scale factors and the equivalent scaled convolution."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.calculus.lags import EmpiricalKernel, Entry, NoClosedForm, label_pair
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, is_linear
from wideproof.derive.calculus.recursion_rules import OUTPUT, ROW, ROW2, Response, kind
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.emit.derivation import Derivation, Reading, as_program, quantity, read_off, reads
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import NotClosed, NotDiagonal, NotLinear, ProofError
from wideproof.derive.language.notation import j, k, p, s, t
from wideproof.derive.language.program import Bias, MatVec, Program, coordinates_of
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation, Limit
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

COLUMN, COLUMN2 = sp.Symbol("c"), sp.Symbol("c'")


class Rho(sp.Function):
    """The scale factor of a lag."""

    nargs = (1,)


class Gain(sp.Function):
    """The factor sqrt(rho_j) between a parameter of the scaled convolution and its impulse response."""

    nargs = (1,)


class ConvolutionKernel(sp.Function):
    """The tangent kernel of y_t = sum_j sqrt(rho_j) theta_j x_{t-j}: arguments r, r', t, s."""

    nargs = (4,)


class ImpulseResponse(Derivation):
    """The limiting variance of one entry of L_j (`formula`) and the limit of Cov(L_j, L_k) (`covariance`)."""

    @property
    def covariance(self) -> Formula:
        """The covariance of one entry at two lags j and k, read off the same goal."""
        return read_off("lag-covariance", self.proof)


@quantity
def impulse_response(recursion: Recursion | Program) -> ImpulseResponse:
    """Entries of L_j converge to independent N(0, formula(j)), independent over lags where `covariance` says so.

    Shapes: formula in the lag j, covariance in j and k.  Units: (output/input)^2.
    Where lags couple, or moments feed each other in a circle, the law is a recurrence over two lags.
    Errors: NotLinear for a recursion with activations, biases or a random start.
    Source: emami2021implicit, Theorem 3.3(a).

    >>> wp.impulse_response(wp.models.linear_rnn()).formula.compile()(j=2, nu_W=0.5, nu_F=1.0, nu_C=8.0)
    np.float64(2.0)
    """
    program = _linear(recursion, "impulse_response")
    try:
        proof = prove(program, "limit-law", Entry(ROW, COLUMN, ROW2, COLUMN2, j, k))
    except (NotDiagonal, NoClosedForm):
        labels = label_pair(program, p, p)
        proof = prove(program, "lag-recurrence", Response(OUTPUT, ROW, ROW, j, k, *labels))
    return ImpulseResponse("impulse-response", proof)


def _read_response(quantity: str, *indices: sp.Symbol) -> None:
    def one_entry(right: sp.Expr) -> sp.Expr:
        covariance = right.subs({ROW2: ROW, COLUMN2: COLUMN})
        found = covariance if k in indices else covariance.subs(k, j)
        if stray := found.free_symbols & ({j, k} - set(indices)):
            raise ProofError(f"goal of {quantity}", f"a claim about {indices}", stray, "It is about another lag too.")
        return found

    name = quantity.replace("-", "_")
    closed = Reading(name, indices, part=lambda goal: one_entry(goal.right))
    stepped = Reading(name, indices)
    Reading.registry[Program, quantity] = lambda proof: (closed if isinstance(proof.goal, Limit) else stepped)(proof)


_read_response("impulse-response", j)
_read_response("lag-covariance", j, k)


@quantity
def scale_factors(recursion: Recursion | Program, parameterization: str = "entries") -> Derivation:
    """The tangent kernel weighs the inputs at lag j by rho_j, the same for all outputs and all times.

    Errors: NotLinear; NotDiagonal where lags couple or the weights differ between equal and different times.
    Source: emami2021implicit, Theorem 3.3(b), (19)-(21).

    >>> rho = wp.scale_factors(wp.models.linear_rnn())
    >>> rho.formula.compile()(j=np.arange(3), nu_W=0.5, nu_F=1.0, nu_C=1.0)
    array([2. , 2. , 1.5])
    """
    program = tangent(_linear(recursion, "scale_factors"), parameterization)
    try:
        proof = prove(program, "scale-factors", Rho(j))
    except NoClosedForm:
        proof = prove(program, "lag-recurrence", Response(kind(program), ROW, ROW, j, j, *label_pair(program, p, p)))
    return Derivation("scale-factors", proof)


@quantity
def equivalent_convolution(recursion: Recursion | Program) -> Derivation:
    """The scaled convolution L_j = formula(j) theta_j has, entry for entry, the tangent kernel of the recursion.

    Errors: as scale_factors.  Source: emami2021implicit, (7), Theorem 3.2 and Theorem 3.3(b).

    >>> wp.equivalent_convolution(wp.models.linear_rnn()).formula.compile()(j=1, nu_W=0.5, nu_F=1.0, nu_C=2.0).round(4)
    np.float64(1.8708)
    """
    program = tangent(_linear(recursion, "equivalent_convolution"), "entries")
    try:
        proof = prove(program, "equivalence", Gain(j))
    except NoClosedForm:
        raise NotClosed(
            f"equivalent_convolution({program.name})",
            "scale factors in closed form",
            "moments that feed each other in a circle",
            "scale_factors(…) evaluates their recurrence; its square root is the gain.",
        ) from None
    return Derivation("equivalent-convolution", proof)


reads("scale-factors", j)
reads("equivalent-convolution", j)


def _linear(recursion: Recursion | Program, where: str) -> Program:
    program = as_program(recursion)
    if not is_linear(program):
        raise NotLinear(
            f"{where}({program.name})",
            "a linear recursion without bias that starts at zero",
            _nonlinear_part(program),
            "Such a recursion is no convolution; ask state_evolution, nngp or ntk.",
        )
    return program


def _nonlinear_part(program: Program) -> str:
    """What keeps a recursion from being linear, the first that is found."""
    exprs = [body for _, body in program.updates] + [program.output]
    exprs += [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    named = {
        "an activation": any(expr.has(Phi) for expr in exprs),
        "a bias": any(isinstance(term, Bias) for _, term in program.terms),
        "a random start": any(state.initial != 0 for state in program.states),
        "a state that reads backwards": any(state.backward for state in program.states),
        "a constant": any(expr.xreplace(dict.fromkeys(coordinates_of(expr), sp.S.Zero)) != 0 for expr in exprs),
    }
    return next((what for what, there in named.items() if there), "a product of states")


@rule(
    "convolution",
    source="emami2021implicit, Theorem 3.2; Lemma B.1 and (36)-(40)",
    rank=250,
    says=(
        "perturb the parameters of the scaled convolution in the same way; their entries are independent, "
        "so only equal lags and equal outputs contribute,"
    ),
)
def convolution_kernel(subject: ConvolutionKernel, ask: Ask) -> Claim:
    """Perturb every theta_j by independent N(0, 1) entries: only equal lags and equal rows correlate."""
    r, r2, first, second = subject.args
    same = sp.KroneckerDelta(r, r2) * Gram(first - j, second - j, FIRST, SECOND)
    return Equation(subject, sp.Sum(sp.sqrt(Rho(j)) ** 2 * same, (j, 0, sp.Min(first, second))))


@rule(
    "equivalence",
    source="emami2021implicit, Theorem 3.3(b)",
    rank=290,
    says="the two kernels agree for all inputs exactly if the convolution has the gain",
)
def equivalence(subject: Any, ask: Ask) -> Claim:
    """The two kernels agree for all inputs exactly if the gain squared is the weight of each lag."""
    program = ask.program
    convolution = ask.equation("convolution", ConvolutionKernel(ROW, ROW2, t, s))
    recurrent = ask.limit("limit-kernel", EmpiricalKernel(kind(program), ROW, ROW2, t, s))
    rho = ask.equation("scale-factors", Rho(j)).right
    filled = convolution.right.replace(Rho, lambda lag: rho.subs(j, lag))
    moved = sp.KroneckerDelta(ROW, ROW2) * sp.Sum(
        sp.cancel(filled.function / sp.KroneckerDelta(ROW, ROW2)), *filled.limits
    )
    if not _is_one(moved, recurrent.right):
        raise NotDiagonal("equivalence", "one kernel", moved - recurrent.right, "The weights are not a convolution's.")
    return Equation(subject, sp.sqrt(rho))


def _is_one(kernel: sp.Expr, other: sp.Expr) -> bool:
    """Whether two kernels are one: sums over the same lags, term for term, or else in the simplest form."""
    one, another = (x / sp.KroneckerDelta(ROW, ROW2) for x in (kernel, other))
    sums = isinstance(one, sp.Sum) and isinstance(another, sp.Sum) and one.limits == another.limits
    if sums and sp.expand(one.function - another.function) == 0:
        return True
    return bool(sp.simplify(kernel - other) == 0)
