"""Steps about scale factors of one node in Coq: (22) in its true forms, rises and peaks, counter-examples.

The slack of a true bound is written as a product and sum of terms that are not negative; `field` says that it is the
slack, and each sign is a hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.certificate.lemmas import Context, Lemma, exports
from wideproof.derive.certificate.terms import WHOLE, natural
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import T, j
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.linear.scale_factor_bounds import ClosedScaleFactors, closed_of
from wideproof.derive.proof.claims import Counterexample, Inequality
from wideproof.derive.proof.proof import Step


@dataclass(frozen=True)
class OneNode:
    """rho_j = c_0 l^j + c_1 DD(j; l, l), in Coq's words, and the lemma that says so."""

    lemma: str
    l: str  # noqa: E741 (the paper's letter)
    weights: tuple[str, ...]

    @property
    def c1(self) -> str:
        """The weight that grows with the lag, 0 where there is none."""
        return self.weights[1] if len(self.weights) > 1 else "0"

    def over(self, power: str = "j") -> str:
        """The power that all terms share: l^j, divided by l where a weight grows with the lag."""
        return f"{self.l} ^ {power} / {self.l}" if len(self.weights) > 1 else f"{self.l} ^ {power}"

    def signs(self) -> str:
        """Assertions that the node and the weights are not negative."""
        terms = (self.l, *self.weights)
        return " ".join(f"assert (sign{i} : 0 <= {x}) by nonneg." for i, x in enumerate(terms))

    def divided(self) -> str:
        """A script that writes the divided difference as j l^j / l, for 0 < l."""
        if len(self.weights) == 1:
            return ""
        power = f"PowerDD [{self.l}; {self.l}] j"
        return (
            f"assert (divided : {power} = INR j * {self.l} ^ j / {self.l}).\n  "
            f"{{ apply (Rmult_eq_reg_l {self.l}); [rewrite PowerDD_twice; field; lra | lra]. }}\n  rewrite divided."
        )


def one_node(context: Context, step: Step) -> OneNode:
    """The scale factors that a step reads."""
    claim: Any = context.premise(step, "scale-factors")
    closed: ClosedScaleFactors = closed_of(claim.right, f"step by {step.rule}")
    weights = tuple(context.writer.real(c) for c in closed.weights)
    return OneNode(context.lemma("scale-factors", Rho(j)), context.writer.real(closed.node), weights)


def domain(context: Context, claim: Inequality) -> tuple[list[str], str]:
    """The premises of an inequality, and a script that introduces them."""
    texts, names = [], []
    for index, relation in enumerate(claim.domain):
        if relation == sp.true:
            continue
        left, right = relation.args
        if relation.free_symbols <= set(WHOLE):
            texts.append(f"({natural(left)} <= {natural(right)})%nat")
        else:
            sign = {">": ">", "<": "<", "<=": "<=", ">=": ">="}[relation.rel_op]
            texts.append(f"{context.writer.real(left)} {sign} {context.writer.real(right)}")
        names.append(f"D{index}")
    return texts, " ".join(names)


def _bound(context: Context, step: Step, claim: Inequality, slack: str, before: str = "") -> Lemma:
    """rho_j <= right: the difference is the common power times a slack that is not negative."""
    form = one_node(context, step)
    premises, names = domain(context, claim)
    has_horizon = claim.right.has(T) or any(x.has(T) for x in claim.domain)
    right = context.writer.real(claim.right)
    horizon = (
        "assert (room : 0 <= INR T - 1 - INR j) by (apply le_INR in D{}; rewrite S_INR in D{}; lra). "
        "assert (room1 : 0 <= INR T - INR j) by lra."
    ).replace("{}", names.split()[-1].removeprefix("D"))
    name = context.name(step.rule)
    context.written[step.rule, claim.left] = name
    return Lemma(
        name,
        f"forall j {'T ' if has_horizon else ''}: nat, {' -> '.join((*premises, ''))}rho j <= {right}",
        f"intros j {'T ' if has_horizon else ''}{names}. rewrite {form.lemma}. {form.signs()}\n  "
        f"{horizon if has_horizon and 'T' in ' '.join(premises) else ''} {before}\n  "
        f"apply Rminus_le_0_compat.\n  {slack}",
    )


@exports("bound-sharp")
def bound_sharp(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """binom(j, k) <= binom(T - 1, k)."""
    form = one_node(context, step)
    yield _bound(context, step, claim, _product(context, step, form, f"{form.c1} * (INR T - 1 - INR j)"))


@exports("bound-paper")
def bound_paper(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """The lowest power of the node times rho_max."""
    form = one_node(context, step)
    first = f"{form.weights[0]} * (1 - {form.l})" if len(form.weights) > 1 else "0"
    below = f"assert (below : 0 <= 1 - {form.l}) by lra."
    yield _bound(context, step, claim, _product(context, step, form, f"{first} + {form.c1} * (INR T - INR j)"), below)


@exports("bound-t-free")
def bound_t_free(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """Every weight is at most the largest, every power of the node at most the lowest."""
    form = one_node(context, step)
    closed = closed_of(context.premise(step, "scale-factors").right, step.rule)
    largest = context.writer.real(sp.Max(*closed.weights))
    if len(form.weights) == 1:
        yield _bound(context, step, claim, _product(context, step, form, "0"))
        return
    facts = (
        f"assert (largest0 : 0 <= {largest} - {form.weights[0]}) by ({_largest()}).\n  "
        f"assert (largest1 : 0 <= {largest} - {form.c1}) by ({_largest()}).\n  "
        f"assert (below : 0 <= {form.weights[0]} * (1 - {form.l})) by (apply Rmult_le_pos; lra)."
    )
    slack = f"({largest} - {form.weights[0]}) + {form.weights[0]} * (1 - {form.l}) + INR j * ({largest} - {form.c1})"
    yield _bound(context, step, claim, _product(context, step, form, slack), facts)


def _largest() -> str:
    return "unfold Rmax; repeat destruct Rle_dec; lra"


def _product(context: Context, step: Step, form: OneNode, slack: str) -> str:
    """The script that the slack of a bound is a power times `slack`."""
    return (
        f"{form.divided()}\n  match goal with |- 0 <= ?gap => replace gap with ({form.over()} * ({slack})) "
        f"by (field; lra) end.\n  "
        f"apply Rmult_le_pos; [{_positive_power(form)} | nonneg]."
    )


def _positive_power(form: OneNode) -> str:
    if len(form.weights) == 1:
        return "now apply pow_le"
    return "apply Rmult_le_pos; [now apply pow_le | apply Rlt_le, Rinv_0_lt_compat; lra]"


@exports("bound-uniform")
def bound_uniform(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """Powers of the node are at most 1."""
    form = one_node(context, step)
    power = f"PowerDD [{form.l}; {form.l}] j"
    facts = (
        f"pose proof (pow_at_most_1 {form.l} j ltac:(lra)) as power. assert (power1 : 0 <= 1 - {form.l} ^ j) by lra."
    )
    slack = f"{form.weights[0]} * (1 - {form.l} ^ j)"
    if len(form.weights) > 1:
        facts += (
            f"\n  pose proof (PowerDD_at_most_lag {form.l} j ltac:(lra)) as grown. "
            f"assert (grown1 : 0 <= INR T - {power}) by lra."
        )
        slack += f" + {form.c1} * (INR T - {power})"
    script = f"match goal with |- 0 <= ?gap => replace gap with ({slack}) by ring end. nonneg."
    yield _bound(context, step, claim, script, facts)


# ---- where rho_j rises ----------------------------------------------------------------------------------
@exports("rise")
def rise(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The difference of the closed form at two neighbouring lags, where the node is positive."""
    form = one_node(context, step)
    name = context.name("rise")
    yield Lemma(
        name,
        f"0 < {form.l} -> forall j : nat, {context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros positive j. rewrite !{form.lemma}. rewrite ?PowerDD_step, ?PowerDD_one.\n  {form.divided()}\n  "
        "simpl pow. field. lra.",
    )
    context.written["rise", claim.left] = name


@exports("first-rise")
def first_rise(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The difference at the lag 0."""
    form = one_node(context, step)
    yield Lemma(
        context.name("first-rise"),
        f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"rewrite !{form.lemma}. simpl. ring.",
    )


@exports("peak")
def peak(context: Context, step: Step, claim: Inequality) -> Iterator[Lemma]:
    """The first lag not below the zero of the affine factor holds the largest scale factor."""
    form = one_node(context, step)
    top = claim.right.args[0]
    if not isinstance(top, sp.Max) or top.args[0] != 0 or not isinstance(top.args[1], sp.ceiling):
        raise NotCertified("peak", "max(0, ceiling(zero))", top, "The peak has another form.")
    zero = context.writer.real(top.args[1].args[0])
    premises, names = domain(context, claim)
    rises = context.lemma("rise", context.premise(step, "rise").left)
    yield Lemma(
        context.name("peak"),
        f"forall j P : nat, {' -> '.join((*premises, ''))}"
        f"{zero} <= INR P -> (P = O \\/ INR P - 1 < {zero}) -> rho j <= rho P",
        f"intros j P {names} above first.\n  "
        "assert (step_at : forall i, rho (S i) - rho i = "
        f"{form.over('i')} * ((1 - {form.l}) * {form.c1} * ({zero} - INR i))).\n"
        f"  {{ intros i. pose proof ({rises} ltac:(lra) i) as known.\n    "
        "match type of known with _ = ?found => transitivity found; [lra | field; nonzero] end. }\n  "
        f"assert (factor : forall i, 0 <= {form.over('i')} * ((1 - {form.l}) * {form.c1})).\n  "
        "{ intros i. apply Rmult_le_pos.\n    "
        "- apply Rmult_le_pos; [apply pow_le; lra | apply Rlt_le, Rinv_0_lt_compat; lra].\n    "
        "- apply Rmult_le_pos; lra. }\n  "
        "apply (unimodal rho P); intros i order; pose proof (step_at i) as at_i; pose proof (factor i) as sign.\n  "
        f"- assert (less : 0 <= {zero} - INR i).\n    "
        "{ destruct first as [->|first]; [lia|]. apply le_INR in order. rewrite S_INR in order. lra. }\n    "
        "pose proof (Rmult_le_pos _ _ sign less). lra.\n  "
        f"- assert (more : 0 <= INR i - {zero}) by (apply le_INR in order; lra).\n    "
        "pose proof (Rmult_le_pos _ _ sign more). lra.",
    )


# ---- false bounds --------------------------------------------------------------------------------------
@exports("refuted-power", "refuted-power-largest", "refuted-shifted-largest")
def refuted(context: Context, step: Step, claim: Counterexample) -> Iterator[Lemma]:
    """At exact rational variances rho_j exceeds what was believed to bound it."""
    form = one_node(context, step)
    values = {x: value for x, value in claim.point if x not in (j, T)}
    lags = {x: value for x, value in claim.point if x in (j, T)}
    premises = [f"{context.writer.real(x)} = {context.writer.real(value)}" for x, value in values.items()]
    names = [f"V{i}" for i in range(len(premises))]
    text = context.writer.real(claim.right.subs(lags))
    yield Lemma(
        context.name(step.rule),
        f"{' -> '.join((*premises, ''))}rho {int(lags[j])} > {text}",
        f"intros {' '.join(names)}. cbn [largest]. rewrite !{form.lemma}. cbn [PowerDD pow].\n  "
        f"rewrite {', '.join('?' + x for x in names)}. unfold Rmax. repeat destruct Rle_dec; simpl INR in *; lra.",
    )
