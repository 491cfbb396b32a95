"""Steps lag by lag in Coq: the diagonal, closed forms by induction, weights, and recurrences of coupled lags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import LinearRecurrence, PowerDD
from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import RELATIONS
from wideproof.derive.certificate.exporters.moment_lemmas import covariance_at, ordered_covariances, same_labels
from wideproof.derive.certificate.exporters.zero_lemmas import is_start, start_case, zeros_equal
from wideproof.derive.certificate.lemmas import Context, Lemma, binder, exports, pair_name, taken_apart
from wideproof.derive.certificate.terms import SEQUENCES, natural
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import j, k, p, q
from wideproof.derive.proof.claims import Equation, Recurrence, Vanishing
from wideproof.derive.proof.proof import Step


@exports("diagonal")
def diagonal(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A moment at equal lags, zero moments left out."""
    yield diagonal_lemma(context, claim, ordered_covariances(context, step))


def diagonal_lemma(context: Context, claim: Any, covariances: list[Any]) -> Lemma:
    """The lemma that a moment at equal lags is this, by covariance equations, those that others read last."""
    _, _, first, _, a, b = claim.left.args
    time = natural(first)
    name = context.name(
        "diagonal", *pair_name(context, claim.left), "start" if first == 0 else "step", *same_labels(a, b)
    )
    rewriting = [covariance_at(context, c, time, time, a, b) for c in covariances]
    zeros = zeros_equal(context, a, b, (time, "j") if first != 0 else (time,))
    impulses, premise = context.impulses(a, b)
    lag = "" if first == 0 else "forall j : nat, "
    context.written["diagonal", claim.left] = name
    context.diagonals[claim.left] = claim.right
    return Lemma(
        name,
        f"forall {impulses} : nat, {premise}{lag}"
        f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros {impulses}{' H' if premise else ''}{' j' if lag else ''}. {' '.join(rewriting)} {zeros} "
        f"cbn [before]. {zeros} expand. deltas. ring.",
    )


def recurrence_of(context: Context, step: Step) -> tuple[LinearRecurrence, list[Any]]:
    """What the diagonal steps below a step say together, and their pairs in the order of their names."""
    steps: dict[Any, Any] = {}
    base: dict[Any, Any] = {}
    for claim in context.premises(step, "diagonal"):
        assert isinstance(claim, Equation)
        pair, first = claim.left.args[:2], claim.left.args[2]
        if first == 0:
            base[pair] = claim.right
        else:
            steps[pair] = {
                x.args[:2]: sp.expand(claim.right).coeff(x) for x in sorted(claim.right.atoms(Moment), key=str)
            }
    return LinearRecurrence(steps, base), sorted(steps, key=str)


@exports("induction")
def induction(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The closed form of a moment, together with those it reads, by induction on the lag."""
    a, b = claim.left.args[4:]
    solved, pairs = recurrence_of(context, step)
    own = claim.left.args[:2]
    closed = {pair: claim.right if pair == own else solved.solve(pair) for pair in pairs}
    if own not in closed or any(x is None for x in closed.values()):
        raise NotCertified(
            "step by induction", "a triangular recurrence", claim.left, "Its closed form is not covered."
        )
    impulses, premise = context.impulses(a, b)
    writer = context.writer
    goals = " /\\ ".join(f"{writer.real(Moment(*pair, j, j, a, b))} = {writer.real(closed[pair])}" for pair in pairs)
    given = context.given(a, b)
    starts = [f"?({context.lemma('diagonal', Moment(*pair, sp.S.Zero, sp.S.Zero, a, b))} {given})" for pair in pairs]
    nexts = [f"?({context.lemma('diagonal', Moment(*pair, j + 1, j + 1, a, b))} {given} j)" for pair in pairs]
    hypotheses = [f"IH{i}" for i in range(len(pairs))]
    stepping = [
        x for i, pair in enumerate(pairs) for x in _steppings(context, closed[pair], solved.step[pair].get(pair, 0))
    ]
    script = [
        f"intros {impulses}{' H' if premise else ''}.",
        f"assert (all : forall j : nat, {goals}).",
        "{ induction j as [|j IH].",
        f"  - rewrite {', '.join(starts)}.",
        "    repeat split; rewrite ?PowerDD_start, ?PowerDD_one; deltas; simpl pow; ring.",
        f"  - {taken_apart('IH', hypotheses)}",
        f"    rewrite {', '.join(nexts)}, {', '.join('?' + x for x in hypotheses)}.",
        *(f"    {x}" for x in dict.fromkeys(stepping)),
        "    rewrite ?PowerDD_one. deltas. simpl pow. repeat split; ring. }",
        "intros j. pose proof (all j) as all_j. tauto.",
    ]
    name = context.name("induction", *pair_name(context, claim.left), *same_labels(a, b))
    yield Lemma(
        name,
        f"forall {impulses} : nat, {premise}forall j : nat, {writer.real(claim.left)} = {writer.real(claim.right)}",
        "\n  ".join(script),
    )
    context.written["induction", claim.left] = name


def _steppings(context: Context, closed: sp.Expr, node: Any) -> Iterator[str]:
    """PowerDD one lag later, by taking out the node of the moment itself."""
    for power in sorted(closed.atoms(PowerDD), key=str):
        nodes = list(power.args[1:])
        if len(nodes) == 1:
            continue  # PowerDD_one
        if node not in nodes:
            raise NotCertified("step by induction", f"the node {node} among the nodes", power, "It is another form.")
        at = nodes.index(node)
        texts = [context.writer.real(x) for x in nodes]
        others = texts[:at] + texts[at + 1 :]
        taken = "; ".join((texts[at], *others))
        if at:
            yield (
                f"rewrite ?(PowerDD_take [{'; '.join(texts[:at])}] {texts[at]} [{'; '.join(texts[at + 1 :])}] (S j) : "
                f"PowerDD [{'; '.join(texts)}] (S j) = PowerDD [{taken}] (S j))."
            )
        yield f"rewrite ?(PowerDD_step {texts[at]} {others[0]} [{'; '.join(others[1:])}] j)."
        if at:
            yield (
                f"rewrite <- ?(PowerDD_take [{'; '.join(texts[:at])}] {texts[at]} [{'; '.join(texts[at + 1 :])}] j : "
                f"PowerDD [{'; '.join(texts)}] j = PowerDD [{taken}] j)."
            )


# ---- one lag ----------------------------------------------------------------------------------------
@exports("weight")
def weight(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The output covariance of one row at equal lags, by the closed forms."""
    (y, *_, a, b) = claim.left.args
    impulses, premise = context.impulses(a, b)
    name = context.name("weight", context.writer.output(y), *same_labels(a, b))
    yield Lemma(
        name,
        f"forall {impulses} : nat, {premise}forall (r j : nat), "
        f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros {impulses}{' H' if premise else ''} r j. {row_at_lag(context, step, a, b)} ring.",
    )
    context.written["weight", claim.left] = name


def row_at_lag(context: Context, step: Step, a: sp.Expr, b: sp.Expr) -> str:
    """The readout at equal lags and rows, zeros and closed forms put in."""
    left, right = (SEQUENCES[x].removeprefix("(impulse ").removesuffix(")") for x in (a, b))
    read = context.lemma("readout", context.premise(step, "readout").left)
    script = [f"rewrite ({read} {left} {right} j j r r). rewrite delta_same.", zeros_equal(context, a, b, ("j",))]
    for closed in context.premises(step, "induction"):
        assert isinstance(closed, Equation)
        script.append(f"rewrite ?({context.lemma('induction', closed.left)} {context.given(a, b)} j).")
    return " ".join(script) + " deltas."


@exports("no-coupling")
def no_coupling(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Nothing between different rows or lags; at one row and lag, the weight."""
    y, *_, a, b = claim.left.args
    impulses, premise = context.impulses(a, b)
    left, right = (SEQUENCES[x].removeprefix("(impulse ").removesuffix(")") for x in (a, b))
    read = context.lemma("readout", context.premise(step, "readout").left)
    name = context.name("no-coupling", context.writer.output(y), *same_labels(a, b))
    known = context.lemma("weight", context.premise(step, "weight").left)
    script = [
        f"intros {impulses}{' H' if premise else ''} r r' j k.",
        "destruct (Nat.eq_dec r r') as [->|apart].",
        f"2: {{ rewrite ({read} {left} {right} j k r r'). deltas. ring. }}",
        "destruct (Nat.eq_dec j k) as [->|other].",
        f"{{ rewrite ({known} {context.given(a, b)} r' k). deltas. ring. }}",
        f"rewrite ({read} {left} {right} j k r' r'). destruct (Nat.lt_total j k) as [less|[same|more]].",
        f"- {_kept_zero(context, step, '<', a, b)}",
        "- contradiction.",
        f"- {_kept_zero(context, step, '>', a, b)}",
    ]
    yield Lemma(
        name,
        f"forall {impulses} : nat, {premise}forall r r' j k : nat, "
        f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        "\n  ".join(script),
    )
    context.written["no-coupling", claim.left] = name


def _kept_zero(context: Context, step: Step, relation: str, a: sp.Expr, b: sp.Expr) -> str:
    small, large = ("j", "k") if relation == "<" else ("k", "j")
    rewriting = []
    for claim in context.premises(step, "zero-moments"):
        assert isinstance(claim, Vanishing)
        for member in claim.members:
            if member[2] == relation and member[3] == (a, b):
                arguments = "p (S p) ltac:(lia)" if a == b and context.apart else context.given(a, b)
                rewriting.append(f"rewrite ?({context.written['zero', member]} {arguments} {small} gap).")
    return (
        f"assert (exists gap, {large} = S ({small} + gap)) as [gap ->] by (exists ({large} - S {small})%nat; lia). "
        f"{' '.join(rewriting)} deltas. ring."
    )


# ---- lags that couple --------------------------------------------------------------------------------
@exports("lag-recurrence")
def lag_recurrence(context: Context, step: Step, claim: Recurrence) -> Iterator[Lemma]:
    """The output covariance of one row and the recurrence that determines it, over one lag or over two."""
    subject: Any = claim.left
    first, second, a, b = subject.args[3:]
    impulses, premise = context.impulses(a, b)
    introduced = f"intros {impulses}{' H' if premise else ''}"
    if first == second:
        scripts = [f"{introduced} r j. {row_at_lag(context, step, a, b)} ring."]
        scripts += [f"exact {context.lemma('diagonal', equation.left)}." for equation in claim.equations]
    else:
        zeros = yield from _zero_everywhere(context, step, a, b)
        left, right = (SEQUENCES[x].removeprefix("(impulse ").removesuffix(")") for x in (a, b))
        use = " ".join(f"rewrite ?{name}{' by assumption' if premise else ''};" for name in zeros)
        read = context.lemma("readout", context.premise(step, "readout").left)
        scripts = [f"{introduced} r j k. rewrite ({read} {left} {right} j k r r), delta_same; {use} ring."]
        for equation in claim.equations:
            if is_start(equation.left):
                scripts.append(start_case(context, equation.left))
                continue
            at_pq = Moment(*equation.left.args[:4], p, q)
            name = context.lemma("covariance", at_pq)
            scripts.append(
                f"{introduced} j k. rewrite ({name} {left} {right} j k); first [ring | "
                f"destruct j as [|j], k as [|k]; cbn [before]; expand; {use} deltas; ring]."
            )
    parts = [
        f"(forall {impulses} : nat, {premise}forall r {'j' if first == second else 'j k'} : nat, "
        f"{context.writer.real(subject)} = {context.writer.real(claim.right)})"
    ]
    for equation in claim.equations:
        times = equation.left.args[2:4]
        parts.append(
            f"({binder(context, equation.left, times)}"
            f"{context.writer.real(equation.left)} = {context.writer.real(equation.right)})"
        )
    name = context.name("lag-recurrence", context.writer.output(subject.args[0]))
    yield Lemma(name, " /\\\n  ".join(parts), _each(scripts))
    context.written["lag-recurrence", subject] = name


def _each(scripts: list[str]) -> str:
    """One script for each part of a conjunction."""
    if len(scripts) == 1:
        return scripts[0]
    return "repeat apply conj.\n  " + "\n  ".join(f"- {script}" for script in scripts)


def _zero_everywhere(context: Context, step: Step, a: sp.Expr, b: sp.Expr) -> Any:
    """Lemmas that some pairs vanish at all lags; returns their names."""
    members = [x for claim in context.premises(step, "zero-moments") for x in claim.members]  # type: ignore[union-attr]
    names = []
    for pair in sorted({x[:2] for x in members}, key=str):
        own = {x[2]: context.written["zero", x] for x in members if x[:2] == pair and x[3] == (a, b)}
        if set(own) != set(RELATIONS):
            continue
        impulses, premise = context.impulses(a, b)
        given = "p (S p) ltac:(lia)" if a == b and context.apart else context.given(a, b)
        moment = Moment(*pair, j, k, a, b)
        name = context.name("zero", *pair_name(context, moment), "at_all_lags", *same_labels(a, b))
        yield Lemma(
            name,
            f"forall {impulses} : nat, {premise}forall j k : nat, {context.writer.real(moment)} = 0",
            f"intros {impulses}{' H' if premise else ''} j k. destruct (Nat.lt_total j k) as [less|[->|more]].\n  "
            f"- replace k with (S (j + (k - S j))) by lia. apply ({own['<']} {given}).\n  "
            f"- apply ({own['=']} {given}).\n  "
            f"- replace j with (S (k + (j - S k))) by lia. apply ({own['>']} {given}).",
        )
        names.append(name)
    return names
