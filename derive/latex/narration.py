"""A machine-made proof as mathematics: steps of one rule become one sentence and one numbered display.

Reports set what is said here as blocks, and `Proof.latex` as LaTeX to be pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import Response
from wideproof.derive.language.laws import own_part, parameter_law, state_start
from wideproof.derive.language.notation import s as r, t
from wideproof.derive.language.program import Program
from wideproof.derive.latex.displays import CONTINUED, averages, display, equation_parts, width
from wideproof.derive.latex.printer import Printer, Term, latex, math
from wideproof.derive.latex.text import Cite, Emph, Inline, Latex, Math, Ref, Text, escape, inlines, marked
from wideproof.derive.proof.claims import (
    Claim,
    Counterexample,
    Definition,
    Equation as EquationClaim,
    Hypothesis,
    Inequality,
    Limit,
    MatrixEquation,
    ProcessForm,
    Recurrence,
    Vanishing,
)
from wideproof.derive.proof.proof import Proof, Step
from wideproof.derive.proof.rules import GIVEN, Rule

CITED = re.compile(r"[a-z]+\d{4}[a-z]+\d?")
INLINE = 24  # letters of a moment beyond which it stands in a display


@dataclass(frozen=True)
class Said:
    """Running text."""

    text: Text


@dataclass(frozen=True)
class Shown:
    """A displayed formula; one with a label is numbered."""

    body: Latex
    label: str | None = None


Passage = Said | Shown
AVERAGED = Said(marked(r"where $\mathbb{E}_v$ is the mean over $u \sim N(0, v)$."))
STATUSES = {"assumed": "by definition", "cited": "cited", "numeric": "numeric", "proved": "proved"}
COLLECTED = ("correction-terms", "line-evolution")
"""Rules that only list what was shown."""
Told = dict[Claim, str]
"""Claims that an earlier proof of the document has told, each with the label of its display ("" for a sentence)."""


Stated = dict[tuple[Term, Term], str]
"""Equations that the document has displayed, each with its label: of the model, of theorems, and of proofs."""


def narrated(proved: Proof, name: str, told: Told | None = None, stated: Stated | None = None) -> list[Passage]:
    """The steps of a proof, in order, as sentences with displays; equations are labelled `name`-1, `name`-2, ...

    Steps whose claims were `told` before are left out and referred to; what this proof tells is added to `told`. A
    step refers to the equations `stated` that it repeats, and displays the others, which are then stated, too.
    """
    return _Narrator(proved, name, {} if told is None else told, {} if stated is None else stated).passages()


class _Narrator:
    """One pass over the steps; knows which display states which step."""

    def __init__(self, proved: Proof, name: str, told: Told, stated: Stated) -> None:
        self.stated = stated
        self.proof_, self.name, self.program, self.told = proved, name, proved.program, told
        known = {i: told[step.claim] for i, step in enumerate(proved.steps) if step.claim in told}
        self.known, self.count, self.averaged = set(known), 0, False
        self.label = {i: label for i, label in known.items() if label}
        self.repeated: set[tuple[str, ...]] = set()

    def passages(self) -> list[Passage]:
        """All groups of consecutive steps by one rule."""
        blocks: list[Passage] = []
        shared = [i for i in self.known if not isinstance(self.proof_.steps[i].claim, Definition)]
        if shared:
            blocks.append(Said(_shared(len(shared), whole=len(self.known) == len(self.proof_.steps))))
        indexed = [(i, step) for i, step in enumerate(self.proof_.steps) if i not in self.known]
        self.told |= {step.claim: self.told.get(step.claim, "") for step in self.proof_.steps}
        for rule, group in groupby(indexed, key=lambda item: item[1].rule):
            blocks += self._group(rule, list(group))
        return blocks

    def _group(self, rule: str, group: Sequence[tuple[int, Step]]) -> list[Passage]:
        special: dict[type, Callable[[Step], list[Passage]]] = {
            Definition: self._definition,
            Hypothesis: self._hypothesis,
            Vanishing: self._vanishing,
        }
        claim = group[0][1].claim
        if type(claim) in special:
            return [block for _, step in group for block in special[type(claim)](step)]
        if isinstance(claim, Inequality | Counterexample):
            return [block for item in group for block in self._bound(rule, *item)]
        premises = [i for _, step in group for i in step.premises]
        if rule in COLLECTED:
            return [Said((*self._lead(rule, ()), "."))]
        pairs = [pair for _, step in group for pair in pairs_of(step)]
        new = [pair for pair in pairs if pair not in self.stated]
        places = list(dict.fromkeys(self.stated[pair] for pair in pairs if pair in self.stated))
        if not new and pairs:
            words = self._lead(rule, self._because(premises, places))
            self.label |= dict.fromkeys([index for index, _ in group], places[-1])
            if (rule, *places) in self.repeated:
                return []  # the next line of an induction, of which this was said
            self.repeated.add((rule, *places))
            whole = all(pair in pairs for pair, label in self.stated.items() if label in places)
            return [Said((*words, " " if whole else " what stands in ", *_listed(places), "."))]
        lead = Said(self._lead(rule, self._because(premises)))
        label = self._label([index for index, _ in group])
        self.stated |= dict.fromkeys(new, label)
        shown = self._once(displays(new, self.program, label))
        return [lead, *shown, *([Said(("and what stands in ", *_listed(places), "."))] if places else [])]

    def _once(self, blocks: list[Passage]) -> list[Passage]:
        """The blocks without a word on notation that was said before."""
        new = [block for block in blocks if block != AVERAGED or not self.averaged]
        self.averaged |= AVERAGED in blocks
        return new

    def _label(self, indices: Sequence[int]) -> str:
        """The label of a new display, which states these steps."""
        self.count += 1
        label = f"eq:{self.name}-{self.count}"
        self.label |= dict.fromkeys(indices, label)
        self.told |= {self.proof_.steps[i].claim: label for i in indices}
        return label

    def _lead(self, rule: str, because: tuple[Inline, ...]) -> tuple[Inline, ...]:
        """The sentence of a rule; one that is not ours is named."""
        known = Rule.registry.get(rule)
        lead = (known.says if known else "") or f"the rule {rule} gives"
        if known and known.of_outputs and not any(step.rule == "tangent" for step in self.proof_.steps):
            lead = known.of_outputs
        return (*because, *marked(lead if because else lead[0].upper() + lead[1:]))

    def _bound(self, rule: str, index: int, step: Step) -> list[Passage]:
        """An inequality with its domain, or the exact point at which a believed one fails."""
        claim = step.claim
        assert isinstance(claim, Inequality | Counterexample)
        true = isinstance(claim, Inequality)
        facts = claim.domain if isinstance(claim, Inequality) else [sp.Eq(*at, evaluate=False) for at in claim.point]
        words: list[Inline] = ["wherever " if true else "at "]
        for fact in facts:
            words += [", " if len(words) > 1 else "", math(fact, self.program)]
        lead = self._lead(rule, self._because(step.premises))
        body = display(claim.left, claim.right, relation=r"\leq" if true else ">", program=self.program)
        return [Said(lead), Shown(body, self._label([index])), Said((*words, "."))]

    def _because(self, premises: Sequence[int], besides: Sequence[str] = ()) -> tuple[Inline, ...]:
        """By the displays that the premises stand in, but for some; the latest two suffice, they rest on the others."""
        labels = list(dict.fromkeys(self.label[i] for i in sorted(premises) if i in self.label))
        labels = [label for label in labels if label not in besides][-2:]
        return ("By ", *_listed(labels), ", ") if labels else ()

    def _definition(self, step: Step) -> list[Passage]:
        """The laws of what is drawn, in words; the updates follow as equations."""
        assert isinstance(step.claim, Definition)
        program, given = step.claim.program, step.claim.name == GIVEN
        if not program.updates:
            return []  # the lines of an alternating program are the theorem's
        parameters, states = own_part(program)
        whose = "All entries of the parameters are" if given else "Perturb the entries by"
        words: list[Inline] = [f"{whose} independent Gaussian{'s: ' if given else ' ones: '}"]
        alike: dict[str, list[Inline]] = {}
        for p in parameters:
            law = parameter_law(p, lambda x: f"${latex(x)}$")
            alike.setdefault(law, []).append(Math(Latex(Printer().parameter(p.name))))
        for i, (law, names) in enumerate(alike.items()):
            words += ["; " if i else "", *_joined(names), *marked(f" of {law}")]
        for state in states:
            start = state_start(state, lambda x: f"${latex(x)}$")
            words += ["; ", math(sp.Symbol(state.name)), *marked(f" starts at {start}")]
        return [Said((*words, "."))]

    def _hypothesis(self, step: Step) -> list[Passage]:
        assert isinstance(step.claim, Hypothesis)
        kinds = sorted({kind for _, _, kind in step.claim.maps})
        if step.rule == "lemma-c1":
            text: Text = (
                f"Every map here is {' or '.join(kinds)}{'' if kinds == ['Lipschitz'] else ', hence Lipschitz'}, so ",
                Cite("emami2021implicit", "Lemma C.1"),
                " applies: as the width grows, the coordinates of all products and states converge to a "
                "Gaussian process whose covariances follow below.",
            )
        elif step.rule == "master-theorem":
            covers: tuple[Inline, ...] = (Cite("bayati2011dynamics", "Theorem 1"),)
            if "polynomially bounded" in kinds:
                covers = ("the master theorem of ", Cite("yang2020tensor2"))
            text = (
                f"Every map of the lines is {' or '.join(kinds)}, so ", *covers, " applies: as the matrix grows at a "
                "fixed aspect ratio, means over entries converge to expectations, and what is known of a vector by its "
                "means may be put into the law at finite width that follows.",
            )  # fmt: skip
        else:
            why = " (the tangent of a non-linear map is not Lipschitz)" * (self.program.base is not None)
            text = (
                f"Some map here is not Lipschitz, only polynomially bounded{why}, "
                "beyond Lemma C.1; the master theorem of ",
                Cite("yang2020tensor2"),
                " covers it: coordinates converge to a process whose covariances follow below.",
            )
        return [Said(text)]

    def _vanishing(self, step: Step) -> list[Passage]:
        assert isinstance(step.claim, Vanishing)
        because = self._because(step.premises)
        pairs = list(dict.fromkeys((u, v) for u, v, *_ in step.claim.members))
        if not pairs:
            return []
        lags = step.claim.members[0][2] != "any"
        names: list[Inline] = []
        for pair in pairs:
            names += [", " if names else "", self._moment(*pair, step.claim.about)]
        if step.rule == "independence":
            at = self._times(step.claim.about)
            zeros = [(Moment(*pair, *at), sp.S.Zero) for pair in pairs]
            return [Said(self._lead(step.rule, because)), *displays(zeros, self.program)]
        relations = {(u, v): {r for a, b, r, _ in step.claim.members if (a, b) == (u, v)} for u, v in pairs}
        unequal = all({"<", ">"} == found for found in relations.values())
        tail = (
            ("between different lags" if unequal else "wherever the recursion can reach them")
            if lags
            else "at all times"
        )
        zeros = [(Moment(*pair, *self._times(step.claim.about)), sp.S.Zero) for pair in pairs]
        if any(width(latex(moment, self.program)) > INLINE for moment, _ in zeros):
            start = (
                "written out once, each of the following moments is a combination of earlier ones of the same list. By "
                f"induction on the number of steps that both have made they vanish {tail}:"
            )
            lead = (*because, start if because else start[0].upper() + start[1:])
            return [Said(lead), *displays(zeros, self.program)]
        return [
            Said(
                (
                    *because,
                    "written out once, each of the moments " if because else "Written out once, each of the moments ",
                    *names,
                    " is a combination of earlier ones of the same list. By induction on the number of steps "
                    f"that both have made they vanish {tail}.",
                )
            )
        ]

    def _moment(self, u: sp.Expr, v: sp.Expr, about: sp.Expr) -> Math:
        """E[u v] at the two times that the zero set is about."""
        return math(Moment(u, v, *self._times(about)), self.program)

    def _times(self, about: sp.Expr) -> tuple[sp.Expr, ...]:
        """The two times and the two sequences that a zero set is about."""
        return tuple(about.args[3:]) if isinstance(about, Response) else (t, r, FIRST, SECOND)


def displays(pairs: Sequence[tuple[Term, Term]], program: Program | None = None, label: str = "") -> list[Passage]:
    """Equations as one display, or as several joined by a word; the first has the label."""
    first, *rest = equation_parts(pairs, program)
    note = [AVERAGED] if averages(pairs) else []
    more: list[Passage] = []
    for part in rest:
        more += [Shown(part)] if part.startswith(CONTINUED) else [Said("and"), Shown(part)]
    return [Shown(first, label or None), *more, *note]


def _shared(count: int, whole: bool) -> str:
    """How much of a proof stands in another."""
    if whole:
        return "All of its steps are those of a proof above."
    many = f"Of its steps {count} are those" if count > 1 else "One of its steps is that"
    return f"{many} of a proof above; the others follow."


def _listed(labels: Sequence[str]) -> tuple[Inline, ...]:
    """References in a sentence: (1), (2) and (3)."""
    return _joined([Ref(label) for label in labels])


def _joined(found: Sequence[Inline]) -> tuple[Inline, ...]:
    """Several of a kind in a sentence: a, b and c."""
    parts: list[Inline] = []
    for k, one in enumerate(found):
        parts += [("", " and ")[k == len(found) - 1] or ", " if k else "", one]
    return tuple(part for part in parts if part != "")


def pairs_of(step: Step) -> list[tuple[sp.Expr, sp.Expr]]:
    """What a step says, as (left, right)."""
    claim = step.claim
    if isinstance(claim, Recurrence | ProcessForm):
        own = [] if isinstance(claim.right, sp.Tuple) else [(claim.left, claim.right)]
        return own + [(e.left, e.right) for e in claim.equations]
    assert isinstance(claim, EquationClaim | Limit | MatrixEquation)
    return [(claim.left, claim.right)]


def premises_line(proved: Proof, again: bool = False) -> Said:
    """How the proof was checked, and what it rests on; `again` where the text has told before how proofs are."""
    return Said((*_checked(proved, again), *_rests_on(proved)))


def _checked(proved: Proof, again: bool) -> tuple[Inline, ...]:
    """How many steps there are of each status, and what has been done to them."""
    count = {status: sum(step.status == status for step in proved.steps) for status in STATUSES}
    kinds = [f"{number} {STATUSES[status]}" for status, number in count.items() if number]
    listed = ", ".join(kinds[:-1]) + (" and " if len(kinds) > 1 else "") + kinds[-1]
    if again:
        return (f"The proof has {len(proved.steps)} steps, checked as those above: {listed}.",)
    given = any(step.rule == GIVEN for step in proved.steps)
    return (
        f"The proof has {len(proved.steps)} steps: {listed}. ",
        "The first states the recursion as it is declared; every other one was " if given else "Each was ",
        "replayed from the premises it cites and from nothing else, and its claim was evaluated exactly at random "
        "rational points by an auditor that shares no rule with the engine; the formula was read off the last step "
        "again.",
    )


def _rests_on(proved: Proof) -> tuple[Inline, ...]:
    """The theorems of the literature among the steps; their hypotheses are steps before them."""
    used = dict.fromkeys(step.source for step in proved.steps if step.status == "cited")
    sources = dict.fromkeys(part for text in used for part in text.split("; "))
    cited: list[Inline] = []
    for source in sources:
        if any(other.startswith(f"{source}, ") for other in sources):
            continue
        key, _, note = source.partition(", ")
        known: Inline = Cite(key, note) if CITED.fullmatch(key) else source
        cited += ["; " if cited else " It rests on results of the literature, cited and not proved here: ", known]
    return (*cited, ".") if cited else ()


def as_latex(proved: Proof, name: str) -> str:
    """The proof and what it rests on as LaTeX for amsmath, amssymb and amsthm, labels `eq:name-1` and on."""
    passages = [*narrated(proved, name), premises_line(proved)]
    body = "\n".join(_set(passage) for passage in passages[:-1])
    return f"\\begin{{proof}}\n{body}\n\\end{{proof}}\n{_set(passages[-1])}"


def _set(passage: Passage) -> str:
    if isinstance(passage, Said):
        return "".join(map(_inline, inlines(passage.text)))
    kind, label = ("equation", f"\\label{{{passage.label}}}") if passage.label else ("equation*", "")
    return f"\\begin{{{kind}}}{label}\n{passage.body}\n\\end{{{kind}}}"


def _inline(part: Inline) -> str:
    match part:
        case Math(body):
            return f"${body}$"
        case Ref(label):
            return rf"\eqref{{{label}}}"
        case Cite(key, note):
            return rf"\cite[{escape(note)}]{{{key}}}" if note else rf"\cite{{{key}}}"
        case Emph(text):
            return rf"\emph{{{escape(text)}}}"
        case _:
            return escape(str(part))
