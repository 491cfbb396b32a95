"""Monte Carlo and training at finite width beside the predictions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wideproof.derive.latex.text import Cite, Latex, Math, Ref, Text
from wideproof.numeric.paper.experiments import Dynamics
from wideproof.reports.document.blocks import Paragraph, Section, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import LinearRun, checks_of, lags_of
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

QQ_LAGS = (0, 1, 2, 4)
SHOWN = ("second-moment", "scale-factor")
"""Checks that are shown lag by lag; any others are rows of one table."""


def confirmation(run: LinearRun, folder: Path) -> Section:
    """Prediction, measurement and verdict per lag; the Gaussian law; the kernel's error against the width."""
    found, lags = run.validation, lags_of(run)
    variance, weights = (tuple(checks_of(run, name)) for name in SHOWN)
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            value(float(lag), digits=1),
            value(v.prediction),
            value(v.estimate, v.stderr),
            v.verdict,
            value(w.prediction),
            value(w.estimate, w.stderr),
            w.verdict,
        )
        for lag, v, w in zip(lags, variance, weights, strict=True)
    )
    plan, first = found.measurements.plan, found.checks[0]
    kept = found.measurements.kept
    samples = {
        f"lag {lag}": kept[:, lag] / v.prediction**0.5 for lag, v in zip(lags, variance, strict=True) if lag in QQ_LAGS
    }
    error = run.kernel
    curve = figures.power_law(
        error.widths,
        {"$|K_n - K| / |K|$": error.error},
        "width $n$",
        "relative error",
        {"$|K_n - K| / |K|$": error.stderr},
    )
    return Section(
        "Confirmation at finite width",
        (
            Paragraph(
                (
                    f"Random networks of the widths {', '.join(map(str, plan.widths))} were drawn, {plan.trials} "
                    f"at each width for the impulse response and {plan.kernel_trials} for the tangent kernel, with ",
                    Math(Latex(f"n_x = {plan.n_x}")),
                    " and ",
                    Math(Latex(f"n_y = {plan.n_y}")),
                    ". Second moments, correlations and, at the first lags, fourth moments have exact means at every "
                    "width (",
                    Ref("sec:finite"),
                    "), and are judged by those at the largest one; for the other quantities the theory is a limit, "
                    "so each estimate is fitted in powers of ",
                    Math(Latex("1/n")),
                    " and read off at infinite width. A true theory would be refuted anywhere in this family of checks "
                    f"with probability at most {first.false_alarm:g}; a check holds only if it would have seen "
                    f"an error of "
                    f"{variance[0].effect:.0%} in a variance or {weights[0].effect:.0%} in a scale factor. Samplers, "
                    f"chosen automatically: {found.method}.",
                )
            ),
            Table(
                ("lag", "variance", "measured", "verdict", "scale factor", "measured", "verdict"),
                rows,
                ("Prediction and measurement of ", Ref("eq:variance"), " and ", Ref("eq:rho"), ", lag by lag."),
                "tab:lags",
                "rrrlrrl",
            ),
            _others(run),
            Paragraph(
                (
                    Ref("fig:gaussian"),
                    " sets all entries against the Gaussian law, and ",
                    Ref("fig:kernel"),
                    " shows how the kernel of a single network approaches its limit: the fitted power of the width is ",
                    value(*figures.fitted_power(error.widths, error.error, error.stderr)),
                    ", where averages of independent entries have ",
                    Math(Latex("-1/2")),
                    ".",
                )
            ),
            placed(
                figures.gaussian_qq(samples),
                folder,
                "gaussian",
                "Entries of the impulse response at the largest width, divided by the predicted standard deviation, "
                "against the standard normal.",
                "fig:gaussian",
            ),
            placed(
                curve,
                folder,
                "kernel-error",
                f"Relative error of the empirical tangent kernel, root mean square over {error.trials} networks.",
                "fig:kernel",
            ),
        ),
        "sec:confirmation",
    )


def _others(run: LinearRun) -> Table:
    """The remaining checks, one row for each kind."""
    names = {
        "excess-kurtosis": "excess kurtosis vanishes",
        "correlation": "entries are uncorrelated between lags",
        "square-correlation": "squares are uncorrelated between lags",
        "kernel-coupling": "the kernel does not couple lags",
        "distribution": "entries are Gaussian (Kolmogorov)",
    }
    others = {x.quantity: x.quantity.replace("-", " ") for x in run.validation.checks if x.quantity not in SHOWN}
    rows = []
    for name, claim in (others | names).items():
        checks = tuple(checks_of(run, name))
        counts = Counter(check.verdict for check in checks)
        rows.append(
            (
                claim,
                value(float(len(checks)), digits=2),
                value(min(c.p_value for c in checks), digits=2),
                value(max(c.detectable for c in checks), digits=2),
                ", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())),
            )
        )
    return Table(
        ("claim", "checks", "smallest p", "detects", "verdicts"),
        tuple(rows),
        "Independence and the Gaussian law, in the limit; the first three are judged by their exact means at the "
        "largest width where these are known. The p-values are corrected for the number of all checks.",
        "tab:others",
        "lrrrl",
    )


def training(run: LinearRun, folder: Path) -> Section:
    """The wide RNN and the scaled convolution learn alike, and ever more so with the width."""
    d, g, made = run.training, run.gaps, run.training.setting
    curves = {
        "linear RNN, train": d.rnn_train,
        "convolution, train": d.scaled_train,
        "linear RNN, test": d.rnn_test,
        "convolution, test": d.scaled_test,
    }
    name = "largest relative gap"
    gap = figures.power_law(
        g.widths,
        {name: g.mean},
        "width $n$",
        "gap of the training losses",
        {name: g.stderr},
        {name: (g.slope, g.slope_stderr)},
    )
    return Section(
        "Training",
        (
            Paragraph(
                (
                    f"A teacher RNN with {made.teacher} hidden units makes {made.sequences} training and "
                    f"{made.sequences} test sequences of length {made.horizon} at a signal-to-noise ratio of "
                    f"{made.snr_db:g} dB, as in ",
                    Cite("emami2021implicit", "section 5.1"),
                    f". A linear RNN of width "
                    f"{d.width} and the scaled convolution with the derived scale factors start from the same impulse "
                    "response and descend the mean square error by full-batch gradient descent with one step size, ",
                    value(d.step_size),
                    f". {trained(d)} ",
                    Ref("fig:training"),
                    " shows both.",
                )
            ),
            placed(
                figures.training(curves),
                folder,
                "training",
                "Mean square error of the wide linear RNN and of the scaled convolution.",
                "fig:training",
            ),
            Paragraph(
                (
                    "The largest relative gap between the two training curves is ",
                    value(d.train_gap, digits=3),
                    " at this width. ",
                    Ref("fig:gap"),
                    " measures it from width ",
                    _power(g.widths[0]),
                    " to ",
                    _power(g.widths[-1]),
                    f", {len(g.gaps[0])} networks each: the fitted slope in the logarithms is ",
                    value(g.slope, g.slope_stderr),
                    ". Networks are sampled in law, at a cost that does not depend on the width."
                    if g.method == "sampled"
                    else ".",
                )
            ),
            placed(
                gap,
                folder,
                "training-gap",
                "Gap between the training curves of RNN and scaled convolution against the width.",
                "fig:gap",
            ),
        ),
        "sec:training",
    )


def trained(found: Dynamics) -> str:
    """By which method the RNN was trained, why, and how far its losses may be off."""
    off = (
        f"its losses are within {found.error:.1g} of a finer run's"
        if found.error
        else "its losses are exact to rounding"
    )
    return f"The RNN is trained by the method {found.method} ({found.reason}); {off}."


def _power(width: int) -> Math:
    exponent = len(str(width)) - 1
    return Math(Latex(f"10^{{{exponent}}}" if width == 10**exponent else str(width)))
