"""The empirical tangent kernel at finite width, in Coq: Lemma B.1, counted means, and Chebyshev's inequality proved.

Expectation is any positive linear functional: that it is one, Isserlis' theorem and integration by parts are all that
is believed, and no limit theorem.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.certificate.exporters.finite_width.counting import CHANCE, KERNELS
from wideproof.derive.certificate.exporters.finite_width.responses import KINDS, chain_definition
from wideproof.derive.certificate.lemmas import Context, Lemma, exports, setting
from wideproof.derive.certificate.terms import Writer, term
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import n
from wideproof.derive.linear.finite_width import KernelCovariance, KernelMoment
from wideproof.derive.linear.width_bound import TOLERANCE
from wideproof.derive.proof.proof import Step

GOALS = ("kernel-pairings", "kernel-covariance", "kernel-gap", "chebyshev")
WIDTH = "assert (width : 0 < INR n) by now apply lt_0_INR."
DEFINED = " ".join(f"rewrite ?{name}_definition." for name in KINDS.values())


@setting(*GOALS, stated=("recursion", "tangent"))
def kernels(writer: Writer, parameterization: str | None) -> str:
    """The recursion as one product, its kernel by Lemma B.1, and expectation as a positive linear functional."""
    definition, tied = chain_definition(writer)
    base = writer.program.base
    frozen = [x.name for x in base.parameters if not x.trainable] if base is not None else []
    if not tied or parameterization != "entries" or frozen or base is None or len(base.parameters) != len(KINDS):
        raise NotCertified(
            "definition",
            "tied W, F and C, all trained, by their entries",
            base.name if base is not None else writer.program.name,
            "Other kernels at finite width are audited, not exported.",
        )
    return "\n\n".join((definition, KERNELS, CHANCE))


@term(KernelMoment)
def _mean(writer: Writer, expr: sp.Expr) -> str:
    return f"(kernel_mean [{'; '.join(map(_entry, expr.args[1:]))}])"


@term(KernelCovariance)
def _covariance(writer: Writer, expr: sp.Expr) -> str:
    return f"(covariance_of {' '.join(map(_entry, sorted(expr.args[1:], key=sp.default_sort_key)))})"


def _entry(entry: sp.Expr) -> str:
    lag, lag2, *places = entry.args
    if any(places):
        raise NotCertified("entry", "the first output and the first input", entry, "Other entries are audited.")
    return f"({lag}%nat, {lag2}%nat)"


@exports("kernel-pairings", believes="Lemma B.1 at finite width; Isserlis' theorem; integration by parts")
def kernel_pairings(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """A mean of entries of the kernel, counted in the file."""
    script = f"{WIDTH} gathered. {DEFINED} field. lra."
    yield _equation(context, step, script)


@exports("kernel-covariance", believes="nothing: a definition")
def kernel_covariance(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The mean of the product less the product of the means."""
    _, a, b = claim.left.args
    about = [KernelMoment(n, *sorted((a, b), key=sp.default_sort_key)), KernelMoment(n, a), KernelMoment(n, b)]
    lemmas = ", ".join(f"?{context.lemma('kernel-pairings', x)}" for x in about)
    yield _equation(context, step, f"{WIDTH} unfold covariance_of. rewrite {lemmas}. field. lra.")


@exports("kernel-gap", believes="nothing: expectation is linear")
def kernel_gap(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The mean square of what an entry is off the limit of its mean, the part of it without powers of 1/n."""
    _, entry = claim.left.args
    limit = context.writer.real(_limit(context, step, entry))
    lemmas = ", ".join(
        f"?{context.lemma('kernel-pairings', x)}" for x in (KernelMoment(n, entry, entry), KernelMoment(n, entry))
    )
    name = context.name("kernel-gap")
    context.written["kernel-gap", claim.left] = name
    statement = f"gap_of {_entry(entry)} {limit} = {context.writer.real(claim.right)}"
    yield Lemma(name, statement, f"{WIDTH} unfold gap_of. rewrite {lemmas}. field. lra.")


def _limit(context: Context, step: Step, entry: sp.Expr) -> sp.Expr:
    """What the mean of an entry has beside powers of 1/n."""
    mean = next(
        x for x in context.premises(step, "kernel-pairings") if getattr(x, "left", None) == KernelMoment(n, entry)
    )
    right: sp.Expr = mean.right  # type: ignore[union-attr]
    return sp.Add(*(x for x in sp.Add.make_args(sp.expand(right)) if not x.has(n)))


@exports("chebyshev", believes="expectation is monotone, linear, and 1 of 1")
def chebyshev(context: Context, step: Step, claim: Any) -> Iterator[Lemma]:
    """The chance of a gap, by Chebyshev's inequality, which the file proves, and powers of 1/n below 1/n."""
    _, entry, size = claim.left.args
    gap: Any = context.premise(step, "kernel-gap")
    (index,) = (i for i in step.premises if context.steps[i].rule == "kernel-gap")
    limit = context.writer.real(_limit(context, context.steps[index], entry))
    constant = sp.expand(claim.right * n * size**2)
    if constant.has(n, size) or size != TOLERANCE:
        raise NotCertified("chebyshev", "c / (n epsilon^2)", claim.right, "Other bounds are not exported.")
    powers = [(x.subs(n, 1), -int(x.as_coeff_exponent(n)[1])) for x in sp.Add.make_args(sp.expand(gap.right))]
    real, u = context.writer.real, "/ INR n"
    total = " + ".join(f"{real(c)} * ({u}) ^ {k}" for c, k in powers)
    facts = "\n  ".join(
        f"pose proof (power_below {real(c)} ({u}) {k - 1} ltac:(nonneg) small) as H{i}."
        for i, (c, k) in enumerate(powers)
    )
    statement = (
        f"forall epsilon, 0 < epsilon ->\n  chance (theta {_entry(entry)}) {limit} epsilon"
        f" <= {real(constant)} / (INR n * epsilon ^ 2)"
    )
    script = (
        f"intros epsilon positive. {WIDTH}\n  "
        f"assert (whole : 1 <= INR n) by (apply (le_INR 1); exact n_sign).\n  "
        f"assert (small : 0 < {u} <= 1) by (split; [now apply Rinv_0_lt_compat |"
        " rewrite <- Rinv_1; apply Rinv_le_contravar; lra]).\n  "
        f"apply Rle_trans with (gap_of {_entry(entry)} {limit} / epsilon ^ 2); [now apply deviation|].\n  "
        f"rewrite {context.lemma('kernel-gap', gap.left)}.\n  "
        f"replace ({real(constant)} / (INR n * epsilon ^ 2)) with ({real(constant)} * {u} / epsilon ^ 2)"
        " by (field; lra).\n  "
        "apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat; now apply pow_lt|].\n  "
        f"replace {real(gap.right)} with ({total}) by (field; lra).\n  {facts}\n  lra."
    )
    yield Lemma(context.name("chebyshev"), statement, script)


def _equation(context: Context, step: Step, script: str) -> Lemma:
    claim: Any = step.claim
    name = context.name(step.rule, *(f"{x.args[0]}_{x.args[1]}" for x in claim.left.args[1:]))
    context.written[step.rule, claim.left] = name
    return Lemma(name, f"{context.writer.real(claim.left)} = {context.writer.real(claim.right)}", script)
