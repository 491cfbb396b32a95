"""Proof objects: steps with premises before conclusions, and `Proof.verify`.

A rule's `ask` returns a premise: while a proof is made it proves that premise first; while one is replayed it only
looks it up among the step's own premises. So the same text makes and checks, a replayed step can use nothing but what
it cites, and the order of steps is unique. The recursion enters as the first step, in full.
"""

from __future__ import annotations

import heapq
import importlib
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, TypeAlias

import sympy as sp

from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.shown import InNotebooks
from wideproof.derive.proof.claims import Claim, Definition, Equation
from wideproof.derive.proof.rules import GIVEN, PERTURBATION, Ask, Root, Rule, Status

CHECKS = ("wideproof.derive.audit", "wideproof.derive.emit.derivation")
"""What enters itself in `Proof.auditors`, by name: no room below imports it."""

NARRATION = "wideproof.derive.latex.narration"
"""What tells a proof in sentences and displays, by name: it reads all kinds of claims."""

CERTIFICATE = "wideproof.derive.certificate.certificate"
"""What writes a proof as a Coq file, by name: it reads all rules, and no room below imports it."""


@dataclass(frozen=True)
class Step:
    """One claim, the rule that gives it, its source, its status, and the indices of its premises.

    >>> wp.stability(wp.models.linear_rnn()).proof.steps[-1]
    Step(circular-law from [0, 2, 3]; cited; geman1986spectral; bai1986limiting; tao2010random)
    """

    rule: str
    claim: Claim
    source: str
    status: Status
    premises: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Step({self.rule} from {list(self.premises)}; {self.status}; {self.source})"


@dataclass(frozen=True)
class Proof(InNotebooks):
    """A goal about a program, and the steps that reach it, premises before conclusions.

    `formula` is what a derivation reads off the goal; `verify` reads it again.

    >>> proof = wp.stability(wp.models.linear_rnn()).proof
    >>> proof.verify()
    >>> proof
    Proof(linear-rnn: 5 steps; 1 assumed, 3 proved, 1 cited)
    """

    program: Any
    goal: Claim
    steps: tuple[Step, ...]
    formula: Any = field(default=None, compare=False, repr=False)
    auditors: ClassVar[list[Callable[[Proof], None]]] = []

    def __repr__(self) -> str:
        count = Counter(step.status for step in self.steps)
        kinds = ", ".join(f"{number} {status}" for status, number in count.items())
        return f"Proof({self.program.name}: {len(self.steps)} steps; {kinds})"

    def verify(self) -> None:
        """Raise ProofError unless the definition is the program's, every step replays, and the audit agrees.

        The audit evaluates each claim exactly at random rational points and integer times with an evaluator that
        shares no rule with the engine; the formula of the derivation is read off the goal again.
        Errors: ProofError names the first step that fails and why.
        """
        for name in CHECKS:
            importlib.import_module(name)
        if not self.auditors:
            raise ProofError("proof", "the independent audit", "none registered", f"Import {CHECKS[0]}.")
        self.check_structure()
        for index in range(len(self.steps)):
            self.replay(index)
        for audit in self.auditors:
            audit(self)

    def coq(self) -> str:
        """The proof as a Coq file: what is believed as hypotheses, and every other step as a lemma that coqc checks.

        Errors: NotCertified names the first step that no certificate covers, and the reason.
        """
        text: str = importlib.import_module(CERTIFICATE).certify(self).text
        return text

    def latex(self, name: str = "proof") -> str:
        r"""The proof for a paper: sentences and displays, numbered and labelled `eq:name-1`, `eq:name-2`, ...

        It wants the packages amsmath, amssymb and amsthm, and fits a column of 6.5 in. `\cite` names entries of the
        bibliography that reports write beside themselves, `refs.bib`.
        """
        text: str = importlib.import_module(NARRATION).as_latex(self, name)
        return text

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
                "Rules are listed in wideproof.derive.proof.rules.Rule.registry.",
            )
        if isinstance(step.claim, Definition) and step.claim != _definition(self.program, step.rule):
            raise ProofError(
                where, "the recursion that the proof is about", step.claim.program, "It is defined otherwise."
            )
        if step.rule != GIVEN:
            self._apply(step, known, where)

    def _apply(self, step: Step, known: Rule, where: str) -> None:
        asked: set[int] = set()

        def premise(name: str, subject: Hashable) -> Claim:
            for i in step.premises:
                if self.steps[i].rule == name and self.steps[i].claim.subject == subject:
                    asked.add(i)
                    return self.steps[i].claim
            raise ProofError(where, lambda: f"a premise by {name} about {subject}", "none", "A premise is missing.")

        try:
            claim = known(step.claim.subject, Ask(premise, _root(self.program)))
        except ProofError:
            raise
        except Exception as error:  # an altered step may ask a rule about something it has no meaning for
            raise ProofError(where, f"a subject of the rule {step.rule}", repr(error), "It does not apply.") from error
        if claim != step.claim:
            raise ProofError(where, lambda: str(claim), step.claim, "The rule gives another conclusion.")
        if asked != set(step.premises):
            raise ProofError(where, f"the premises {sorted(asked)}", step.premises, "A premise is not used.")


def _root(program: Any) -> Root:
    """Which definition the steps of a proof work with."""
    if getattr(program, "base", None) is None:
        return GIVEN, GIVEN
    return PERTURBATION, program.parameterization


def _definition(program: Any, rule_name: str) -> Definition:
    """The definition that a proof about a program begins with."""
    if rule_name == PERTURBATION:
        return Definition(program.parameterization, program)
    return Definition(GIVEN, getattr(program, "base", None) or program)


Drafts: TypeAlias = dict[tuple[str, Hashable], Step]
"""Rule and subject -> the step that was made, in the order in which they were; premises count in that order."""


def prove(
    program: Any,
    rule_name: str,
    subject: Hashable,
    told: Callable[[int], None] | None = None,
    drafts: Drafts | None = None,
) -> Proof:
    """Make the proof of what `rule_name` concludes about `subject`, with all its premises.

    `told` is called with the number of steps that are there, after each. `drafts` keeps the steps for further proofs
    about the same program, of which some may end in an error.
    """
    given = Rule.registry[GIVEN]
    drafts = {} if drafts is None else drafts
    drafts.setdefault((GIVEN, GIVEN), Step(GIVEN, _definition(program, GIVEN), given.source, given.status))
    places = {key: index for index, key in enumerate(drafts)}
    root = _root(program)

    def ask(name: str, about: Hashable) -> Claim:
        key = (name, about)
        if key not in drafts:
            premises: list[int] = []

            def premise(inner: str, inner_subject: Hashable) -> Claim:
                claim = ask(inner, inner_subject)
                index = places[inner, inner_subject]
                if index not in premises:
                    premises.append(index)
                return claim

            known = Rule.registry[name]
            claim = known(about, Ask(premise, root))
            assert claim.subject == about, f"{name} concluded about {claim.subject}, asked {about}"
            drafts[key] = Step(name, claim, known.source, known.status, tuple(premises))
            places[key] = len(places)
            if told is not None:
                told(len(places))
        return drafts[key].claim

    goal = ask(rule_name, subject)
    return Proof(program, goal, _sorted(tuple(drafts.values()), places[rule_name, subject]))


def _sorted(steps: tuple[Step, ...], last: int) -> tuple[Step, ...]:
    """The steps that one of them rests on, and itself, in canonical order."""
    used, todo = {last}, [last]
    while todo:
        new = set(steps[todo.pop()].premises) - used
        used |= new
        todo += new
    order = [i for i in _canonical(steps) if i in used]
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


def _key(step: Step) -> tuple[int, _Text]:
    known = Rule.registry.get(step.rule)
    return (known.rank if known else -1, _Text(step.claim))


class _Text:
    """The text of a claim, for comparisons: printed where the ranks of two agree, of equations the left side first."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    @cached_property
    def begin(self) -> str:
        """What is compared first: the whole text, or that of an equation up to its right side."""
        claim = self.claim
        return f"Equation(left={_text(claim.left)}, right=" if type(claim) is Equation else _text(claim)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and self.begin == other.begin and _text(self.claim) == _text(other.claim)

    def __lt__(self, other: _Text) -> bool:
        if self.begin != other.begin:
            return self.begin < other.begin
        return _text(self.claim) < _text(other.claim)


@lru_cache(maxsize=16384)
def _text(part: Claim | sp.Expr) -> str:
    return repr(part)
