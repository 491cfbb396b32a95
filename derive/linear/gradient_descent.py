"""Theorem 4.1: gradient descent on the scaled convolution in closed form, and how far a lag can move in l steps.

Taps are stacked, D theta = [L_0 ... L_{T-1}]^T, and the data operator is block Toeplitz: outputs = Toep D theta.
The loss here is half the sum of squares; for a mean over N S n_y outputs the step is N S n_y / 2 times this one (E12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD, _stepped
from wideproof.derive.algebra.matrix_symbols import Length, MatrixFunction, MatrixSum, MatrixSymbol, Norm, is_zero
from wideproof.derive.calculus.lags import Entry
from wideproof.derive.calculus.recursion_rules import ROW, ROW2
from wideproof.derive.emit.derivation import Derivation, as_program, quantity, read_off, reads
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.errors import NotClosed, ProofError
from wideproof.derive.language.notation import T, j, k, n_x, n_y
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.scale_factor_bounds import certify, closed_of, domain, program_with_closed_form
from wideproof.derive.proof.claims import Claim, Equation, Inequality, MatrixEquation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

STEP = sp.Symbol("l", integer=True, positive=True)
ETA, SIGMA = sp.symbols("eta sigma", nonnegative=True)
NORM, NORM_J, RESIDUAL, TARGETS, DISTANCE = sp.symbols("norm norm_j residual targets distance", nonnegative=True)
COLUMN, COLUMN2 = sp.Symbol("c"), sp.Symbol("c'")
DATA, DATA_J, GAINS, OUTPUTS, CONTRACTION, SELECT = map(MatrixSymbol, ("Toep", "Toep_j", "D", "Y", "M", "E_j'"))
SOURCE = "emami2021implicit, Theorem 4.1"


class Theta(MatrixFunction):
    """The parameters of the scaled convolution after l steps."""

    letter, upper = r"\theta", True


class Residual(MatrixFunction):
    """The error of the outputs after l steps, targets minus predictions."""

    letter, upper = "u", True


class Taps(MatrixFunction):
    """All lags of the impulse response after l steps, stacked."""

    letter, upper = "L", True


class LagTaps(MatrixFunction):
    """One lag of it: arguments j, l."""

    letter, upper = "L", True


class RootMeanSquare(sp.Function):
    """The root of the expected squared length over random starts: it bounds the expected length."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"\left(\mathbb{{E}}\left\lVert {printer._print(self.args[0])}\right\rVert_F^2\right)^{{1/2}}"


MOVED = LagTaps(j, STEP) - LagTaps(j, 0)


@dataclass(frozen=True, repr=False)
class TrainingBound(Derivation):
    """`formula` bounds the movement of lag j after l steps by eta |Toep_j| |u_0| rho_j l, for eta at most `step_size`.

    `trajectory` is the exact movement (its formula: what one eigenvalue sigma of D Toep^T Toep D moves by);
    `start` bounds the root mean square of |u_0|, which is random (E4); `steps` is the least number of steps that
    moves lag j by a distance, exponential in j. Norms are arguments: of the operator, of its block j, of u_0.
    """

    trajectory: Derivation
    start: Derivation
    steps: Derivation

    @property
    def step_size(self) -> Formula:
        """The largest step for which the bound is proved, read off the domain of the same goal."""
        return read_off("largest-step", self.proof)


@quantity
def training_bound(recursion: Recursion | Program) -> TrainingBound:
    """Theorem 4.1 with explicit constants, for every linear recursion whose scale factors have a closed form.

    B_1 = 1/(rho_max |Toep|^2) and B_2 = eta |Toep_j| |y - Toep L^0|, for the loss half the sum of squares.
    The convolution obeys it at every step; the RNN in the limit of infinite width (E5).
    Errors: as scale_factor_bound.  Source: emami2021implicit, Theorem 4.1, with errata E4, E5, E12.

    >>> wp.training_bound(wp.models.linear_rnn()).quantity
    'training-bound'
    """
    program = program_with_closed_form(recursion, "training_bound")
    falling = prove(program, "bound-paper", Rho(j)).goal
    assert isinstance(falling, Inequality)
    return TrainingBound(
        "training-bound",
        prove(program, "movement", Length(MOVED)),
        Derivation("trajectory", prove(program, "moved-along", _moved_along())),
        Derivation("start", prove(as_program(recursion), "expected-residual", RootMeanSquare(Residual(0)))),
        Derivation("steps", prove(program, "slow-lags", least_steps(falling.right))),
    )


def trajectory_gain(recursion: Recursion | Program) -> Derivation:
    """sum_{k<l} (1 - eta sigma)^k without a quotient: along an eigenvector, eta times this moves the taps.

    Shapes: formula in l, eta and sigma.  Source: emami2021implicit (61)-(64), summed.

    >>> wp.trajectory_gain(wp.models.linear_rnn()).quantity
    'trajectory-gain'
    """
    program = program_with_closed_form(recursion, "trajectory_gain")
    return Derivation("trajectory-gain", prove(program, "gain", _partial_sum()))


def _in_norms(expr: sp.Expr) -> sp.Expr:
    """Norms become arguments."""
    return expr.xreplace(
        {
            Norm(DATA): NORM,
            Norm(DATA_J): NORM_J,
            Length(Residual(0)): RESIDUAL,
            Length(OUTPUTS): TARGETS,
            Length(MOVED): DISTANCE,
        }
    )


def _largest_step(goal: Any) -> sp.Expr:
    """The eta at which the condition on the step is an equality."""
    condition = next(x for x in goal.domain if x.has(ETA))
    return _in_norms(ETA / condition.lhs)


reads("training-bound", part=lambda goal: _in_norms(goal.right), own=True)
reads("largest-step", part=_largest_step, own=True)
reads("trajectory", own=True)
reads("start", name="expected_residual", part=lambda goal: _in_norms(goal.right), own=True)
reads("steps", name="least_steps", part=lambda goal: _in_norms(goal.left), own=True)
reads("trajectory-gain", own=True)


# ---- rules: the trajectory ------------------------------------------------------------------------
DEFINITIONS: dict[sp.Expr, sp.Expr] = {
    Theta(STEP + 1): Theta(STEP) + ETA * GAINS * DATA.transposed * Residual(STEP),
    Residual(STEP): OUTPUTS - DATA * GAINS * Theta(STEP),
    Taps(STEP): GAINS * Theta(STEP),
    CONTRACTION: 1 - ETA * DATA * GAINS**2 * DATA.transposed,
    SELECT * Taps(STEP): LagTaps(j, STEP),
}


@rule("definition", source="definition", rank=400, says="by definition,", status="assumed")
def definition(subject: Any, ask: Ask) -> Claim:
    """Gradient descent on |y - Toep D theta|^2 / 2, its residual, its taps, and one lag of them."""
    return MatrixEquation(subject, DEFINITIONS[subject])


@rule(
    "residual-step",
    source="emami2021implicit, (61)",
    rank=410,
    says="put one step of gradient descent into the residual:",
)
def residual_step(subject: Any, ask: Ask) -> Claim:
    """Put the step into the residual."""
    residual = ask.matrices("definition", Residual(STEP)).right
    theta = ask.matrices("definition", Theta(STEP + 1)).right
    later = residual.subs(STEP, STEP + 1).subs(Theta(STEP + 1), theta)
    targets = Residual(STEP) + OUTPUTS - residual
    return MatrixEquation(subject, sp.expand(sp.expand(later).subs(OUTPUTS, targets)))


@rule(
    "residual",
    source="induction on the step; emami2021implicit, (61)",
    rank=420,
    says="this holds at step 0, and every step multiplies by the same matrix, so by induction",
)
def residual(subject: Any, ask: Ask) -> Claim:
    """The residual is M^l times the first one: so it is at l = 0, and one step multiplies by M."""
    step, matrix = (
        ask.matrices("residual-step", Residual(STEP + 1)).right,
        ask.matrices("definition", CONTRACTION).right,
    )
    power = sp.Dummy("X", commutative=False)
    if not is_zero(step.subs(Residual(STEP), power * Residual(0)) - matrix * power * Residual(0)):
        raise ProofError("residual", "one more factor M", step, "The step is another one.")
    return MatrixEquation(subject, CONTRACTION**STEP * Residual(0))


@rule("taps-step", source="substitution", rank=430, says="in the taps, one step is")
def taps_step(subject: Any, ask: Ask) -> Claim:
    """One step in the taps."""
    taps, theta = ask.matrices("definition", Taps(STEP)).right, ask.matrices("definition", Theta(STEP + 1)).right
    moved = sp.expand(taps.subs(STEP, STEP + 1).subs(Theta(STEP + 1), theta))
    return MatrixEquation(subject, moved.subs(taps, Taps(STEP)))


@rule(
    "trajectory",
    source="induction on the step; emami2021implicit, (64), exact",
    rank=450,
    says="this holds at step 0, where the sum is empty, and every step adds one term, so by induction",
)
def trajectory(subject: Any, ask: Ask) -> Claim:
    """The taps move by eta D^2 Toep^T times the sum of the residuals; true at l = 0, where the sum is empty."""
    step = ask.matrices("taps-step", Taps(STEP + 1)).right - Taps(STEP)
    closed = ask.matrices("residual", Residual(STEP)).right
    right = ETA * GAINS**2 * DATA.transposed * MatrixSum(CONTRACTION, STEP) * Residual(0)
    after = right.subs(STEP, STEP + 1).subs(
        MatrixSum(CONTRACTION, STEP + 1), MatrixSum(CONTRACTION, STEP) + CONTRACTION**STEP
    )
    if right.subs(STEP, 0) != 0 or not is_zero(after - right - step.subs(Residual(STEP), closed)):
        raise ProofError("trajectory", step, after - right, "The sum does not grow by one step.")
    return MatrixEquation(subject, right)


@rule(
    "blocks",
    source="D is block diagonal with the blocks sqrt(rho_j) I",
    rank=440,
    says="the scaling is block diagonal, hence the block of one lag is",
)
def blocks(subject: Any, ask: Ask) -> Claim:
    """The block of lag j of D^2 Toep^T."""
    return MatrixEquation(subject, Rho(j) * DATA_J.transposed)


@rule("lag-trajectory", source="emami2021implicit, (64), exact", rank=460, says="the rows of one lag are")
def lag_trajectory(subject: Any, ask: Ask) -> Claim:
    """The rows of one lag."""
    whole = ask.matrices("trajectory", Taps(STEP) - Taps(0)).right
    block = SELECT * GAINS**2 * DATA.transposed
    lag = ask.matrices("definition", SELECT * Taps(STEP)).right
    assert subject == lag - lag.subs(STEP, 0)
    return MatrixEquation(subject, sp.expand(SELECT * whole).subs(block, ask.matrices("blocks", block).right))


@rule(
    "gain",
    source="induction on the step; divided differences of x^l",
    rank=520,
    says=(
        "a geometric sum starts at 0 and grows by the next power, so by induction on the step it is the "
        "divided difference"
    ),
)
def gain(subject: Any, ask: Ask) -> Claim:
    """A geometric sum is a divided difference at 1 and the ratio: both start at 0 and grow by the next power."""
    ratio = 1 - ETA * SIGMA
    closed = PowerDD(j, 1, ratio)
    if closed.subs(j, 0) != 0 or sp.expand(_stepped((sp.S.One, ratio), sp.S.One) - closed - PowerDD(j, ratio)) != 0:
        raise ProofError("gain", "a sum that grows by the next power", closed, "The closed form is wrong.")
    return Equation(subject, closed.subs(j, STEP))


def _partial_sum() -> sp.Expr:
    return sp.Sum((1 - ETA * SIGMA) ** k, (k, 0, STEP - 1))


def _moved_along() -> sp.Expr:
    return ETA * _partial_sum()


@rule(
    "moved-along",
    source="emami2021implicit, (64), along an eigenvector",
    rank=525,
    says=(
        "along an eigenvector with the eigenvalue $\\sigma$ the sum of powers of the matrix is this sum of powers of "
        "a number, so the trajectory moves by"
    ),
)
def moved_along(subject: Any, ask: Ask) -> Claim:
    """What the exact trajectory does along an eigenvector of D Toep^T Toep D with the eigenvalue sigma."""
    exact, total = ask.matrices("lag-trajectory", MOVED), ask.equation("gain", _partial_sum())
    if exact.right != ETA * Rho(j) * DATA_J.transposed * MatrixSum(CONTRACTION, STEP) * Residual(0):
        raise ProofError("moved-along", "eta times a sum of powers of the contraction", exact.right, "Another sum.")
    return Equation(subject, ETA * total.right)


# ---- rules: bounds --------------------------------------------------------------------------------
@rule(
    "contraction",
    source="eigenvalues of a symmetric matrix; emami2021implicit, (63)",
    rank=470,
    says="a symmetric matrix is no longer than its largest eigenvalue, and these lie between $-1$ and $1$:",
)
def contraction(subject: Any, ask: Ask) -> Claim:
    """M = I - eta (Toep D)(Toep D)^T has its eigenvalues 1 - w, 0 <= w <= eta |Toep D|^2 <= 2, in [-1, 1]."""
    matrix = ask.matrices("definition", CONTRACTION).right
    assert matrix == 1 - ETA * DATA * GAINS**2 * DATA.transposed
    w = sp.Symbol("w", nonnegative=True)
    below = {w: 2 / (1 + sp.Symbol("d", nonnegative=True))}
    certify(1 - (1 - w), below, "contraction")
    certify((1 - w) + 1, below, "contraction")
    return Inequality(subject, sp.S.One, (sp.Le(ETA * Norm(DATA * GAINS) ** 2, 2),))


@rule(
    "step-bound",
    source="emami2021implicit, (62)",
    rank=480,
    says=(
        "the length of a product is at most the product of the lengths, and that of the scaling is the "
        "largest scale factor, hence"
    ),
)
def step_bound(subject: Any, ask: Ask) -> Claim:
    """|Toep D|^2 <= |Toep|^2 |D|^2, and |D|^2 is the largest scale factor, at most rho_max."""
    uniform = ask.inequality("bound-uniform", Rho(j))
    return Inequality(subject, Norm(DATA) ** 2 * uniform.right, tuple(x for x in uniform.domain if not x.has(j)))


@rule(
    "movement",
    source=f"{SOURCE}, (25) with its constants",
    rank=490,
    says="each term of the sum is at most as long as the first residual, hence",
)
def movement(subject: Any, ask: Ask) -> Claim:
    """Each of the l terms of the sum has length at most |u_0|; eta <= B_1 gives the contraction."""
    exact = ask.matrices("lag-trajectory", MOVED)
    contracts = ask.inequality("contraction", Norm(CONTRACTION))
    step = ask.inequality("step-bound", Norm(DATA * GAINS) ** 2)
    uniform = ask.inequality("bound-uniform", Rho(j))
    rho = ask.equation("scale-factors", Rho(j)).right
    assert exact.right == ETA * Rho(j) * DATA_J.transposed * MatrixSum(CONTRACTION, STEP) * Residual(0)
    assert contracts.domain == (sp.Le(ETA * step.left, 2),)
    assert contracts.right == 1
    right = ETA * Norm(DATA_J) * Length(Residual(0)) * rho * STEP
    return Inequality(subject, right, (*uniform.domain, sp.Le(ETA * step.right, 1)))


@rule(
    "slow-lags",
    source=f"{SOURCE} and section 4: slower by a factor for each lag",
    rank=500,
    says="read the other way round: to move a lag by a given distance takes at least so many steps,",
)
def slow_lags(subject: Any, ask: Ask) -> Claim:
    """Read the other way round: moving lag j takes distance/(B_2 rho_j) steps, and rho_j falls as (22) says."""
    moved, bound = ask.inequality("movement", Length(MOVED)), ask.inequality("bound-paper", Rho(j))
    rho = ask.equation("scale-factors", Rho(j)).right
    assert moved.right == ETA * Norm(DATA_J) * Length(Residual(0)) * rho * STEP
    assert bound.left == Rho(j)
    domain = (*dict.fromkeys((*moved.domain, *bound.domain)), sp.Gt(ETA * Norm(DATA_J) * Length(Residual(0)), 0))
    assert subject == least_steps(bound.right)
    return Inequality(subject, STEP, domain)


def least_steps(bound: sp.Expr) -> sp.Expr:
    """The distance of a lag over the most it can move in one step."""
    return Length(MOVED) / (ETA * Norm(DATA_J) * Length(Residual(0)) * bound)


@rule(
    "expected-residual",
    source="Minkowski's inequality and the limiting law; erratum E4",
    rank=510,
    says="by Minkowski's inequality and the law of the first impulse response,",
)
def expected_residual(subject: Any, ask: Ask) -> Claim:
    """|u_0| <= |y| + |Toep| |L^0|, and every lag of L^0 has n_x n_y entries of variance at most that of lag 0."""
    law = ask.limit("limit-law", Entry(ROW, COLUMN, ROW2, COLUMN2, j, k))
    variance = law.right.subs({ROW2: ROW, COLUMN2: COLUMN, k: j})
    closed = closed_of(variance, "expected_residual")
    if closed.order:
        raise NotClosed("expected_residual", "a variance that is one power", variance, "Sum it by hand.")
    first = closed.weights[0]
    within = domain(closed, sp.Le(closed.node, 1))
    return Inequality(subject, Length(OUTPUTS) + Norm(DATA) * sp.sqrt(n_x * n_y * T * first), within)
