"""The maps of memory in Coq: two runs at one step, the derivative by their covariance, and the horizon.

A slope is proved to be the derivative of the map, by Price's theorem; a horizon to be the number of steps in which a
difference that shrinks by the slope falls by e. Closed forms rest on the rows of the table of dual activations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND
from wideproof.derive.certificate.exporters.moment_lemmas import covariance_at
from wideproof.derive.certificate.hypotheses import applied
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, pair_name
from wideproof.derive.certificate.terms import Writer, term
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.program import Coordinate
from wideproof.derive.memory_horizon.two_run_maps import SIZE, Horizon, letters
from wideproof.derive.proof.proof import Step

PRICE = """
(* Price's theorem: the derivative of E[f(u) g(v)] by the covariance is E[f'(u) g'(v)]. *)
Hypothesis price1958useful : forall f k g l a b c, 0 < a -> 0 < c -> b ^ 2 < a * c ->
  derivable_pt_lim (fun y => gaussian_mean2 f k g l a y c) b (gaussian_mean2 f (S k) g (S l) a b c).
Lemma price_after : forall f k g l a c u z du, 0 < a -> 0 < c -> u z ^ 2 < a * c -> derivable_pt_lim u z du ->
  derivable_pt_lim (fun y => gaussian_mean2 f k g l a (u y) c) z (gaussian_mean2 f (S k) g (S l) a (u z) c * du).
Proof.
  intros f k g l a c u z du first second inside slope.
  apply (derivable_pt_lim_comp u (fun y => gaussian_mean2 f k g l a y c)); [assumption|].
  now apply price1958useful.
Qed.
""".strip()
DERIVED = """
Lemma derivative_is : forall f z a b, derivable_pt_lim f z a -> a = b -> derivable_pt_lim f z b.
Proof. intros f z a b known same. now rewrite <- same. Qed.
Ltac derivative rule :=
  first
    [ apply derivable_pt_lim_id | apply derivable_pt_lim_const
    | apply (derivable_pt_lim_plus (fun _ => _) (fun _ => _)); derivative rule
    | apply (derivable_pt_lim_mult (fun _ => _) (fun _ => _)); derivative rule
    | rule; derivative rule ].
""".strip()
WORDS = {sp.log: "ln", sp.acos: "acos", sp.asin: "asin", sp.atan: "atan", sp.exp: "exp"}


@term(*WORDS)
def _elementary(writer: Writer, expr: sp.Expr) -> str:
    return f"({WORDS[type(expr)]} {writer.real(expr.args[0])})"


@term(type(sp.pi))
def _pi(writer: Writer, expr: sp.Expr) -> str:
    return "PI"


def _letters(context: Context) -> tuple[sp.Symbol, sp.Symbol, sp.Symbol]:
    """X, q and c: the size of the common inputs, and the moment in one run and between the two.

    Errors: NotCertified where there is more than one moment.
    """
    q, c = letters(context.program)
    if len(q) != 1:
        raise NotCertified("maps", "one state, with one moment", ", ".join(map(str, q.values())), "Not covered yet.")
    found = (SIZE, *q.values(), *c.values())
    for letter in found:
        context.writer.names(letter, letter.name)
    return found


def _bound(context: Context, *chosen: sp.Symbol) -> str:
    return " ".join(context.writer.names.given[x] for x in chosen)


@exports("equal-times", believes="Lemma C.1, at equal times: one matrix for both runs")
def equal_times(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The covariance of two runs at one step."""
    covariance: Any = context.premise(step, "covariance")
    name = context.name("equal-times", *pair_name(context, claim.left))
    context.written["equal-times", claim.left] = name
    yield Lemma(
        name,
        f"forall t : nat, {context.writer.real(claim.left)} = {context.writer.real(claim.right)}",
        f"intros t. {covariance_at(context, covariance, 't', 't', FIRST, SECOND)} rewrite ?delta_same. alike.",
    )


@exports("correlation-map")
def correlation_map(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """Where both runs have the variance q and the covariance c before the step, the covariance after it."""
    size, q, c = _letters(context)
    update: Any = context.premise(step, "equal-times")
    writer = context.writer
    arguments = _bound(context, size, q, c)
    yield Lemma("correlation_map", f"({arguments} : R) : R :=\n  {writer.real(claim.right)}", "", "Definition")
    state = writer.state(update.left.args[0])
    sides = [f"(before ({state} {label}) t)" for label in ("x", "x'")]
    inputs = writer.names.given[size]
    known = [f"E {a} {b} = {writer.names.given[v]}" for a, b, v in (
        (sides[0], sides[0], q), (sides[1], sides[1], q), (sides[0], sides[1], c))]  # fmt: skip
    known += [f"gram {a} {b} t t = {inputs}" for a, b in (("x", "x"), ("x'", "x'"), ("x", "x'"))]
    name = context.name("correlation-map", "of_two_runs")
    context.written["correlation-map", claim.left] = name
    yield Lemma(
        name,
        f"forall (t : nat) ({arguments} : R), {' -> '.join((*known, ''))}\n  "
        f"{writer.real(update.left)} = correlation_map {arguments}",
        f"intros t {arguments} K0 K1 K2 K3 K4 K5. rewrite {context.lemma('equal-times', update.left)}.\n  "
        f"rewrite ?(E_symmetric {sides[1]} {sides[0]}), ?(gram_symmetric x' x), ?K0, ?K1, ?K2, ?K3, ?K4, ?K5.\n  "
        "unfold correlation_map. alike.",
    )


def _at(subject: sp.Expr) -> tuple[sp.Expr, ...]:
    """The letters in a subject, states left out."""
    return tuple(x for x in subject.args if not isinstance(x, Coordinate))


@exports("variance-map")
def variance_map(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A run has correlation one with itself."""
    size, q, _ = _letters(context)
    context.written["variance-map", claim.left] = name = context.name("variance-map")
    yield Lemma(
        name,
        f"forall {_bound(context, size, q)} : R, correlation_map {_bound(context, size, q, q)} = "
        f"{context.writer.real(claim.right)}",
        "intros. unfold correlation_map. alike.",
    )


@exports("correlation-slope", believes="Price's theorem: d E[f(u) g(v)] / d covariance = E[f'(u) g'(v)]")
def correlation_slope(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The derivative of the map by the covariance; at other letters, the same formula there."""
    size, q, c = _letters(context)
    writer, arguments = context.writer, _bound(context, size, q, c)
    text = writer.real(claim.right)
    name = context.name("correlation-slope", "derivative" if _at(claim.left) == (q, c) else "at_one_run")
    context.written["correlation-slope", claim.left] = name
    if _at(claim.left) != (q, c):
        at = _bound(context, size, *_at(claim.left))
        yield Lemma(
            name,
            f"forall {_bound(context, size, q)} : R, correlation_slope {at} = {text}",
            "intros. unfold correlation_slope. alike.",
        )
        return
    yield Lemma("correlation_slope", f"({arguments} : R) : R :=\n  {text}", "", "Definition")
    yield Lemma("derived", f"{PRICE + chr(10) if applied(context.program) else ''}{DERIVED}", "", "")
    mapped: Any = context.premise(step, "correlation-map")
    covariances = sorted({x.args[2] for x in mapped.right.atoms(GaussianMean)}, key=str)
    premises = [
        f"0 < {a} -> 0 < {d} -> {b} ^ 2 < {a} * {d} -> " for a, b, d in (map(writer.real, x) for x in covariances)
    ]
    names = " ".join(f"P{i}" for i in range(3 * len(premises)))
    rule = "apply price_after; [assumption | assumption | assumption |]" if premises else "fail"
    statement = (
        f"forall {arguments} : R, {''.join(premises)}\n  "
        f"derivable_pt_lim (fun {_bound(context, c)} => correlation_map {arguments}) {_bound(context, c)} "
        f"(correlation_slope {arguments})"
    )
    context.written["derivative", "name"], context.written["derivative", "statement"] = name, statement
    yield Lemma(
        name,
        statement,
        f"intros {arguments} {names}. unfold correlation_map, correlation_slope.\n  "
        f"eapply derivative_is; [derivative ltac:({rule}) | cbv beta; ring].",
    )


def _with_derivative(context: Context, name: str, statement: str, script: str) -> Lemma:
    """A lemma that says, where a slope was read, also that it is the derivative of the map."""
    if ("derivative", "name") not in context.written:
        return Lemma(name, statement, script)
    return Lemma(
        name,
        f"({statement}) /\\\n  ({context.written['derivative', 'statement']})",
        f"split; [|exact {context.written['derivative', 'name']}].\n  {script}",
    )


@exports("memory-horizon", believes="near the fixed point a difference shrinks by the slope at every step")
def memory_horizon(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """In so many steps, what shrinks by the slope at every step falls by e."""
    size, *_ = _letters(context)
    writer, at = context.writer, _at(claim.left)
    slope = f"correlation_slope {_bound(context, size, *at)}"
    yield Lemma(
        "horizon", f"({_bound(context, *dict.fromkeys((size, *at)))} : R) : R :=\n  {writer.real(claim.right)}", "",
        "Definition",
    )  # fmt: skip
    name = context.name("memory-horizon")
    context.written["memory-horizon", claim.left] = name
    bound = _bound(context, *dict.fromkeys((size, *at)))
    yield _with_derivative(
        context,
        name,
        f"forall {bound} : R, 0 < {slope} -> {slope} <> 1 ->\n  exp (horizon {bound} * ln ({slope})) = exp (- 1)",
        f"intros {bound} positive other.\n  assert (some : ln ({slope}) <> 0).\n  {{ intros none. apply other. "
        f"rewrite <- exp_0, <- none. symmetry. now apply exp_ln. }}\n  "
        f"replace (horizon {bound}) with ((- 1) * (/ (ln ({slope})))) by "
        "(unfold horizon, correlation_slope; alike).\n  f_equal. field. exact some.",
    )


@exports("dual-activation", believes="one row of the table of dual activations, with its source")
def dual_activation(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A Gaussian mean in closed form: a row of the table, at these covariances."""
    _letters(context)
    symbols = _free(context, (claim.left, claim.right))
    name = context.name("dual_activation")
    context.written["dual-activation", claim.left] = name
    signs = "".join(f"0 <= {context.writer.real(x)} -> " for x in symbols if x.is_nonnegative)
    bound = f"forall {_bound(context, *symbols)} : R, {signs}" if symbols else ""
    yield Lemma(
        name, f"{bound}{context.writer.real(claim.left)} = {context.writer.real(claim.right)}", "", "Hypothesis"
    )


def _free(context: Context, exprs: Sequence[sp.Expr]) -> list[sp.Symbol]:
    """The letters of the two runs in some terms, in the order X, q, c."""
    return [x for x in _letters(context) if any(expr.has(x) for expr in exprs)]


@exports("closed-form")
def closed_form(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The quantity with each mean by its row of the table."""
    words = {"CorrelationMap": "correlation_map", "CorrelationSlope": "correlation_slope", "Horizon": "horizon"}
    word = words.get(type(claim.left).__name__)
    if word is None:
        raise NotCertified("closed form", "a map, a slope or a horizon", claim.left, "Not covered yet.")
    size, *_ = _letters(context)
    at = _at(claim.left)
    symbols = list(dict.fromkeys((size, *at)))
    arguments = symbols if isinstance(claim.left, Horizon) else (size, *at)
    signs = [x for x in symbols if x.is_nonnegative]
    premises = "".join(f"0 <= {context.writer.real(x)} -> " for x in signs)
    cited: list[Any] = context.premises(step, "dual-activation")
    rows = [context.lemma("dual-activation", x.left) for x in cited]
    rewriting = f"rewrite {', '.join('?' + x for x in rows)} by assumption. " if rows else ""
    yield _with_derivative(
        context,
        context.name("closed-form"),
        f"forall {_bound(context, *symbols)} : R, {premises}{word} {_bound(context, *arguments)} = "
        f"{context.writer.real(claim.right)}",
        f"intros. unfold {word}. {rewriting}alike.",
    )
