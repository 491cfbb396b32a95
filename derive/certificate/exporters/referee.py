"""What the referee says, in Coq: both sides of a refuted formula at its point, and a formula that is the derived one.

Covered are quantities that a goal states as an equation of numbers. Values are computed in the file, from the lemma of
the goal; each power by the lag is a letter of its own, and a divided difference at two equal nodes is a quotient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.certificate.lemmas import Context, Lemma, exports
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import T, j, n
from wideproof.derive.linear.convolution import Rho
from wideproof.derive.proof.claims import Agreement, Question, Refutation
from wideproof.derive.proof.proof import Step
from wideproof.derive.referee.rules import filled, with_largest
from wideproof.derive.referee.values import value_or_none

EQUATIONS = ("scale-factors", "readout-pairings", "circular-law")
"""Rules whose lemma is an equation of numbers."""
ROOTS = (
    "repeat match goal with H : context [sqrt ?x] |- _ => pose proof (sqrt_sqrt x ltac:(lra)); "
    "pose proof (sqrt_pos x); let root := fresh in set (root := sqrt x) in *; clearbody root end."
)
"""Each root is a number that is not negative and has this square."""


def _quantity(context: Context, question: Question, bounded: bool = False) -> tuple[sp.Expr, str]:
    """What a formula is compared with, and the script that rewrites it by the lemma of the goal."""
    rule, about = ("scale-factors", Rho(j)) if bounded else (question.rule, question.about)
    if rule not in EQUATIONS or not isinstance(about, sp.Expr):
        raise NotCertified(
            f"{question.quantity}", "an equation of numbers", rule, "Of limits and laws only the goal is exported."
        )
    lemma = context.lemma(rule, about)
    return about, f"repeat first [rewrite {lemma} | rewrite (proj1 {lemma})]"


def _premises(context: Context, numbers: Mapping[sp.Symbol, sp.Expr]) -> tuple[str, list[str]]:
    """The numbers of a point as premises, and their names."""
    texts = [f"{'n' if x == n else context.writer.real(x)} = {_number(context, x, v)}" for x, v in numbers.items()]
    return "".join(f"{text} -> " for text in texts), [f"V{i}" for i in range(len(texts))]


def _number(context: Context, symbol: sp.Symbol, number: sp.Expr) -> str:
    return f"{number}%nat" if symbol == n else context.writer.real(number)


@exports("referee-counterexample")
def counterexample(context: Context, step: Step, claim: Refutation) -> Iterator[Lemma]:
    """At the point the quantity has one value and the formula another; of a bound, a smaller one."""
    bounded = claim.relation == "<="
    left, known = _quantity(context, claim.question, bounded)
    lags = {x: v for x, v in claim.point if x in (j, T)}
    numbers = {x: v for x, v in (*claim.question.at, *claim.point) if x not in lags}
    premises, names = _premises(context, numbers)
    formula, derived = (_at_lags(x, lags) for x in (claim.question.formula, claim.derived))
    at = numbers | lags
    own = value_or_none(with_largest(claim.question.formula, claim.derived, lags), at)
    true = value_or_none(derived, at)
    if own is None or true is None:
        raise NotCertified("counterexample", "a value on both sides", formula, "In Coq a division by zero has a value.")
    reading = f"cbn [largest]. {known}. cbn [PowerDD pow]. deltas. {_rewritten(names)}simpl INR in *. "
    value = f"{reading}unfold Rmax. repeat destruct Rle_dec. all: first [lra | field; lra]."
    texts = [context.writer.real(x.subs(lags)) for x in (left, formula)]
    if not (own.is_Rational and true.is_Rational) or "sqrt" in "".join(texts) + context.writer.real(derived):
        if bounded or formula.has(sp.Max) or _stranger(formula) or _stranger(derived):
            raise NotCertified("counterexample", "rational values or square roots", formula, "Not covered yet.")
        exact = context.writer.real(derived)
        statement = f"{texts[0]} = {exact} /\\ {exact} <> {texts[1]}"
        script = f"split.\n  - {reading}first [reflexivity | ring | field; lra].\n  - "
        script += f"intros same. {_rewritten(names, ' in same')}{ROOTS} nra."
    else:
        values = [context.writer.real(x) for x in (true, own)]
        apart = f"{values[1]} < {values[0]}" if bounded else f"{values[0]} <> {values[1]}"
        statement = f"{texts[0]} = {values[0]} /\\ {texts[1]} = {values[1]} /\\ {apart}"
        script = f"split; [|split].\n  - {value}\n  - {value}\n  - lra."
    yield Lemma(context.name("referee-counterexample"), f"{premises}{statement}", f"intros {' '.join(names)}. {script}")


def _rewritten(names: list[str], where: str = "") -> str:
    return f"rewrite {', '.join('?' + x for x in names)}{where}. " if names else ""


def _at_lags(expr: sp.Expr, lags: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """A formula at whole times, its sums written out."""
    at: sp.Expr = expr.xreplace(dict(lags))
    return at.replace(sp.Sum, lambda *args: sp.Sum(*args).doit())


def _stranger(expr: sp.Expr) -> bool:
    """Whether anything but sums, products, powers and roots occurs."""
    return any(
        not (x.is_Symbol or x.is_Rational or x.is_Add or x.is_Mul or _is_root(x)) for x in sp.preorder_traversal(expr)
    )


@exports("referee-equality")
def equality(context: Context, step: Step, claim: Agreement) -> Iterator[Lemma]:
    """The quantity is the formula at every lag, wherever no denominator of the two is zero."""
    left, known = _quantity(context, claim.question)
    formula = filled(claim.question.formula, claim.question)
    _refuse(formula, any_base=not claim.question.at)
    numbers, names = _premises(context, dict(claim.question.at))
    powers = sorted((x for x in claim.derived.atoms(PowerDD) if len(x.args) > 2), key=str)
    below = {x for expr in (formula, claim.derived) for x in _denominators(expr)} | {_gap(x) for x in powers}
    wanted = [context.writer.real(x) for x in sorted(below, key=str) if not x.is_number and x != n]
    premises = "".join(f"{x} <> 0 -> " for x in wanted)
    given = [*names, *(f"N{i}" for i in range(len(wanted)))]
    lag = "forall j : nat, " if formula.has(j) or claim.derived.has(j) else ""
    width = "assert (width : INR n <> 0) by (apply not_0_INR; lia). " if n in below else ""
    yield Lemma(
        context.name("referee-equality"),
        f"{lag}{numbers}{premises}{context.writer.real(left)} = {context.writer.real(formula)}",
        f"intros {'j ' if lag else ''}{' '.join(given)}. {width}{known}. {_rewritten(names)}\n  "
        + "".join(f"{_quotient(context, x)}\n  " for x in powers)
        + "rewrite ?PowerDD_one. cbn [pow].\n  "
        "first [reflexivity | ring | field; repeat split; first [assumption | lra | intro; nra]].",
    )


def _refuse(expr: sp.Expr, any_base: bool) -> None:
    """Raise NotCertified for what is no quotient of polynomials in letters, the lag and powers by the lag."""
    if expr.is_Pow and (expr.exp - j).is_Integer and not expr.base.has(j) and (any_base or expr.base.is_Symbol):
        return
    if not (expr.is_Symbol or expr.is_Rational or expr.is_Add or expr.is_Mul or _is_root(expr)):
        raise NotCertified(
            "equality",
            "a quotient of polynomials in the letters, the lag j, and powers such as a**(j - 1)",
            expr,
            "Sums over the lag, and other exponents, have no certificate yet.",
        )
    for x in expr.args:
        _refuse(x, any_base)


def _is_root(expr: sp.Expr) -> bool:
    """Whether this is a whole or half-whole power."""
    return bool(expr.is_Pow and (2 * expr.exp).is_Integer)


def _denominators(expr: sp.Expr) -> set[sp.Expr]:
    """What must not be zero."""
    return {x.base for x in expr.atoms(sp.Pow) if x.exp.as_coeff_Add()[0].is_negative}


def _gap(power: PowerDD) -> sp.Expr:
    """What a divided difference at two equal nodes is divided by."""
    _, node, *others = power.args
    if others != [node]:
        raise NotCertified("equality", "divided differences at two equal nodes", power, "Others are not covered yet.")
    return node


def _quotient(context: Context, power: Any) -> str:
    """The script that writes a divided difference as a quotient."""
    node, side = context.writer.real(_gap(power)), "first [assumption | lra | intro; nra]"
    return (
        f"replace {context.writer.real(power)} with (INR j * {node} ^ j / {node}).\n  "
        f"2: {{ apply (Rmult_eq_reg_l {node}); [rewrite PowerDD_twice; field; {side} | {side}]. }}"
    )
