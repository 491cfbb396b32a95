"""What a proof can claim: definitions, equations, limits, recurrences, inequalities, each about one subject."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import sympy as sp


@dataclass(frozen=True)
class _Claim:
    """A claim about what its first part names."""

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        about: Hashable = getattr(self, fields(self)[0].name)
        return about


@dataclass(frozen=True)
class _TwoSides(_Claim):
    """A claim about its left side."""

    left: sp.Expr
    right: sp.Expr


@dataclass(frozen=True)
class Definition(_Claim):
    """The recursion that a proof is about, in full: updates, output, laws of all parameters and starts.

    `name` is "given" for what the user wrote, else the parameterization of its tangent.
    """

    name: str
    program: Any


@dataclass(frozen=True)
class Equation(_TwoSides):
    """left = right, for all values of the free symbols.

    >>> wp.impulse_response(wp.models.linear_rnn()).proof.steps[1].claim
    Equation(left=h', right=F@x + W@h)
    """


@dataclass(frozen=True)
class Vanishing(_Claim):
    """Every member moment is zero: (u, v, relation of the two times, labels)."""

    about: sp.Expr
    members: tuple[tuple[sp.Expr, sp.Expr, str, tuple[sp.Expr, sp.Expr]], ...]


@dataclass(frozen=True)
class Recurrence(_TwoSides):
    """left = right, where the moments in `right` are determined by `equations`, each in earlier moments.

    At the time -1, before the first step, they state the starts: between two sequences and within one. A state whose
    own start has no variance is zero there, and so is every moment with it. Backward states are zero from the end of
    their sequence on. `indices` are the times stepped.

    >>> goal = wp.state_evolution(wp.models.elman("erf")).proof.goal
    >>> type(goal).__name__, len(goal.equations), goal.indices
    ('Recurrence', 3, (t, s))
    """

    equations: tuple[Equation, ...]
    indices: tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class Hypothesis(_Claim):
    """The named theorem applies: each listed map is affine, or Lipschitz, or of polynomial growth."""

    theorem: str
    maps: tuple[tuple[sp.Expr, sp.Expr, str], ...]


@dataclass(frozen=True)
class Inequality(_TwoSides):
    """left <= right wherever every relation of the domain holds.

    >>> goal = wp.scale_factor_bound(wp.models.linear_rnn()).proof.goal
    >>> type(goal).__name__, goal.left
    ('Inequality', Rho(j))
    """

    domain: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Counterexample(_TwoSides):
    """left > right at the exact rational point (symbol, value), ..., although it was believed that left <= right.

    >>> goal = wp.refuted_bounds(wp.models.linear_rnn())[0].proof.goal
    >>> type(goal).__name__, dict(goal.point)
    ('Counterexample', {T: 2, j: 1, nu_C: 1, nu_F: 1, nu_W: 3/10})
    """

    point: tuple[tuple[sp.Symbol, sp.Rational], ...]


@dataclass(frozen=True)
class MatrixEquation(_TwoSides):
    """left = right for matrices of all sizes that fit; products do not commute.

    >>> steps = wp.training_bound(wp.models.linear_rnn()).proof.steps
    >>> next(type(step.claim).__name__ for step in steps if isinstance(step.claim, wp.MatrixEquation))
    'MatrixEquation'
    """


@dataclass(frozen=True)
class ProcessForm(_TwoSides):
    """left = right, expectations over states that jointly Gaussian products drive by `paths`.

    `covariances` are those of the products and biases; pairs that are not listed are independent. Each covariance
    is an expectation over strictly earlier products, so the law is found step by step. `starts` are the moments of
    the states at the time -1, as in a recurrence; different states start independently. `indices` are the two times.
    """

    covariances: tuple[Any, ...]
    paths: tuple[Any, ...]
    starts: tuple[Any, ...]
    indices: tuple[sp.Symbol, ...]

    @property
    def equations(self) -> tuple[Any, ...]:
        """The covariances, the paths and the starts."""
        return self.covariances + self.paths + self.starts


Mode: TypeAlias = Literal["in law, to a centred Gaussian with this covariance", "in probability"]


@dataclass(frozen=True)
class Limit(_TwoSides):
    """As n grows, a finite-width quantity converges: in law to N(0, right), or in probability to right.

    Where `form` is stated, it determines the same value: what `right` reads is found by it, and a closed `right` is
    equal to its.
    """

    mode: Mode
    form: Recurrence | ProcessForm | None = None


@dataclass(frozen=True)
class Question:
    """Is a formula what the goal `rule` about `about` states about a quantity, with the numbers `at` for its symbols?

    Where the goal is a bound, the question is whether the formula is one too.
    """

    quantity: str
    rule: str
    about: Hashable
    formula: sp.Expr
    at: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()


@dataclass(frozen=True)
class _AboutFormula(_Claim):
    """A claim about a formula that was put forward."""

    question: Question
    derived: sp.Expr


@dataclass(frozen=True)
class Agreement(_AboutFormula):
    """formula = derived for all whole times and all variances at which both have a value or a limit."""


@dataclass(frozen=True)
class StillBounded(_AboutFormula):
    """derived <= formula wherever every relation of the domain holds, so that the formula is a bound too."""

    domain: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Refutation(_AboutFormula):
    """At the exact point the formula has no value, or another than `derived`; as a bound, one below it.

    Where two sequences enter, their inputs are x_t = (1, t) and x'_s = (1, s).
    """

    point: tuple[tuple[sp.Symbol, sp.Expr], ...]
    relation: Literal["=", "<="] = "="


Claim: TypeAlias = (
    Definition
    | Equation
    | Vanishing
    | Recurrence
    | Hypothesis
    | Limit
    | Inequality
    | Counterexample
    | MatrixEquation
    | ProcessForm
    | Agreement
    | StillBounded
    | Refutation
)
