"""Proof objects: claims of a few kinds, steps with premises before conclusions, and `Proof.verify`.

A rule is a function (program, subject, ask) -> claim. `ask(rule, subject)` returns a premise: while a proof is
made it proves that premise first; while one is replayed it only looks it up among the step's own premises. So the
same text makes and checks, a replayed step can use nothing but what it cites, and the order of steps is unique.
"""

from __future__ import annotations

import heapq
import importlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import sympy as sp

from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Program
from wideproof.derive.proof.claims import Counterexample, Inequality, MatrixEquation, ProcessForm

AUDIT = "wideproof.derive.audit"  # by name: no room below the audit imports it

Status = Literal["proved", "checked", "numeric", "assumed"]


@dataclass(frozen=True)
class Equation:
    """left = right, for all values of the free symbols."""

    left: sp.Expr
    right: sp.Expr

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left


@dataclass(frozen=True)
class Vanishing:
    """Every member moment is zero: (u, v, relation of the two times, labels)."""

    about: sp.Expr
    members: tuple[tuple[sp.Expr, sp.Expr, str, tuple[sp.Expr, sp.Expr]], ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.about


@dataclass(frozen=True)
class Recurrence:
    """left = right, where the moments in `right` are determined by `equations`, each in earlier moments.

    At negative times states have their initial values, zero unless declared. `indices` are the times stepped.
    """

    left: sp.Expr
    right: sp.Expr
    equations: tuple[Equation, ...]
    indices: tuple[sp.Symbol, ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left


@dataclass(frozen=True)
class Hypothesis:
    """The named theorem applies: each listed map is affine, or Lipschitz, or of polynomial growth."""

    theorem: str
    maps: tuple[tuple[sp.Expr, sp.Expr, str], ...]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.theorem


@dataclass(frozen=True)
class Limit:
    """As n grows, a finite-width quantity converges: in law to N(0, right), or in probability to right."""

    left: sp.Expr
    right: sp.Expr
    mode: Literal["in law, to a centred Gaussian with this covariance", "in probability"]

    @property
    def subject(self) -> Hashable:
        """What the claim is about."""
        return self.left


Claim: TypeAlias = (
    Equation | Vanishing | Recurrence | Hypothesis | Limit | Inequality | Counterexample | MatrixEquation | ProcessForm
)
Ask: TypeAlias = Callable[[str, Hashable], Claim]


ORDER = (
    "recursion",
    "tangent",
    "lemma-c1",
    "tensor-programs",
    "master-theorem",
    "readout",
    "covariance",
    "zero-moments",
    "evolution",
    "unrolled",
    "product-covariance",
    "independence",
    "process-readout",
    "process",
    "kernel-process",
    "innovations",
    "innovations-unrolled",
    "diagonal",
    "induction",
    "weight",
    "lag-recurrence",
    "no-coupling",
    "superposition",
    "kernel-recursion",
    "convolution",
    "limit-law",
    "limit-kernel",
    "scale-factors",
    "equivalence",
    "rise",
    "first-rise",
    "peak",
    "bound-sharp",
    "bound-t-free",
    "bound-paper",
    "bound-uniform",
    "refuted-power",
    "refuted-power-largest",
    "refuted-shifted-largest",
    "definition",
    "residual-step",
    "residual",
    "taps-step",
    "blocks",
    "trajectory",
    "lag-trajectory",
    "contraction",
    "step-bound",
    "movement",
    "slow-lags",
    "expected-residual",
    "gain",
    "flow-gain",
    "momentum-gain",
    "momentum-flow-gain",
    "transition",
    "transition-variance",
    "circular-law",
    "variance-profile",
    "kronecker-law",
    "cotangent",
    "gradient",
    "adjoint",
    "equal-times",
    "redrawn",
    "centred",
    "dual-activation",
    "correlation-map",
    "variance-map",
    "map-derivative",
    "variance-derivative",
    "difference-growth",
    "correlation-slope",
    "variance-slope",
    "critical-line",
    "memory-horizon",
    "closed-form",
    "affine-fixed-point",
    "state-sum",
    "impulse-of-matrices",
    "interpolation",
    "vandermonde",
    "readout-pairings",
    "loop-equations",
    "queries",
    "pairing",
    "left-over",
    "product-law",
    "known-products",
    "left-regression",
    "gaussian-part",
    "stein-pairing",
    "correction",
    "transposed-product",
    "gaussian-covariance",
    "truncated-moment",
    "second-moment",
    "correction-terms",
    "over-components",
    "ramp-mean",
    "line-limit",
    "line-evolution",
)
"""How a proof reads: definitions, the theorem, moments, zeros, closed forms, conclusions."""


class Apply(Protocol):
    """A rule: what it concludes about a subject from the premises it asks for."""

    def __call__(self, program: Program, subject: Any, ask: Ask, /) -> Claim:
        """What the rule concludes about `subject`."""
        ...


@dataclass(frozen=True)
class Rule:
    """A named way to conclude, with its source and how far it is known."""

    name: str
    apply: Apply
    source: str
    status: Status
    rank: int
    registry: ClassVar[dict[str, Rule]] = {}


def rule(name: str, source: str, status: Status = "proved") -> Callable[[Apply], Apply]:
    """Register the decorated function as the rule `name`."""

    def register(apply: Apply) -> Apply:
        assert name not in Rule.registry, f"two rules named {name}"
        rank = ORDER.index(name) if name in ORDER else len(ORDER)
        Rule.registry[name] = Rule(name, apply, source, status, rank)
        return apply

    return register


@dataclass(frozen=True)
class Step:
    """One claim, the rule that gives it, its source, its status, and the indices of its premises."""

    rule: str
    claim: Claim
    source: str
    status: Status
    premises: tuple[int, ...] = ()


@dataclass(frozen=True)
class Proof:
    """A goal about a program, and the steps that reach it, premises before conclusions."""

    program: Program
    goal: Claim
    steps: tuple[Step, ...]
    auditors: ClassVar[list[Callable[[Proof], None]]] = []  # derive.audit enters itself here when it is loaded

    def verify(self) -> None:
        """Raise ProofError unless every step replays from its premises and passes the independent audit.

        The audit evaluates each claim exactly at random rational points and integer times with an evaluator that
        shares no rule with the engine.  Errors: ProofError names the first step that fails and why.
        """
        importlib.import_module(AUDIT)
        if not self.auditors:
            raise ProofError("proof", "the independent audit", "none registered", "Import wideproof.derive.audit.")
        self.check_structure()
        for index in range(len(self.steps)):
            self.replay(index)
        for audit in self.auditors:
            audit(self)

    def check_structure(self) -> None:
        """The last step is the goal, every step is used once listed, and the order is the canonical one."""
        if not self.steps or self.steps[-1].claim != self.goal:
            raise ProofError(
                "proof",
                "the goal as last step",
                self.steps[-1].claim if self.steps else "no step",
                "The conclusion is missing or altered.",
            )
        used = {i for step in self.steps for i in step.premises}
        for index, step in enumerate(self.steps):
            if list(step.premises) != sorted({i for i in step.premises if 0 <= i < index}):
                raise ProofError(
                    f"step {index} ({step.rule})",
                    "premises among the earlier steps, ascending",
                    step.premises,
                    "Premises come before conclusions.",
                )
            if index not in used and index != len(self.steps) - 1:
                raise ProofError(
                    f"step {index} ({step.rule})",
                    "a step that a later one uses",
                    "an idle step",
                    "Remove it, or cite it where it is used.",
                )
        if _canonical(self.steps) != list(range(len(self.steps))):
            raise ProofError(
                "proof",
                "the canonical order of steps",
                "another order",
                "Steps are listed by the order of their rules wherever premises leave a choice.",
            )

    def replay(self, index: int) -> None:
        """Apply the rule of one step again to the premises it cites, and to nothing else."""
        step = self.steps[index]
        where = f"step {index} ({step.rule})"
        known = Rule.registry.get(step.rule)
        if known is None or (known.source, known.status) != (step.source, step.status):
            raise ProofError(
                where,
                "a registered rule with its own source and status",
                (step.rule, step.source, step.status),
                "Rules are listed in wideproof.derive.proof.proof.Rule.registry.",
            )
        asked: set[int] = set()

        def ask(name: str, subject: Hashable) -> Claim:
            for i in step.premises:
                if self.steps[i].rule == name and self.steps[i].claim.subject == subject:
                    asked.add(i)
                    return self.steps[i].claim
            raise ProofError(where, f"a premise by {name} about {subject}", "none", "A premise is missing.")

        try:
            claim = known.apply(self.program, step.claim.subject, ask)
        except ProofError:
            raise
        except Exception as error:  # an altered step may ask a rule about something it has no meaning for
            raise ProofError(where, f"a subject of the rule {step.rule}", repr(error), "It does not apply.") from error
        if claim != step.claim:
            raise ProofError(where, str(claim), step.claim, "The rule gives another conclusion.")
        if asked != set(step.premises):
            raise ProofError(where, f"the premises {sorted(asked)}", step.premises, "A premise is not used.")


def prove(program: Program, rule_name: str, subject: Hashable) -> Proof:
    """Make the proof of what `rule_name` concludes about `subject`, with all its premises."""
    drafts: dict[tuple[str, Hashable], Step] = {}
    keys: list[tuple[str, Hashable]] = []

    def ask(name: str, about: Hashable) -> Claim:
        key = (name, about)
        if key not in drafts:
            premises: list[int] = []

            def ask_premise(inner: str, inner_subject: Hashable) -> Claim:
                claim = ask(inner, inner_subject)
                index = keys.index((inner, inner_subject))
                if index not in premises:
                    premises.append(index)
                return claim

            known = Rule.registry[name]
            claim = known.apply(program, about, ask_premise)
            assert claim.subject == about, f"{name} concluded about {claim.subject}, asked {about}"
            drafts[key] = Step(name, claim, known.source, known.status, tuple(premises))
            keys.append(key)
        return drafts[key].claim

    goal = ask(rule_name, subject)
    return Proof(program, goal, _sorted(tuple(drafts[key] for key in keys)))


def _sorted(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    order = _canonical(steps)
    position = {old: new for new, old in enumerate(order)}
    return tuple(
        Step(s.rule, s.claim, s.source, s.status, tuple(sorted(position[i] for i in s.premises)))
        for s in (steps[old] for old in order)
    )


def _canonical(steps: tuple[Step, ...]) -> list[int]:
    """The one order that puts premises first and otherwise follows (rank of the rule, text of the claim)."""
    waiting = [len(step.premises) for step in steps]
    users: list[list[int]] = [[] for _ in steps]
    for index, step in enumerate(steps):
        for i in step.premises:
            users[i].append(index)
    heap = [(*_key(step), index) for index, step in enumerate(steps) if not step.premises]
    heapq.heapify(heap)
    order = []
    while heap:
        *_, index = heapq.heappop(heap)
        order.append(index)
        for user in users[index]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(heap, (*_key(steps[user]), user))
    return order


def _key(step: Step) -> tuple[int, str]:
    known = Rule.registry.get(step.rule)
    return (known.rank if known else -1, _text(step.claim))


@lru_cache(maxsize=4096)
def _text(claim: Claim) -> str:
    return repr(claim)
