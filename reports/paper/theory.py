"""Propositions, theorems and lemmas: derivation, proof, and the numbers that judge them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wideproof.derive import (
    equivalent_convolution,
    impulse_response,
    ntk,
    realization,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
)
from wideproof.derive.latex.displays import display
from wideproof.derive.latex.text import Latex, Ref, Text, marked
from wideproof.derive.linear.realization import convolution_of
from wideproof.numeric.core.checks import Check, overall
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.krylov import draw_rnn, impulse_response as impulse_of_rnn
from wideproof.numeric.linear_rnn.quadratic_loss import apply_filter
from wideproof.numeric.linear_rnn.realization import METHODS, realize
from wideproof.numeric.paper.experiments import DrawSizes, KernelSizes, RealizationSizes
from wideproof.numeric.validation.convergence import KernelError, kernel_error
from wideproof.numeric.validation.linear_rnn.experiment import DEFAULTS
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.item import Context, PaperClaim, Result, from_checks, goal, theorem, verified
from wideproof.reports.paper.width_gaps import exact, falling, slope_claim
from wideproof.reports.write.inline_math import mathematical


def proposition_21a(context: Context) -> Result:
    """The RNN is the convolution with L_j = n^{-(j+1)/2} C W^j F, at every width."""
    derivation = convolution_of(context.rnn)
    rng = np.random.default_rng(context.seed)
    rnn = draw_rnn(7, 3, 2, **DEFAULTS, rng=rng)
    x = rng.standard_normal((4, 9, 3))
    h, y = np.zeros((4, 7)), []
    for step in range(9):
        h = h @ rnn.W.T / 7**0.5 + x[:, step] @ rnn.F.T
        y.append(h @ rnn.C.T / 7**0.5)
    gap = float(np.max(np.abs(np.stack(y, axis=1) - apply_filter(impulse_of_rnn(rnn, 9), x))))
    lead = marked(r"For inputs $x_t$ in $\mathbb{R}^{n_x}$ and $n$ hidden units that start at zero, the outputs of "
                  r"the linear RNN are $y_t = \sum_{j \le t} L_j\,x_{t-j}$ in $\mathbb{R}^{n_y}$ at every width, with "
                  "the impulse response")  # fmt: skip
    blocks = theorem(context, "prop-21a", "An RNN is a convolution", derivation, lead, "proposition")
    return Result(
        blocks,
        (
            verified("impulse response at any width", derivation),
            exact("stepping a random RNN of width 7 equals filtering", gap),
        ),
    )


def proposition_21b(context: Context) -> Result:
    """Every impulse response of horizon T is that of an RNN with T n_x n_y units."""
    rng = np.random.default_rng(context.seed)
    sizes = context.setting(RealizationSizes)
    T, n_y, n_x = sizes.realized_horizon, sizes.realized_outputs, sizes.realized_inputs
    target = rng.standard_normal((T, n_y, n_x))
    derivation = realization(target.tolist())
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (found.method, str(found.units), value(found.error, digits=2), value(found.condition, digits=3))
        for found in (realize(target, method) for method in METHODS)
    )
    table = Table(
        ("construction", "hidden units", "largest error", "condition number"),
        rows,
        f"Realisations in double precision of a random impulse response, horizon {T}, {n_x} inputs, {n_y} outputs. The "
        "conditioning of the Vandermonde system is a limit of the proposition's construction, not of the "
        "statement. Nodes: on a circle in the complex plane, or Chebyshev's on the real line; balanced is the "
        "realisation of Ho and Kalman, of which the proposition says nothing.",
        "tab:realisations",
        "lrrr",
    )
    statement = theorem(
        context,
        "prop-21b",
        "A convolution is an RNN",
        derivation,
        "With one unit for each input, output and lag, and different nodes,",
        "proposition",
        marked(r"where the horizon is $T = j + m + 1$, $\lambda_k$ are its nodes, $\ell^{(T)}_{k,i}$ is the "
               "coefficient of the power $i$ in the Lagrange polynomial of node $k$ among $T$, and $L_i$ is the "
               "given response: what stands before it on the left is what the units of node $k$ carry."),
    )  # fmt: skip
    best = min(realize(target, method).error for method in METHODS)
    want = T * n_x * n_y
    units = PaperClaim("T n_x n_y hidden units suffice", "holds" if derivation.units == want else "refuted",
                  derivation.units, None, float(want))  # fmt: skip
    return Result(
        (*statement, table, *context.assumptions("prop-2.1b")),
        (
            verified("interpolation at different nodes", derivation),
            units,
            exact("the best conditioned realisation has the response", best),
        ),
    )


def theorem_32(context: Context) -> Result:
    """The scaled convolution with the derived scale factors has the kernel of the RNN."""
    derivation = equivalent_convolution(context.rnn)
    rho = scale_factors(context.rnn).formula.compile("numpy")(j=np.arange(5), **DEFAULTS)
    X = np.random.default_rng(context.seed).standard_normal((3, 5, 2))
    start = matched(np.zeros((5, 1, 2)), rho)
    gap = float(
        np.max(np.abs(_gradient_gram(start.rho, X) - Kernel(context.rnn, "entries", "numpy", **DEFAULTS).ntk(X, X)))
    )
    lead = marked(r"The scaled convolution $y_t = \sum_j g_j\,\theta_j\,x_{t-j}$ of parameters $\theta_j$ has, for "
                  "all inputs, the tangent kernel that the linear RNN has in the limit of infinite width exactly if "
                  "its gain at each lag is")  # fmt: skip
    blocks = theorem(context, "thm-32", "Scaled convolution", derivation, lead)
    return Result(
        blocks,
        (
            verified("kernel of the scaled convolution", derivation),
            exact("products of its gradients, summed, equal the kernel of the RNN", gap),
        ),
    )


def _gradient_gram(rho: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Sum over all entries of theta of products of d y_t / d theta.  Shapes: (T,), (N, T, n_x) -> (N, T, N, T)."""
    count, horizon, n_x = X.shape
    gradient = np.zeros((count, horizon, horizon, n_x))
    for step in range(horizon):
        for lag in range(step + 1):
            gradient[:, step, lag] = np.sqrt(rho[lag]) * X[:, step - lag]
    flat = gradient.reshape(count * horizon, -1)
    return np.asarray((flat @ flat.T).reshape(count, horizon, count, horizon))


def theorem_33a(context: Context) -> Result:
    """The impulse response converges to independent Gaussians."""
    derivation = impulse_response(context.rnn)
    names = ("second-moment", "excess-kurtosis", "distribution", "correlation", "square-correlation")
    checks = [c for c in context.validation.checks if c.quantity in names[:3]]
    others = [c for c in context.validation.checks if c.quantity in names[3:]]
    lead = marked(r"As $n \to \infty$, the entries of the impulse response $L_0, L_1, \ldots$ converge jointly in law "
                  "to centred Gaussians, independent between entries and between lags:")  # fmt: skip
    blocks = theorem(context, "thm-33a", "Impulse response", derivation, lead)
    blocks = (*blocks, drawn(context), *context.assumptions("thm-3.3a"))
    found = (*from_checks(checks), together("correlations of lags, and of their squares, vanish", others))
    return Result(blocks, (verified("law of the impulse response", derivation), *found))


def theorem_33b(context: Context) -> Result:
    """The tangent kernel converges to the weighted sum of input products."""
    derivation, whole = scale_factors(context.rnn), ntk(context.rnn)
    checks = [c for c in context.validation.checks if c.quantity == "scale-factor"]
    others = [c for c in context.validation.checks if c.quantity == "kernel-coupling"]
    error = kernel_gap(context)
    blocks = (
        *theorem(context, "thm-33b", "Tangent kernel", derivation,
                 "in which the weight of each lag, its scale factor, is", tail=_matrix_form(), first=(
                     Paragraph(marked(r"As $n \to \infty$, the tangent kernel of all parameters, between output $r$ "
                                      "at time $t$ on $x$ and output $r'$ at time $s$ on $x'$, converges in "
                                      "probability to")),
                     *goal(whole, "eq:thm-33b-kernel"),
                 )),
        drawn(context),
        Paragraph((Ref("fig:paper-kernel"), " shows how the kernel of a random network approaches its limit.")),
        *falling(error, "kernel", context, "relative error", "Relative error of the empirical kernel, in the norm of "
                 "Frobenius, against the width: root mean square"),
        *context.assumptions("thm-3.3b"),
    )  # fmt: skip
    return Result(
        blocks,
        (
            verified("scale factors", derivation),
            verified("tangent kernel", whole),
            *from_checks(checks),
            together("couplings of lags vanish", others),
            slope_claim("the kernel's error falls as the width to the power -1/2", error),
        ),
    )


def kernel_gap(context: Context) -> KernelError:
    """The distance of the empirical kernel from its limit against the width."""
    sizes = context.setting(KernelSizes)
    with context.stage("tangent kernel against width") as progress:
        return kernel_error(
            context.variances,
            sizes.kernel_widths,
            sizes.kernel_networks,
            seed=context.seed,
            progress=progress,
            tasks=context.tasks,
        )


def _matrix_form() -> Text:
    return marked("In the paper's form this is "
                  r"$\mathcal{T}(x)^{\mathsf{T}} D(\rho)\,\mathcal{T}(x') \otimes I_{n_y}$, with the block Toeplitz "
                  r"matrix $\mathcal{T}(x)$ of the inputs and the diagonal matrix $D(\rho)$ that repeats each scale "
                  "factor $n_x$ times.")  # fmt: skip


def drawn(context: Context) -> Paragraph:
    """How the laws are measured, and when a check of them holds; told once."""
    if DrawSizes in context.shown:
        return Paragraph(("Measured and judged as told before ", Ref(context.shown[DrawSizes]), "."))
    plan, checks = context.validation.measurements.plan, context.validation.checks
    effects = {c.quantity: c.effect for c in checks}
    return Paragraph(
        f"Measured in random networks of the widths {', '.join(map(str, plan.widths))}, {plan.trials} at each. Second "
        "moments, correlations and, at the first lags, fourth moments are compared with their exact means at the "
        "width; every other estimate is fitted in powers of the inverse width and read off at infinite width, with its "
        "standard error; a refutation needs the fits of two neighbouring degrees. The law itself is compared at the "
        "largest width, by the largest distance of the empirical distribution function from the Gaussian one, in "
        "Kolmogorov's test. With "
        "p-values corrected by Holm, a true theory would be refuted anywhere among these "
        f"{len(checks)} checks with probability at most {checks[0].false_alarm:g}. A check holds only if it would, "
        f"nine times in ten, have seen an error of {effects['second-moment']:.0%} in a second moment, "
        f"{effects['scale-factor']:.0%} in a scale factor, {effects['excess-kurtosis']:g} in a kurtosis or "
        f"{effects['distribution']:g} in a distribution function."
    )


def together(what: str, checks: Sequence[Check]) -> PaperClaim:
    """Many checks of one kind as one claim, with the smallest of their corrected p-values."""
    least = min((c.p_value for c in checks), default=1.0)
    return PaperClaim(f"{len(checks)} {what}: smallest p, corrected for all checks", overall(checks), least)


def equation_22(context: Context) -> Result:
    """The bound on the scale factors in its true forms, and the false readings refuted."""
    blocks: list[Block] = []
    claims = []
    for form in ("paper", "sharp", "T-free"):
        derivation = scale_factor_bound(context.rnn, form)
        name = f"eq-22-{form.lower()}"
        if form == "paper":
            blocks += theorem(context, name, f"Bound, {form} form", derivation, "The scale factors obey", "proposition")
        else:
            blocks += [Paragraph(mathematical(f"In the {form} form,")), *goal(derivation, f"eq:{name}")]
        claims.append(verified(f"bound in the {form} form", derivation))
    blocks.append(Paragraph("Other readings of the paper's display are false. Each has an exact counter-example:"))
    for i, derivation in enumerate(refuted_bounds(context.rnn), 1):
        blocks += [Paragraph(f"Reading {i} fails, since"), *goal(derivation, f"eq:false-{i}")]
        claims.append(verified(f"counter-example to reading {i}", derivation))
    peak = scale_factor_peak(context.rnn)
    blocks += [
        Paragraph("The scale factors need not fall with the lag. The largest is that of the lag on the right:"),
        *goal(peak, "eq:peak"),
        Paragraph("That of lag 1 is larger than that of lag 0 where this is positive:"),
        Equation(display(Latex(r"\rho_1 - \rho_0"), peak.rise.formula.expr, program=peak.program), "eq:rise"),
    ]
    claims.append(verified("the lag of the largest scale factor", peak))
    return Result(tuple(blocks), tuple(claims))
