"""Stability: the spectral radius of the transition matrix, by the circular law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from wideproof.derive.algebra.matrix_symbols import MatrixSymbol
from wideproof.derive.algebra.perron_roots import perron_root, strong_components
from wideproof.derive.calculus.linear_reads import Read, is_affine, state_reads
from wideproof.derive.calculus.recursion_rules import ask_body
from wideproof.derive.emit.derivation import Derivation, as_program, quantity, reads
from wideproof.derive.language.errors import NotClosed, NotLinear
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Coordinate, Program, refuse_backward
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.realization import TRANSITION, transition_parts
from wideproof.derive.proof.claims import Claim, Equation, Limit
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


class EntryVariance(sp.Function):
    """n times the variance of one entry of a random matrix."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"n\,\mathrm{{Var}}\left[{printer._print(self.args[0])}_{{ik}}\right]"


class SpectralRadius(sp.Function):
    """The largest modulus of the eigenvalues of a matrix of width n: arguments the matrix, n."""

    nargs = (2,)

    def _latex(self, printer: Any) -> str:
        return rf"\max\left|\mathrm{{spec}}\,{printer._print(self.args[0])}\right|"


class VarianceProfile(sp.Function):
    """Squares of one step by blocks: E of the squared new state i for each unit of the old state j, in one group."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"\Sigma_{{{printer._print(self.args[0])}}}"


@quantity
def stability(recursion: Recursion | Program) -> Derivation:
    """The spectral radius of the transition matrix of a wide recursion tends to this; below 1 it is stable.

    For h_t = n^{-1/2} W h_{t-1} + F x_t it is sqrt(nu_W), neither nu_W nor the operator norm 2 sqrt(nu_W) (E1); what
    a state carries over shifts the disc, so the leaky RNN has |1 - alpha| + alpha sqrt(nu_W). Of coupled states it is
    the root of the Perron root of their variances; biases and constants do not enter.
    At finite width a draw may be unstable although the limit is below 1;
    numeric.linear_rnn.unstable_draws measures how often.
    Shapes: formula in the variances of the matrices and the coefficients that it contains.  Units: per step.
    Errors: NotLinear; NotClosed for redrawn matrices, matrices of products, and coupled states of which one is
    carried over beside a matrix product or that share a matrix.
    Source: emami2021implicit, section 2, with erratum E1; the circular law; alt2019location.

    >>> wp.stability(wp.models.linear_rnn()).formula.expr
    sqrt(nu_W)
    """
    program = as_program(recursion)
    where = f"stability({program.name})"
    if not is_affine(program):
        raise NotLinear(
            where,
            "a linear recursion",
            "another",
            "It has no one spectrum; memory(rnn) says whether two runs come together.",
        )
    refuse_backward(program, where)
    refuse_redrawn(program, where)
    if len(program.states) == 1:
        transition_parts(program, "stability")
        return Derivation("stability", prove(program, "circular-law", SpectralRadius(TRANSITION, n)))
    return Derivation("stability", prove(program, "kronecker-law", SpectralRadius(TRANSITION, n)))


reads("stability", own=True)


def refuse_redrawn(program: Program, where: str) -> None:
    """Raise NotClosed for a matrix that is redrawn: each step has a spectrum of its own, and none decides."""
    for x in program.parameters:
        if x.role == "matrix" and not x.tied:
            hint = "memory(rnn) has the growth of the second moments, for redrawn matrices too."
            raise NotClosed(where, "tied matrices", f"the redrawn {x.name}", hint)


@rule(
    "transition-variance",
    source="variances of independent Gaussian matrices add",
    rank=570,
    says="variances of independent Gaussian matrices add, hence that of the whole transition is",
)
def transition_variance(subject: Any, ask: Ask) -> Claim:
    """n times the variance of an off-diagonal entry of the transition matrix."""
    program = ask.program
    claim = ask.matrices("transition", TRANSITION)
    _, parts = transition_parts(program)
    scaled = sp.expand(sp.sqrt(n) * claim.right)
    return Equation(subject, sp.Add(*(scaled.coeff(MatrixSymbol(x.name)) ** 2 * x.variance for x in parts)))


@rule(
    "circular-law",
    source="geman1986spectral; bai1986limiting; tao2010random",
    rank=580,
    says="by the circular law the eigenvalues fill a disc, so as the width grows",
    status="cited",
)
def circular_law(subject: Any, ask: Ask) -> Claim:
    """The eigenvalues fill the disc of the given variance, shifted by what multiplies the state itself."""
    program = ask.program
    ask.matrices("transition", TRANSITION)
    variance = ask.equation("transition-variance", EntryVariance(TRANSITION))
    own, _ = transition_parts(program)
    return Limit(subject, abs(own) + sp.sqrt(variance.right), "in probability")


def groups_of(program: Program, reads: Sequence[Read]) -> tuple[tuple[Coordinate, ...], ...]:
    """The states in groups that feed each other, in the order of their declaration."""
    order = [program.updated[state] for state in program.states]
    return strong_components({u: {read.source for read in reads if read.target == u} for u in order})


@rule(
    "variance-profile",
    source="variances of independent Gaussian matrices add",
    rank=575,
    says=(
        "block by block, the variance that one step gives a new state for each unit of an old one, a "
        "delayed state by the square of its factor, is"
    ),
)
def variance_profile(subject: Any, ask: Ask) -> Claim:
    """Per block of a group of states, the variance of its matrices; a state carried over alone counts by its square.

    Blocks of the updated state are solved for: (I - N)^{-1} D.
    """
    program = ask.program
    bodies = {u: ask_body(program, ask, u) for u in program.bodies}
    reads = state_reads(program, bodies)
    group = next(group for group in groups_of(program, reads) if subject.args[0] in group)
    inside = [read for read in reads if read.target in group and read.source in group]
    refuse_mixed(program, inside, len(group))
    table = {True: sp.zeros(len(group)), False: sp.zeros(len(group))}
    for target, source, matrix, after in dict.fromkeys((x.target, x.source, x.matrix, x.after) for x in inside):
        factor = sp.Add(
            *(x.factor for x in inside if (x.target, x.source, x.matrix, x.after) == (target, source, matrix, after))
        )
        place = group.index(target), group.index(source)
        table[after][place] += factor**2 * (sp.S.One if matrix is None else matrix.variance)
    solved = (sp.eye(len(group)) - table[True]).LUsolve(table[False])
    return Equation(subject, sp.ImmutableDenseMatrix(solved.applyfunc(sp.expand)))


def refuse_mixed(program: Program, inside: Sequence[Read], size: int) -> None:
    """Raise NotClosed where the blocks of coupled states are not independent, or a block has a shifted disc."""
    where = f"stability({program.name})"
    hint = "Its eigenvalues solve an equation over matrices that wideproof does not solve; memory or validate go on."
    places: dict[Any, set[Any]] = {}
    for read in inside:
        own = [x for x in inside if x.target == read.target]
        if read.matrix is None and size > 1 and len(own) > 1:
            raise NotClosed(where, "coupled states of matrix products, or delayed alone", read.target.label, hint)
        places.setdefault(read.matrix, set()).add((read.target, read.source, read.after))
    for matrix, used in places.items():
        if matrix is not None and len(used) > 1:
            raise NotClosed(where, "a matrix of its own for each pair of coupled states", matrix.name, hint)


@rule(
    "kronecker-law",
    source="alt2019location; geman1986spectral; a triangular matrix of blocks has the spectra of those on its diagonal",
    rank=585,
    says=(
        "the transition of several states is a matrix of independent blocks, and the eigenvalues of such a "
        "matrix of growing width stay in the disc of the largest growth of variances, so"
    ),
    status="cited",
)
def kronecker_law(subject: Any, ask: Ask) -> Claim:
    """Of each group of states the root of the Perron root of the variances, or its own shifted disc; the largest."""
    program = ask.program
    bodies = {u: ask_body(program, ask, u) for u in program.bodies}
    reads = state_reads(program, bodies)
    return Limit(
        subject, sp.Max(*(_radius(group, reads, ask) for group in groups_of(program, reads))), "in probability"
    )


def _radius(group: tuple[Coordinate, ...], reads: Sequence[Read], ask: Ask) -> sp.Expr:
    profile = ask.equation("variance-profile", VarianceProfile(group[0]))
    if len(group) > 1:
        return sp.sqrt(perron_root(profile.right))
    own = sp.Add(*(x.factor for x in reads if (x.target, x.source) == (*group, *group) and x.matrix is None))
    return abs(own) + sp.sqrt(sp.expand(profile.right[0, 0] - own**2))
