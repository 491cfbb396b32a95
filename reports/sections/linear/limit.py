"""The model, the theorems with their proofs, and what the formulas say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp

from wideproof.derive import Derivation
from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.language.notation import LETTERS, j
from wideproof.derive.latex.displays import display, equations
from wideproof.derive.latex.printer import latex, math
from wideproof.derive.latex.text import Cite, Code, Inline, Latex, Math, Ref, Text, marked
from wideproof.derive.linear.convolution import Gain, Rho
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Proof, Table, Theorem
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import convolution, response, scale
from wideproof.reports.sections.needs import ReportRun
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

DECAYS = (0.1, 0.3, 0.5, 0.7, 0.9)


@section("The model", "sec:model", 10, (response,))
def model(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The recursion, its parameters and what is assumed of them."""
    program = run.program
    body = [(c, right) for c, right in program.updates] + [(OUTPUT, program.output)]
    draft.known.states(body, "eq:model")
    draft.known.declares(run[response])
    at = {program.symbols[name]: x for name, x in run.nu.items()}
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            Math(latex(sp.Symbol(p.name))),
            LETTERS[p.name].meaning if p.name in LETTERS else p.role,
            Math(Latex(f"N(0, {latex(p.variance)})")),
            "one draw" if p.tied else "a fresh draw each step",
            value(float(p.variance.subs(at))),
        )
        for p in program.parameters
    )
    return (
        Paragraph(
            (
                "For inputs ",
                math(sp.Symbol("x_t")),
                *marked(
                    r" in $\mathbb{R}^{n_x}$, states of width $n$ that start at zero, and outputs in "
                    r"$\mathbb{R}^{n_y}$, the recursion is"
                ),
            )
        ),
        Equation(equations(body, program), "eq:model"),
        Paragraph(
            (
                "All entries of the parameters are independent; ",
                Ref("tab:parameters"),
                " gives their laws. The variances used in the experiments below are our assumption: the values of ",
                Cite("emami2021implicit"),
                *marked(
                    r" are not known to us. The response is a causal filter, $y_t = \sum_{j \le t} L_j\,x_{t-j}$; "
                    "its coefficients $L_j$ form the impulse response."
                ),
            )
        ),
        Table(
            ("parameter", "meaning", "entries", "over time", "variance used"),
            rows,
            "The parameters of the recursion.",
            "tab:parameters",
            "llllr",
        ),
    )


@section("The limit of infinite width", "sec:limit", 20, (response, scale, convolution))
def limit(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Theorem 3.3 of the paper and the equivalent convolution, as the engine states and proves them."""
    lag = math(j)
    return (
        *draft.known.theorem(
            run[response],
            "response",
            "Impulse response",
            (
                Paragraph(
                    (
                        *marked(
                            r"As $n \to \infty$, the entries of the impulse response $L_0, L_1, \ldots$ converge "
                            "jointly in law to centred Gaussians. They are independent between entries and "
                            "between lags, and at lag "
                        ),
                        lag,
                        " their variance is",
                    )
                ),
                Equation(display(Latex("v_j"), run[response].formula.expr, program=run.program), "eq:variance"),
            ),
        ),
        *draft.known.theorem(
            run[scale],
            "kernel",
            "Scale factors and tangent kernel",
            (
                Paragraph(
                    marked(r"As $n \to \infty$, the tangent kernel of all parameters converges in probability to")
                ),
                Equation(
                    Latex(r"K_{t,s}(x, x') = I_{n_y} \sum_{j=0}^{\min(t,s)} \rho_j\,x_{t-j}^{\mathsf{T}} x'_{s-j}"),
                    "eq:kernel",
                ),
                Paragraph(("with the scale factors",)),
                Equation(display(Rho(j), run[scale].formula.expr, program=run.program), "eq:rho"),
                Paragraph(
                    marked(
                        r"In matrix form, with the block Toeplitz matrix $\mathcal{T}(x)$ of the inputs and the "
                        r"diagonal matrix $D(\rho)$ that repeats each scale factor $n_x$ times, this is"
                    )
                ),
                Equation(
                    Latex(r"K(x, x') = \mathcal{T}(x)^{\mathsf{T}} D(\rho)\,\mathcal{T}(x') \otimes I_{n_y}."),
                    "eq:toeplitz",
                ),
            ),
        ),
        Theorem(
            (
                Paragraph(
                    marked(
                        r"The scaled convolution $y_t = \sum_j g_j\,\theta_j\,x_{t-j}$ has, for all inputs, the "
                        "limiting tangent kernel of the recursion exactly if"
                    )
                ),
                Equation(display(Gain(j), run[convolution].formula.expr, program=run.program), "eq:gain"),
            ),
            title="Equivalent convolution",
            label="thm:convolution",
        ),
        Proof(
            (
                Paragraph(
                    (
                        "To the proof of ",
                        Ref("thm:kernel"),
                        " add the kernel of the convolution itself. Perturb its "
                        "parameters by independent standard normal entries: only equal lags and equal outputs "
                        "contribute. The two kernels agree for all inputs exactly if the weights of "
                        "every lag agree,",
                    )
                ),
                _conclusion(run[convolution]),
            )
        ),
    )


def _conclusion(derivation: Derivation) -> Block:
    """The last two new steps of a proof that shares the rest with another."""
    new = [step for step in derivation.proof.steps if step.rule in ("convolution", "equivalence")]
    return Equation(
        equations(
            [(c.left, c.right) for c in (step.claim for step in new)],  # type: ignore[union-attr]
            derivation.program,
        ),
        "eq:equivalence",
    )


@section("What the formulas say", "sec:formulas", 30, (scale,), "draws the formulas")
def formulas(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The emitted functions, drawn; nothing where the variance of the transition matrix has no symbol of its own."""
    if "nu_W" not in run.nu:
        return ()
    rho, lags = run[scale].formula.compile("numpy"), np.arange(31)
    curves = {rf"$\nu_W = {nu:g}$": rho(j=lags, **(run.nu | {"nu_W": nu})) for nu in DECAYS}
    drawn = figures.decay(lags, curves, "lag $j$", r"scale factor $\rho_j$")
    peak = {nu: int(np.argmax(rho(j=np.arange(400), **(run.nu | {"nu_W": nu})))) for nu in (*DECAYS, 0.99)}
    later = [nu for nu, at in peak.items() if at > 0]
    return (
        Paragraph(
            (
                "The scale factors decide how fast gradient descent learns each lag: a lag of small "
                "weight is learned "
                "late. ",
                Ref("fig:rho"),
                " draws ",
                Ref("eq:rho"),
                ": their decay is geometric up to a linear factor, which is the short memory of the recursion.",
            )
        ),
        placed(
            drawn,
            draft.folder,
            "scale-factors",
            (
                "Scale factors against the lag for several variances of the transition matrix; the other variances "
                "as in ",
                Ref("tab:parameters"),
                ".",
            ),
            "fig:rho",
        ),
        Paragraph(
            (
                "The decay need not be monotone. The largest weight is at lag 0 for ",
                *_list([nu for nu in peak if nu not in later]),
                *((", but at lag ", *_list([peak[nu] for nu in later]), " for ", *_list(later)) if later else ()),
                " (values of ",
                math(sp.Symbol("nu_W")),
                ", the others as above).",
            )
        ),
        Paragraph(
            (
                "In Python it is ",
                Code("scale_factors(models.linear_rnn()).formula.compile()"),
                ", with keyword arguments named as the symbols.",
            )
        ),
    )


def _list(items: Sequence[object]) -> tuple[Inline, ...]:
    words = [f"{x:g}" if isinstance(x, float) else str(x) for x in items]
    return (words[0],) if len(words) == 1 else (", ".join(words[:-1]) + " and " + words[-1],)
