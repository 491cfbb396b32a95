"""Propositions, theorems and lemmas: derivation, proof, and the numbers that judge them."""

from __future__ import annotations

import numpy as np

from derive import (
    equivalent_convolution,
    impulse_response,
    ntk,
    realization,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
)
from derive.realization import convolution_of
from numeric.checks import overall
from numeric.convergence import kernel_error
from numeric.convolution import matched
from numeric.data import apply_filter
from numeric.experiments import KernelSizes, RealizationSizes
from numeric.kernels import Kernel
from numeric.krylov import draw_rnn
from numeric.krylov import impulse_response as impulse_of_rnn
from numeric.realization import METHODS, realize
from numeric.validate import DEFAULTS
from reports.document import Block, Equation, Paragraph, Table
from reports.mathtext import display
from reports.numbers import value
from reports.paper.gaps import exact, falling, slope_claim
from reports.paper.item import Claim, Context, Result, from_checks, goal, theorem, verified
from reports.text import Latex, Math, Text


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
    blocks = theorem(context, "prop-21a", "An RNN is a convolution", derivation, "At every width,", "proposition")
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
        "statement.",
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
        ("where the horizon is ", Math(Latex("T = j + m + 1")), ", ", Math(Latex(r"\lambda_k")), " are its nodes, ",
         Math(Latex(r"\ell^{(T)}_{k,i}")), " is the coefficient of the power ", Math(Latex("i")), " in the Lagrange "
         "polynomial of node ", Math(Latex("k")), " among ", Math(Latex("T")), ", and ", Math(Latex("L_i")),
         " is the given response: what stands before it on the left is what the units of node ", Math(Latex("k")),
         " carry."),
    )  # fmt: skip
    best = min(realize(target, method).error for method in METHODS)
    want = T * n_x * n_y
    units = Claim("T n_x n_y hidden units suffice", "holds" if derivation.units == want else "refuted",
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
    blocks = theorem(context, "thm-32", "Scaled convolution", derivation, "The gain of each lag is")
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
    blocks = theorem(context, "thm-33a", "Impulse response", derivation, "As the width grows,")
    together = Claim(f"{len(others)} correlations between lags vanish", overall(others), None, None)
    blocks = (*blocks, *context.assumptions("thm-3.3a"))
    return Result(blocks, (verified("law of the impulse response", derivation), *from_checks(checks), together))


def theorem_33b(context: Context) -> Result:
    """The tangent kernel converges to the weighted sum of input products."""
    derivation, whole = scale_factors(context.rnn), ntk(context.rnn)
    checks = [c for c in context.validation.checks if c.quantity == "scale-factor"]
    others = [c for c in context.validation.checks if c.quantity == "kernel-coupling"]
    sizes = context.setting(KernelSizes)
    with context.stage("tangent kernel against width") as progress:
        error = kernel_error(
            context.variances, sizes.kernel_widths, sizes.kernel_networks, seed=context.seed, progress=progress
        )
    blocks = (
        *theorem(context, "thm-33b", "Tangent kernel", derivation, "As the width grows, the weight of each lag is"),
        *falling(error, "kernel", context, "Relative error of the empirical kernel against the width."),
        *context.assumptions("thm-3.3b"),
    )
    together = Claim(f"{len(others)} couplings of lags vanish", overall(others), None, None)
    return Result(
        blocks,
        (
            verified("scale factors", derivation),
            verified("tangent kernel", whole),
            *from_checks(checks),
            together,
            slope_claim("the kernel's error falls as -1/2", error),
        ),
    )


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
            blocks += [Paragraph(f"In the {form} form,"), *goal(derivation, f"eq:{name}")]
        claims.append(verified(f"bound in the {form} form", derivation))
    blocks.append(Paragraph("Other readings of the paper's display are false. Exact counter-examples:"))
    for i, derivation in enumerate(refuted_bounds(context.rnn)):
        blocks += goal(derivation, f"eq:false-{i}")
        claims.append(
            verified(f"counter-example to the reading {derivation.quantity.removeprefix('refuted-')}", derivation)
        )
    peak = scale_factor_peak(context.rnn)
    blocks += [
        Paragraph("The scale factors need not fall with the lag. They rise up to"),
        *goal(peak, "eq:peak"),
        Paragraph("and the second is larger than the first where this is positive:"),
        Equation(display(Latex(r"\rho_1 - \rho_0"), peak.rise.formula.expr, program=peak.program), "eq:rise"),
    ]
    claims.append(verified("the lag of the largest scale factor", peak))
    return Result(tuple(blocks), tuple(claims))
