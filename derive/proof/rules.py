"""Rules of inference: each a name, a source, how far it is known, its place in a proof, and the sentence it says.

A rule is a function (subject, ask) -> claim. It sees nothing but the premises it asks for; the recursion is a premise
too, the definition with which a proof begins.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar, get_type_hints

from wideproof.derive.language.errors import ProofError
from wideproof.derive.proof.claims import (
    Claim,
    Definition,
    Equation,
    Inequality,
    Limit,
    MatrixEquation,
    ProcessForm,
    Recurrence,
    Vanishing,
)

Status: TypeAlias = Literal["proved", "cited", "numeric", "assumed"]
"""How a step is known: replayed and audited; a theorem of the literature whose hypotheses are checked; a number
with a bound; the user's own definition."""
GIVEN, PERTURBATION = "given", "perturbation"
"""The rules that state the recursion: as the user wrote it, and with its tangent."""
Kind = TypeVar("Kind")
Root: TypeAlias = tuple[str, str]
"""Rule and subject of the definition that a proof works with."""


class Ask:
    """The premises of one step, asked for by rule and subject, and by kind where their parts are read."""

    def __init__(self, premise: Callable[[str, Hashable], Claim], root: Root) -> None:
        self._premise, self._root = premise, root

    def __call__(self, rule: str, subject: Hashable) -> Claim:
        """The claim of `rule` about `subject`, whatever its kind."""
        return self._premise(rule, subject)

    def _of(self, kind: type[Kind], rule: str, subject: Hashable) -> Kind:
        claim = self(rule, subject)
        if not isinstance(claim, kind):
            raise ProofError(
                f"premise by {rule}", f"a claim of the kind {kind.__name__}", type(claim).__name__, "It is another."
            )
        return claim

    def equation(self, rule: str, subject: Hashable) -> Equation:
        """An equation."""
        return self._of(Equation, rule, subject)

    def recurrence(self, rule: str, subject: Hashable) -> Recurrence:
        """A recurrence."""
        return self._of(Recurrence, rule, subject)

    def process(self, rule: str, subject: Hashable) -> ProcessForm:
        """A limiting process."""
        return self._of(ProcessForm, rule, subject)

    def limit(self, rule: str, subject: Hashable) -> Limit:
        """A limit."""
        return self._of(Limit, rule, subject)

    def vanishing(self, rule: str, subject: Hashable) -> Vanishing:
        """A set of moments that are zero."""
        return self._of(Vanishing, rule, subject)

    def inequality(self, rule: str, subject: Hashable) -> Inequality:
        """An inequality."""
        return self._of(Inequality, rule, subject)

    def matrices(self, rule: str, subject: Hashable) -> MatrixEquation:
        """An equation between matrices."""
        return self._of(MatrixEquation, rule, subject)

    @property
    def program(self) -> Any:
        """The recursion, or its tangent where the proof is about that."""
        return self._of(Definition, *self._root).program

    @property
    def given(self) -> Any:
        """The recursion as the user wrote it."""
        return self._of(Definition, GIVEN, GIVEN).program


class Apply(Protocol):
    """A rule: what it concludes about a subject from the premises it asks for."""

    def __call__(self, subject: Any, ask: Ask, /) -> Claim:
        """What the rule concludes about `subject`."""
        ...


@dataclass(frozen=True)
class Rule:
    """A named way to conclude, with its source, how far it is known, its place in a proof, and its sentence.

    `says` is the sentence before the display of a step, with formulas between dollar signs; "" where the claim tells
    itself. `of_outputs` is said instead where a proof has no tangent and is about the outputs. `about` is the class of
    the subjects, as the function declares it.
    """

    name: str
    about: Any
    apply: Apply
    source: str
    status: Status
    rank: int
    says: str
    of_outputs: str = ""
    registry: ClassVar[dict[str, Rule]] = {}

    def __call__(self, subject: Hashable, ask: Ask) -> Claim:
        """What it concludes about a subject.  Errors: ProofError for a subject of another class."""
        if self.about is not Any and not isinstance(subject, self.about):
            raise ProofError(self.name, f"a subject of the class {self.about.__name__}", subject, "It does not apply.")
        return self.apply(subject, ask)


def rule(
    name: str, source: str, rank: int, says: str, status: Status = "proved", of_outputs: str = ""
) -> Callable[[Apply], Apply]:
    """Register the decorated function as the rule `name`, about subjects of the class that its signature declares.

    Steps of lower `rank` are told first.
    """

    def register(apply: Apply) -> Apply:
        assert name not in Rule.registry, f"two rules named {name}"
        about = get_type_hints(apply).get(next(iter(signature(apply).parameters)), Any)
        Rule.registry[name] = Rule(name, about, apply, source, status, rank, says, of_outputs)
        return apply

    return register


@rule(GIVEN, source="definition", rank=0, says="", status="assumed")
def given(subject: Any, ask: Ask) -> Claim:
    """What the user wrote is compared with the user's object, by `Proof.verify`; it follows from nothing."""
    raise ProofError(GIVEN, "the recursion that the proof is about", subject, "A definition has no premises.")
