"""State evolution, the NNGP kernel and the neural tangent kernel of any recursion the calculus closes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sympy as sp

from wideproof.derive.calculus.gaussian_process import kernel_subject
from wideproof.derive.calculus.innovations import InnovationsForm
from wideproof.derive.calculus.lags import CONCENTRATES, OUTPUTS_CONVERGE, EmpiricalKernel, NoClosedForm
from wideproof.derive.calculus.moments import is_linear
from wideproof.derive.calculus.recursion_rules import (
    OUTPUT,
    ROW,
    ROW2,
    TANGENT_OUTPUT,
    StateMoments,
    refuse_functions,
    refuse_products,
    time_root,
)
from wideproof.derive.calculus.tangent import refuse_jumps, tangent, trained_only
from wideproof.derive.emit.derivation import Derivation, Reading, as_program, of_kind, quantity, reads
from wideproof.derive.emit.formula import Formula
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import NotClosed, NotDiagonal, ParameterError, ProofError
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Program, refuse_backward
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.scalars import as_whole
from wideproof.derive.proof.claims import Claim, Limit, ProcessForm, Recurrence
from wideproof.derive.proof.proof import Proof, prove
from wideproof.derive.proof.rules import Ask, rule


@quantity
def nngp(recursion: Recursion | Program) -> Derivation:
    """Outputs converge to a Gaussian process with this covariance, times the identity over the n_y outputs.

    Shapes: the compiled formula maps the Gram X (..., T, T') to (..., T, T'); non-linear recursions also take the
    Grams X1, X2 within each sequence.  Units: output^2.
    Where states multiply, as in gates, no recursion over two times closes: `formula.process` states the limit as an
    expectation over a Gaussian process, `wideproof.Kernel` evaluates it, and `formula.compile` refuses.
    Source: emami2021implicit, Lemma C.1; lee2019wide; yang2020tensor2 for gates.

    >>> kernel = wp.nngp(wp.models.linear_rnn()).formula.compile()
    >>> kernel(X=np.eye(2), nu_W=0.5, nu_F=1.0, nu_C=1.0)
    array([[1. , 0. ],
           [0. , 1.5]])
    """
    return _kernel("nngp", as_program(recursion))


@quantity
def ntk(
    recursion: Recursion | Program, parameterization: str = "entries", parameters: str | Iterable[str] | None = None
) -> Derivation:
    """The neural tangent kernel converges to this kernel, times the identity over the n_y outputs.

    Shapes: the compiled formula maps the Gram X (..., T, T') to (..., T, T').  Units: output^2.
    `parameterization="entries"` differentiates by the entries, "ntk" by unit-variance parameters.
    Gated recursions: as for `nngp`.
    `parameters=("W", "b")` gives the part that these contribute: the kernel with the others frozen.
    Errors: NotClosed where a gradient passes through an activation that jumps, such as step or sign.
    Source: emami2021implicit, (13), (15), Lemma B.1; for non-linear maps yang2020tensor2.

    >>> wp.ntk(wp.models.elman("erf"))
    Derivation(ntk of elman: a recurrence of 4 equations in t, s, nu_C, nu_F, nu_W, nu_b; 16 steps)
    """
    program = as_program(recursion)
    chosen = program if parameters is None else trained_only(program, parameters)
    moved = tangent(chosen, parameterization)
    refuse_jumps(moved, f"ntk({program.name})")
    return _kernel("ntk", moved)


def _one_row(side: sp.Expr) -> sp.Expr:
    """The kernel between equal outputs."""
    return side.subs(ROW2, ROW)


def _read_kernel(name: str, of: sp.Symbol) -> None:
    """The kernel of equal outputs, or of their responses: its closed form, if there is one, and what determines it."""

    def read(proof: Proof) -> Formula:
        goal, symbols = proof.goal, {"t": t, "s": s, **proof.program.symbols}
        assert isinstance(goal, Limit)
        if goal.left.args[0] != of:
            raise ProofError(f"goal of {name}", f"a claim about {of}", goal.left, "It is another kernel.")
        if isinstance(goal.form, ProcessForm):
            return Formula(name, None, symbols, proof.program, process=goal.form)
        assert isinstance(goal.form, Recurrence)
        form = replace(goal.form, left=_one_row(goal.form.left), right=_one_row(goal.form.right))
        closed = None if goal.right == goal.form.right else _one_row(goal.right)
        return Formula(name, closed, symbols, proof.program, form)

    Reading.registry[Program, name] = read


_read_kernel("nngp", OUTPUT)
_read_kernel("ntk", TANGENT_OUTPUT)


def _kernel(name: str, program: Program) -> Derivation:
    subject = kernel_subject(program)
    stepped = _closed(program)
    if stepped is None:
        return Derivation(name, prove(program, "kernel-process", subject))
    if is_linear(program.base or program):
        try:
            return Derivation(name, prove(program, "two-forms", subject))
        except (NotDiagonal, NoClosedForm):
            pass
    return Derivation(name, stepped)


def _closed(program: Program) -> Proof | None:
    """The proof of the recursion over both times; None where moments of two times, or of pairs, do not suffice."""
    try:
        refuse_products(program)
        stepped = prove(program, "kernel-recursion", kernel_subject(program))
    except NotClosed:
        refuse_functions(program)
        return None
    assert isinstance(stepped.goal, Limit)
    form = stepped.goal.form
    assert form is not None
    means = set().union(*(e.atoms(GaussianMean) for e in (form.right, *(x.right for x in form.equations))))
    return stepped if all(len(mean.args[0]) <= 2 for mean in means) else None


@rule(
    "kernel-recursion",
    source="emami2021implicit, (15) and Lemma B.1; yang2020tensor2",
    rank=240,
    says=CONCENTRATES,
    status="cited",
    of_outputs=OUTPUTS_CONVERGE,
)
def kernel_recursion(subject: EmpiricalKernel, ask: Ask) -> Claim:
    """The kernel at finite width concentrates on the limit that the recursion over both times computes."""
    form = ask.recurrence("evolution", time_root(ask.program))
    return Limit(subject, form.right, "in probability", form)


@rule(
    "two-forms",
    source="a limit is unique",
    rank=275,
    says="both are the limit of one quantity, and a limit is unique, so the closed form is the value of the recursion:",
)
def two_forms(subject: Any, ask: Ask) -> Claim:
    """The closed form of a kernel and the recursion that determines it are equal."""
    closed, stepped = ask.limit("limit-kernel", subject), ask.limit("kernel-recursion", subject)
    return Limit(subject, closed.right, closed.mode, stepped.form)


@quantity
def state_evolution(
    recursion: Recursion | Alternating | Program, form: str = "covariance", horizon: int | None = None
) -> Derivation:
    """The second moments of all states obey these recursions as n grows.

    `form="covariance"` states Cov in earlier moments; "innovations" is the paper's (72a-h), conditioning each new
    product on the earlier ones. `horizon=T` unrolls to the integer times 0 ... T-1.
    Where states multiply, as in gates, the covariance form is that of the products that drive them. Of an alternating
    program, such as `models.amp`, it is that of its lines, which are as many as its loop wrote.
    Errors: ParameterError; NotClosed for the other forms where the moments of two times do not close.
    Source: emami2021implicit, Lemma C.1, (72a)-(72h); yang2020tensor2 for gates; bayati2011dynamics.

    >>> wp.state_evolution(wp.models.elman("relu"))
    Derivation(state-evolution of elman: a recurrence of 3 equations in t, s, nu_C, nu_F, nu_W, nu_b; 8 steps)
    """
    if form not in ("covariance", "innovations"):
        raise ParameterError(
            "state_evolution: form",
            '"covariance" or "innovations"',
            repr(form),
            "Both give the same law; the covariance form needs no inverse.",
        )
    steps = as_whole(horizon)
    if horizon is not None and (steps is None or steps < 1):
        raise ParameterError(
            "state_evolution: horizon",
            "None or a whole number of steps, at least 1",
            horizon,
            "horizon=4 gives the times 0, 1, 2, 3.",
        )
    program = of_kind(recursion, Program)
    if form == "innovations" or horizon is not None:
        refuse_backward(program, f"state_evolution of {program.name}: {form}, horizon {horizon}")
    if form == "covariance" and horizon is None and _closed(program) is None:
        return Derivation("state-evolution", prove(program, "process", StateMoments(t)))
    refuse_products(program)
    if form == "innovations":
        subject, name = InnovationsForm(steps or t), "innovations" if horizon is None else "innovations-unrolled"
    else:
        subject, name = StateMoments(steps or t), "evolution" if horizon is None else "unrolled"
    return Derivation("state-evolution", prove(program, name, subject))


reads("state-evolution", t, s)
