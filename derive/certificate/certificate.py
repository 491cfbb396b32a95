"""A proof as a Coq file: its hypotheses, one lemma a step, and the axioms of its goal."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wideproof.derive.certificate.exporters import (  # noqa: F401 (they register)
    adjoint,
    bound_lemmas,
    finite_width,
    kernel_lemmas,
    lag_lemmas,
    memory,
    moment_lemmas,
    realization,
    referee,
    stability,
    superposition,
    training,
    zero_lemmas,
)
from wideproof.derive.certificate.hypotheses import hypotheses
from wideproof.derive.certificate.lemmas import Context, Exporter, Lemma, Setting
from wideproof.derive.certificate.prelude import PRELUDE
from wideproof.derive.certificate.terms import Writer, comment
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.program import Program
from wideproof.derive.proof.claims import Agreement, Definition, Hypothesis, Refutation, StillBounded
from wideproof.derive.proof.proof import Proof, Step
from wideproof.derive.proof.rules import GIVEN, PERTURBATION

JUDGED = (Agreement, StillBounded, Refutation)
"""Claims about a formula that was put to the referee."""


@dataclass(frozen=True)
class Certificate:
    """A proof as text for coqc: what is assumed, the lemmas in the order of the steps, and the goal's theorem."""

    title: str
    assumed: str
    lemmas: tuple[tuple[str, Lemma], ...]
    goal: str
    proof: Proof | None = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The file."""
        parts = [
            comment(f"{self.title}: certificate of a proof by wideproof.")
            + "\n(* coqc checks every lemma; what is believed are the Variables and Hypotheses of the section,"
            "\n   named after the theorems they instantiate, and printed at the end. *)",
            PRELUDE,
            "Section Certificate.",
            self.assumed,
            "(* ---- the steps of the proof ---- *)",
            *(f"{said}\n{lemma.text()}" if said else lemma.text() for said, lemma in self.lemmas),
            f"Print Assumptions {self.goal}.",
            "End Certificate.",
        ]
        return "\n\n".join(parts) + "\n"

    @property
    def proved(self) -> tuple[str, ...]:
        """The names of the lemmas that coqc proves, those of the general part left out."""
        return tuple(lemma.name for _, lemma in self.lemmas if lemma.script)


def certify(proof: Proof) -> Certificate:
    """The certificate of a proof; nothing but its steps is read.

    Errors: NotCertified names the first step that no certificate covers, and the reason.
    """
    program, parameterization = _definition(proof)
    writer = Writer(program)
    setting = Setting.registry.get(_quantity_rule(proof), Setting(hypotheses, ()))
    assumed = setting.hypotheses(writer, parameterization)
    context = Context(writer, proof.steps)
    lemmas: list[tuple[str, Lemma]] = []
    for index, step in enumerate(proof.steps):
        made = [] if step.rule in setting.stated else list(_written(context, index, step))
        said = comment(f"Step {index}, {step.rule} [{step.source}; {step.status}]: {_claim(step)}")
        lemmas += [(said if i == 0 else "", lemma) for i, lemma in enumerate(made)]
    goal = lemmas[-1][1]
    lemmas[-1] = (lemmas[-1][0], Lemma(goal.name, goal.statement, goal.script, "Theorem"))
    return Certificate(f"{program.name}, {proof.steps[-1].rule}", assumed, tuple(lemmas), goal.name, proof)


def _quantity_rule(proof: Proof) -> str:
    """The rule whose goal states the quantity that a proof is about, where a formula was put to it too."""
    goal: Any = proof.steps[-1].claim
    rule: str = goal.question.rule if isinstance(goal, JUDGED) else proof.steps[-1].rule
    return rule


def _definition(proof: Proof) -> tuple[Program, str | None]:
    """The recursion of a proof, and the parameterization of its tangent where it has one."""
    found = {step.rule: step.claim for step in proof.steps if isinstance(step.claim, Definition)}
    if not found and _quantity_rule(proof) in Setting.registry:
        return proof.program.base or proof.program, None
    if not found:
        raise NotCertified("proof", "a recursion as its first step", proof.steps[0].rule, "Only these are covered.")
    claim = found.get(PERTURBATION) or found[GIVEN]
    return claim.program, claim.name if PERTURBATION in found else None


def _written(context: Context, index: int, step: Step) -> Iterator[Lemma]:
    """The lemmas of a step."""
    if isinstance(step.claim, Definition | Hypothesis):
        return
    exporter = Exporter.registry.get(step.rule)
    if exporter is None:
        raise NotCertified(
            f"step {index} ({step.rule})",
            "a rule that certificates cover",
            step.rule,
            "Steps of this rule are checked by Proof.verify, and not by Coq.",
        )
    try:
        yield from exporter(context, step)
    except NotCertified as error:
        raise NotCertified(
            f"step {index} ({step.rule}), {error.where}", error.expected, error.got, error.hint
        ) from None


def _claim(step: Step) -> Hashable:
    claim: Any = step.claim
    if hasattr(claim, "members"):
        return f"zero: {', '.join(map(str, claim.members)) or 'none'}"
    if isinstance(claim, JUDGED):
        return f"{claim.question.quantity}: {claim.question.formula} against {claim.derived}"
    return " ~ ".join(str(getattr(claim, side)) for side in ("left", "right") if hasattr(claim, side))
