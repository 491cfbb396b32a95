"""State evolution, the NNGP kernel and the neural tangent kernel of any recursion the calculus closes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from wideproof.derive.alternating.line_limits import limits
from wideproof.derive.calculus.gaussian_process import kernel_subject, process_of
from wideproof.derive.calculus.innovations import InnovationsForm
from wideproof.derive.calculus.lags import EmpiricalKernel, NoClosedForm
from wideproof.derive.calculus.moments import is_linear
from wideproof.derive.calculus.recursion_rules import (
    ROW,
    ROW2,
    StateMoments,
    kind,
    refuse_functions,
    refuse_products,
    time_root,
)
from wideproof.derive.calculus.tangent import refuse_jumps, tangent, trained_only
from wideproof.derive.emit.derivation import Derivation, as_program
from wideproof.derive.emit.formula import Formula
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import NotClosed, NotDiagonal, ParameterError
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Program, refuse_backward
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.proof import Ask, Claim, Equation, Limit, Proof, Recurrence, prove, rule


def nngp(recursion: Recursion | Program) -> Derivation:
    """Outputs converge to a Gaussian process with this covariance, times the identity over the n_y outputs.

    Shapes: the compiled formula maps the Gram X (..., T, T') to (..., T, T'); non-linear recursions also take the
    Grams X1, X2 within each sequence.  Units: output^2.
    Where states multiply, as in gates, no recursion over two times closes: `formula.process` states the limit as an
    expectation over a Gaussian process, `wideproof.Kernel` evaluates it, and `formula.compile` refuses.
    Source: emami2021implicit, Lemma C.1; lee2019wide; yang2020tensor2 for gates.
    """
    return _kernel("nngp", as_program(recursion))


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
    """
    program = as_program(recursion)
    chosen = program if parameters is None else trained_only(program, parameters)
    moved = tangent(chosen, parameterization)
    refuse_jumps(moved, f"ntk({program.name})")
    return _kernel("ntk", moved)


def _kernel(name: str, program: Program) -> Derivation:
    symbols = {"t": t, "s": s, **program.symbols}
    stepped = _closed(program)
    if stepped is None:
        proof = prove(program, "kernel-process", kernel_subject(program))
        return Derivation(name, program, Formula(name, None, symbols, program, process=process_of(proof)), proof)
    recurrence = next(step.claim for step in stepped.steps if isinstance(step.claim, Recurrence))
    recurrence = replace(recurrence, left=recurrence.left.subs(ROW2, ROW), right=recurrence.right.subs(ROW2, ROW))
    if is_linear(program.base or program):
        try:
            proof = prove(program, "limit-kernel", EmpiricalKernel(kind(program), ROW, ROW2, t, s))
            assert isinstance(proof.goal, Limit)
            closed = proof.goal.right.subs(ROW2, ROW)
            return Derivation(name, program, Formula(name, closed, symbols, program, recurrence), proof)
        except (NotDiagonal, NoClosedForm):
            pass
    return Derivation(name, program, Formula(name, None, symbols, program, recurrence), stepped)


def _closed(program: Program) -> Proof | None:
    """The proof of the recursion over both times; None where moments of two times, or of pairs, do not suffice."""
    try:
        refuse_products(program)
        stepped = prove(program, "kernel-recursion", kernel_subject(program))
    except NotClosed:
        refuse_functions(program)
        return None
    recurrence = next(step.claim for step in stepped.steps if isinstance(step.claim, Recurrence))
    means = set().union(*(e.atoms(GaussianMean) for e in (recurrence.right, *(x.right for x in recurrence.equations))))
    return stepped if all(len(mean.args[0]) <= 2 for mean in means) else None


@rule("kernel-recursion", source="emami2021implicit, (15) and Lemma B.1; yang2020tensor2", status="assumed")
def kernel_recursion(program: Program, subject: Any, ask: Ask) -> Claim:
    """The kernel at finite width concentrates on the limit that the recursion over both times computes."""
    assert isinstance(subject, EmpiricalKernel)
    claim = ask("evolution", time_root(program))
    assert isinstance(claim, Recurrence)
    return Limit(subject, claim.right, "in probability")


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
    """
    if isinstance(recursion, Alternating | AlternatingProgram):
        if (form, horizon) != ("covariance", None):
            raise ParameterError(
                "state_evolution",
                "the covariance form, over all lines",
                (form, horizon),
                "An alternating program is unrolled as it is written.",
            )
        return limits(recursion)
    if form not in ("covariance", "innovations"):
        raise ParameterError(
            "state_evolution: form",
            '"covariance" or "innovations"',
            repr(form),
            "Both give the same law; the covariance form needs no inverse.",
        )
    if horizon is not None and (not isinstance(horizon, int) or horizon < 1):
        raise ParameterError(
            "state_evolution: horizon",
            "None or a whole number of steps, at least 1",
            horizon,
            "horizon=4 gives the times 0, 1, 2, 3.",
        )
    program = as_program(recursion)
    symbols = {"t": t, "s": s, **program.symbols}
    if form == "innovations" or horizon is not None:
        refuse_backward(program, f"state_evolution of {program.name}: {form}, horizon {horizon}")
    if form == "covariance" and horizon is None and _closed(program) is None:
        proof = prove(program, "process", StateMoments(t))
        return Derivation(
            "state-evolution",
            program,
            Formula("state_evolution", None, symbols, program, process=process_of(proof)),
            proof,
        )
    refuse_products(program)
    if form == "innovations":
        subject, name = InnovationsForm(horizon or t), "innovations" if horizon is None else "innovations-unrolled"
    else:
        subject, name = StateMoments(horizon or t), "evolution" if horizon is None else "unrolled"
    proof = prove(program, name, subject)
    expr = proof.goal.right if isinstance(proof.goal, Equation) else None
    stated = proof.goal if isinstance(proof.goal, Recurrence) else prove(program, "evolution", StateMoments(t)).goal
    assert isinstance(stated, Recurrence)
    return Derivation("state-evolution", program, Formula("state_evolution", expr, symbols, program, stated), proof)
