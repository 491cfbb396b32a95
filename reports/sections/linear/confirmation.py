"""Monte Carlo at finite width beside the predictions."""

from __future__ import annotations

from collections import Counter

from wideproof.derive.latex.text import Latex, Math, Ref, Text, marked
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.convergence import KernelError, kernel_error
from wideproof.numeric.validation.linear_rnn import variances
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import checks_of, lags_of
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, measured
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

QQ_LAGS = (0, 1, 2, 4)
SHOWN = ("second-moment", "scale-factor")
"""Checks that are shown lag by lag; any others are rows of one table."""


WIDTHS = tuple(10**k for k in range(2, 8))
"""Of the networks whose tangent kernel is set against its limit."""


@measured("tangent kernel against width", record="kernel")
def distance(run: Making, progress: Progress) -> KernelError:
    """The distance of the tangent kernel of single networks from its limit."""
    return kernel_error(variances(run.program, run.nu), WIDTHS, seed=run.seed, progress=progress, tasks=run.tasks)


@section("Confirmation at finite width", "sec:confirmation", 40, (validation, distance),
         "confronts them with random draws of finite width")  # fmt: skip
def confirmation(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Prediction, measurement and verdict per lag; the Gaussian law; the kernel's error against the width."""
    found, lags = run[validation], lags_of(run)
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
    error = run[distance]
    curve = figures.power_law(
        error.widths,
        {"$|K_n - K| / |K|$": error.error},
        "width $n$",
        "relative error",
        {"$|K_n - K| / |K|$": error.stderr},
    )
    return (
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
                *marked(
                    "), and are judged by those at the largest one; for the other quantities the theory is a "
                    "limit, so each estimate is fitted in powers of $1/n$"
                ),
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
                *marked(", where averages of independent entries have $-1/2$."),
            )
        ),
        placed(
            figures.gaussian_qq(samples),
            draft.folder,
            "gaussian",
            "Entries of the impulse response at the largest width, divided by the predicted standard deviation, "
            "against the standard normal.",
            "fig:gaussian",
        ),
        placed(
            curve,
            draft.folder,
            "kernel-error",
            f"Relative error of the empirical tangent kernel, root mean square over {error.trials} networks.",
            "fig:kernel",
        ),
    )


def _others(run: ReportRun) -> Table:
    """The remaining checks, one row for each kind."""
    names = {
        "excess-kurtosis": "excess kurtosis vanishes",
        "correlation": "entries are uncorrelated between lags",
        "square-correlation": "squares are uncorrelated between lags",
        "kernel-coupling": "the kernel does not couple lags",
        "distribution": "entries are Gaussian (Kolmogorov)",
    }
    others = {x.quantity: x.quantity.replace("-", " ") for x in run[validation].checks if x.quantity not in SHOWN}
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
