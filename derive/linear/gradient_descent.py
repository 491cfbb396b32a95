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
from wideproof.derive.emit.derivation import Derivation, as_program
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.errors import NotClosed, ProofError
from wideproof.derive.language.notation import T, j, k, n_x, n_y
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.scale_factor_bounds import certify, closed_of, domain, program_with_closed_form
from wideproof.derive.proof.claims import Inequality, MatrixEquation
from wideproof.derive.proof.proof import Ask, Claim, Equation, Limit, prove, rule

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


@dataclass(frozen=True)
class TrainingBound(Derivation):
    """`formula` bounds the movement of lag j after l steps by eta |Toep_j| |u_0| rho_j l, for eta at most `step_size`.

    `trajectory` is the exact movement (its formula: the gain of one eigenvalue sigma of D Toep^T Toep D);
    `start` bounds the root mean square of |u_0|, which is random (E4); `steps` is the least number of steps that
    moves lag j by a distance, exponential in j. Norms are arguments: of the operator, of its block j, of u_0.
    """

    step_size: Formula
    trajectory: Derivation
    start: Derivation
    steps: Derivation


def training_bound(recursion: Recursion | Program) -> TrainingBound:
    """Theorem 4.1 with explicit constants, for every linear recursion whose scale factors have a closed form.

    B_1 = 1/(rho_max |Toep|^2) and B_2 = eta |Toep_j| |y - Toep L^0|, for the loss half the sum of squares.
    The convolution obeys it at every step; the RNN in the limit of infinite width (E5).
    Errors: as scale_factor_bound.  Source: emami2021implicit, Theorem 4.1, with errata E4, E5, E12.
    """
    program = program_with_closed_form(recursion, "training_bound")
    moved = prove(program, "movement", Length(MOVED))
    bound = _inequality(moved.goal)
    unit = next(x for x in bound.domain if x.has(ETA))
    step_size = 1 / (unit.lhs / ETA)
    exact = prove(program, "lag-trajectory", MOVED)
    gain = prove(program, "gain", _partial_sum())
    slow = prove(program, "slow-lags", least_steps(_right(prove(program, "bound-paper", Rho(j)).goal)))
    assert isinstance(gain.goal, Equation)
    base = as_program(recursion)
    trajectory = Derivation("trajectory", program, _formula("trajectory", program, ETA * gain.goal.right), exact)
    return TrainingBound(
        "training-bound",
        program,
        _formula("training_bound", program, bound.right),
        moved,
        _formula("largest_step", program, step_size),
        trajectory,
        _start(base),
        Derivation("steps", program, _formula("least_steps", program, _inequality(slow.goal).left), slow),
    )


def trajectory_gain(recursion: Recursion | Program) -> Derivation:
    """sum_{k<l} (1 - eta sigma)^k without a quotient: along an eigenvector, eta times this moves the taps.

    Shapes: formula in l, eta and sigma.  Source: emami2021implicit (61)-(64), summed.
    """
    program = program_with_closed_form(recursion, "trajectory_gain")
    proof = prove(program, "gain", _partial_sum())
    assert isinstance(proof.goal, Equation)
    return Derivation("trajectory-gain", program, _formula("trajectory_gain", program, proof.goal.right), proof)


def _start(base: Program) -> Derivation:
    proof = prove(base, "expected-residual", RootMeanSquare(Residual(0)))
    return Derivation("start", base, _formula("expected_residual", base, _inequality(proof.goal).right), proof)


def _inequality(claim: Claim) -> Inequality:
    assert isinstance(claim, Inequality)
    return claim


def _formula(name: str, program: Program, expr: sp.Expr) -> Formula:
    """Norms become arguments; only the symbols that occur are arguments."""
    plain = expr.xreplace(
        {
            Norm(DATA): NORM,
            Norm(DATA_J): NORM_J,
            Length(Residual(0)): RESIDUAL,
            Length(OUTPUTS): TARGETS,
            Length(MOVED): DISTANCE,
        }
    )
    ranked = sorted(plain.free_symbols, key=lambda x: (x in program.symbols.values(), x.name))
    return Formula(name, plain, {x.name: x for x in ranked}, program)


def _right(claim: Claim) -> sp.Expr:
    assert isinstance(claim, Equation | MatrixEquation | Inequality)
    return claim.right


# ---- rules: the trajectory ------------------------------------------------------------------------
DEFINITIONS: dict[sp.Expr, sp.Expr] = {
    Theta(STEP + 1): Theta(STEP) + ETA * GAINS * DATA.transposed * Residual(STEP),
    Residual(STEP): OUTPUTS - DATA * GAINS * Theta(STEP),
    Taps(STEP): GAINS * Theta(STEP),
    CONTRACTION: 1 - ETA * DATA * GAINS**2 * DATA.transposed,
    SELECT * Taps(STEP): LagTaps(j, STEP),
}


@rule("definition", source="definition", status="assumed")
def definition(program: Program, subject: Any, ask: Ask) -> Claim:
    """Gradient descent on |y - Toep D theta|^2 / 2, its residual, its taps, and one lag of them."""
    return MatrixEquation(subject, DEFINITIONS[subject])


@rule("residual-step", source="emami2021implicit, (61)")
def residual_step(program: Program, subject: Any, ask: Ask) -> Claim:
    """Put the step into the residual."""
    residual, theta = ask("definition", Residual(STEP)), ask("definition", Theta(STEP + 1))
    later = _right(residual).subs(STEP, STEP + 1).subs(Theta(STEP + 1), _right(theta))
    targets = Residual(STEP) + OUTPUTS - _right(residual)
    return MatrixEquation(subject, sp.expand(sp.expand(later).subs(OUTPUTS, targets)))


@rule("residual", source="induction on the step; emami2021implicit, (61)")
def residual(program: Program, subject: Any, ask: Ask) -> Claim:
    """The residual is M^l times the first one: so it is at l = 0, and one step multiplies by M."""
    step, matrix = _right(ask("residual-step", Residual(STEP + 1))), _right(ask("definition", CONTRACTION))
    power = sp.Dummy("X", commutative=False)
    if not is_zero(step.subs(Residual(STEP), power * Residual(0)) - matrix * power * Residual(0)):
        raise ProofError("residual", "one more factor M", step, "The step is another one.")
    return MatrixEquation(subject, CONTRACTION**STEP * Residual(0))


@rule("taps-step", source="substitution")
def taps_step(program: Program, subject: Any, ask: Ask) -> Claim:
    """One step in the taps."""
    taps, theta = _right(ask("definition", Taps(STEP))), _right(ask("definition", Theta(STEP + 1)))
    moved = sp.expand(taps.subs(STEP, STEP + 1).subs(Theta(STEP + 1), theta))
    return MatrixEquation(subject, moved.subs(taps, Taps(STEP)))


@rule("trajectory", source="induction on the step; emami2021implicit, (64), exact")
def trajectory(program: Program, subject: Any, ask: Ask) -> Claim:
    """The taps move by eta D^2 Toep^T times the sum of the residuals; true at l = 0, where the sum is empty."""
    step = _right(ask("taps-step", Taps(STEP + 1))) - Taps(STEP)
    closed = _right(ask("residual", Residual(STEP)))
    right = ETA * GAINS**2 * DATA.transposed * MatrixSum(CONTRACTION, STEP) * Residual(0)
    after = right.subs(STEP, STEP + 1).subs(
        MatrixSum(CONTRACTION, STEP + 1), MatrixSum(CONTRACTION, STEP) + CONTRACTION**STEP
    )
    if right.subs(STEP, 0) != 0 or not is_zero(after - right - step.subs(Residual(STEP), closed)):
        raise ProofError("trajectory", step, after - right, "The sum does not grow by one step.")
    return MatrixEquation(subject, right)


@rule("blocks", source="D is block diagonal with the blocks sqrt(rho_j) I")
def blocks(program: Program, subject: Any, ask: Ask) -> Claim:
    """The block of lag j of D^2 Toep^T."""
    return MatrixEquation(subject, Rho(j) * DATA_J.transposed)


@rule("lag-trajectory", source="emami2021implicit, (64), exact")
def lag_trajectory(program: Program, subject: Any, ask: Ask) -> Claim:
    """The rows of one lag."""
    whole = _right(ask("trajectory", Taps(STEP) - Taps(0)))
    block = SELECT * GAINS**2 * DATA.transposed
    lag = _right(ask("definition", SELECT * Taps(STEP)))
    assert subject == lag - lag.subs(STEP, 0)
    return MatrixEquation(subject, sp.expand(SELECT * whole).subs(block, _right(ask("blocks", block))))


@rule("gain", source="induction on the step; divided differences of x^l")
def gain(program: Program, subject: Any, ask: Ask) -> Claim:
    """A geometric sum is a divided difference at 1 and the ratio: both start at 0 and grow by the next power."""
    ratio = 1 - ETA * SIGMA
    closed = PowerDD(j, 1, ratio)
    if closed.subs(j, 0) != 0 or sp.expand(_stepped((sp.S.One, ratio), sp.S.One) - closed - PowerDD(j, ratio)) != 0:
        raise ProofError("gain", "a sum that grows by the next power", closed, "The closed form is wrong.")
    return Equation(subject, closed.subs(j, STEP))


def _partial_sum() -> sp.Expr:
    return sp.Sum((1 - ETA * SIGMA) ** k, (k, 0, STEP - 1))


# ---- rules: bounds --------------------------------------------------------------------------------
@rule("contraction", source="eigenvalues of a symmetric matrix; emami2021implicit, (63)")
def contraction(program: Program, subject: Any, ask: Ask) -> Claim:
    """M = I - eta (Toep D)(Toep D)^T has its eigenvalues 1 - w, 0 <= w <= eta |Toep D|^2 <= 2, in [-1, 1]."""
    matrix = _right(ask("definition", CONTRACTION))
    assert matrix == 1 - ETA * DATA * GAINS**2 * DATA.transposed
    w = sp.Symbol("w", nonnegative=True)
    below = {w: 2 / (1 + sp.Symbol("d", nonnegative=True))}
    certify(1 - (1 - w), below, "contraction")
    certify((1 - w) + 1, below, "contraction")
    return Inequality(subject, sp.S.One, (sp.Le(ETA * Norm(DATA * GAINS) ** 2, 2),))


@rule("step-bound", source="emami2021implicit, (62)")
def step_bound(program: Program, subject: Any, ask: Ask) -> Claim:
    """|Toep D|^2 <= |Toep|^2 |D|^2, and |D|^2 is the largest scale factor, at most rho_max."""
    uniform = _inequality(ask("bound-uniform", Rho(j)))
    return Inequality(subject, Norm(DATA) ** 2 * uniform.right, tuple(x for x in uniform.domain if not x.has(j)))


@rule("movement", source=f"{SOURCE}, (25) with its constants")
def movement(program: Program, subject: Any, ask: Ask) -> Claim:
    """Each of the l terms of the sum has length at most |u_0|; eta <= B_1 gives the contraction."""
    exact = ask("lag-trajectory", MOVED)
    contracts = _inequality(ask("contraction", Norm(CONTRACTION)))
    step = _inequality(ask("step-bound", Norm(DATA * GAINS) ** 2))
    uniform = _inequality(ask("bound-uniform", Rho(j)))
    rho = _right(ask("scale-factors", Rho(j)))
    assert _right(exact) == ETA * Rho(j) * DATA_J.transposed * MatrixSum(CONTRACTION, STEP) * Residual(0)
    assert contracts.domain == (sp.Le(ETA * step.left, 2),)
    assert contracts.right == 1
    right = ETA * Norm(DATA_J) * Length(Residual(0)) * rho * STEP
    return Inequality(subject, right, (*uniform.domain, sp.Le(ETA * step.right, 1)))


@rule("slow-lags", source=f"{SOURCE} and section 4: slower by a factor for each lag")
def slow_lags(program: Program, subject: Any, ask: Ask) -> Claim:
    """Read the other way round: moving lag j takes distance/(B_2 rho_j) steps, and rho_j falls as (22) says."""
    moved, bound = _inequality(ask("movement", Length(MOVED))), _inequality(ask("bound-paper", Rho(j)))
    rho = _right(ask("scale-factors", Rho(j)))
    assert moved.right == ETA * Norm(DATA_J) * Length(Residual(0)) * rho * STEP
    assert bound.left == Rho(j)
    domain = (*dict.fromkeys((*moved.domain, *bound.domain)), sp.Gt(ETA * Norm(DATA_J) * Length(Residual(0)), 0))
    assert subject == least_steps(bound.right)
    return Inequality(subject, STEP, domain)


def least_steps(bound: sp.Expr) -> sp.Expr:
    """The distance of a lag over the most it can move in one step."""
    return Length(MOVED) / (ETA * Norm(DATA_J) * Length(Residual(0)) * bound)


@rule("expected-residual", source="Minkowski's inequality and the limiting law; erratum E4")
def expected_residual(program: Program, subject: Any, ask: Ask) -> Claim:
    """|u_0| <= |y| + |Toep| |L^0|, and every lag of L^0 has n_x n_y entries of variance at most that of lag 0."""
    law = ask("limit-law", Entry(ROW, COLUMN, ROW2, COLUMN2, j, k))
    assert isinstance(law, Limit)
    variance = law.right.subs({ROW2: ROW, COLUMN2: COLUMN, k: j})
    closed = closed_of(variance, "expected_residual")
    if closed.order:
        raise NotClosed("expected_residual", "a variance that is one power", variance, "Sum it by hand.")
    first = closed.weights[0]
    within = domain(closed, sp.Le(closed.node, 1))
    return Inequality(subject, Length(OUTPUTS) + Norm(DATA) * sp.sqrt(n_x * n_y * T * first), within)
