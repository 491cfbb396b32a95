"""Proposition 3.1: in the kernel regime the RNN trains as its linearisation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wideproof.derive import Recursion
from wideproof.derive.latex.text import Cite, Latex, Ref, Text, marked
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, weights
from wideproof.numeric.paper.experiments import Ladder, LinearisedGaps, Protocol, RankSizes, Setting, linearised_gaps
from wideproof.numeric.paper.experiments.recording_protocol import FULL, prepare
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import teacher_data
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table, Theorem
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.item import Context, PaperClaim, Result
from wideproof.reports.paper.width_gaps import at_most, gap_figure, gaps_of, rate
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed


def proposition_31(context: Context) -> Result:
    """The proposition's conditions, and both of its gaps measured against the width."""
    found, gaps = linearised(context), gaps_of(context)
    ranks, rank_claims = _ranks(context)
    blocks = (
        *_statement(),
        *ranks,
        Paragraph((
            "Measured first: a random network and its own linearisation at the start, whose kernel is that of the same "
            f"network, trained with one step size for {len(found.rnn) - 1} steps. Their gap is the largest relative "
            "difference of the two training errors (", Ref("fig:prop-31-linearised"), "). Networks are sampled in law, "
            "and a network and its linearisation share one draw. The power of the width is fitted to the logarithms, "
            "with a term in the inverse root of the width for the narrow networks.",
        )),
        _linearised_figure(context, found),
        Paragraph("Measured second: random networks beside the linearisation with the limiting kernel, which is the "
                  "scaled convolution. This gap holds the fluctuation of the kernel too, and falls slower."),
        *gap_figure(context, gaps, "training", "prop-31-gap"),
        *context.assumptions("prop-3.1"),
    )  # fmt: skip
    low, high = (found.slope + sign * 1.96 * found.slope_stderr for sign in (-1, 1))
    claims = (
        at_most(f"the gap to the network's own linearisation falls at least as the width to the power -1/2 (95 % "
                f"interval of the power {low:.2f} to {high:.2f})", found.slope, found.slope_stderr, -0.5),
        rate("the gap to the linearisation with the limiting kernel falls as the width to the power -1/2",
             gaps.slope, gaps.slope_stderr),
        *rank_claims,
    )  # fmt: skip
    return Result(blocks, claims)


def _statement() -> tuple[Block, ...]:
    said = Theorem(
        (
            Paragraph(marked(r"Let $\hat f^{(\ell)}_n$ be a network of width $n$ after $\ell$ steps of gradient "
                             r"descent, and $\hat f^{\mathrm{lin},(\ell)}_n$ its linearisation at the start, trained "
                             "alike. If the maps of the recursion and their slopes are Lipschitz, the step size is "
                             "below twice the reciprocal of the largest curvature, and the limiting kernel is "
                             "positive definite on the training set, then in probability")),
            Equation(Latex(r"\lim_{n \to \infty}\ \sup_{\ell \ge 0}\ \left\lVert \hat f^{(\ell)}_n(x) - "
                           r"\hat f^{\mathrm{lin},(\ell)}_n(x) \right\rVert = 0."), "eq:prop-31"),
        ),
        "proposition", "Kernel regime", "thm:prop-31",
    )  # fmt: skip
    return said, Paragraph((
        "This is ", Cite("emami2021implicit", "Proposition 3.1, (16)"), ", after ", Cite("lee2019wide"), " and ",
        Cite("jacot2018neural"), *marked("; it is cited and not proved here. The map of the linear RNN is the "
                                         "identity, which is Lipschitz, but the last condition fails (E6): the "
                                         "kernel has rank at most $T n_x n_y$, below the number of outputs of any "
                                         "data set with more than $n_x$ sequences ("),
        Ref("tab:prop-31-rank"), "). What remains, and is measured here, is the statement for a bounded number of "
        "steps.",
    ))  # fmt: skip


def linearised(context: Context) -> LinearisedGaps:
    """Networks beside their own linearisations at every width."""
    with context.stage("linearised against true training") as progress:
        found = linearised_gaps(
            context.setting(Setting),
            context.setting(Ladder),
            announce=context.announce,
            progress=progress,
            tasks=context.tasks,
        )
    context.runs["linearised"] = found
    return found


def _linearised_figure(context: Context, found: LinearisedGaps) -> Block:
    drawn = figures.power_law(found.widths, {"gap": found.mean}, "width $n$", "gap of the training errors",
                              {"gap": found.stderr}, {"gap": (found.slope, found.slope_stderr)})  # fmt: skip
    return placed(drawn, context.folder, "prop-31-linearised",
                  f"Largest relative gap between network and linearisation against the width: mean and standard "
                  f"error over {len(found.gaps[0])} networks. The line has the fitted power.",
                  "fig:prop-31-linearised")  # fmt: skip


def _ranks(context: Context) -> tuple[tuple[Block, ...], tuple[PaperClaim, ...]]:
    """The rank of the limiting kernel on every data set, and for sequences of the teacher's sizes by its matrix."""
    setting = context.setting(Setting)
    sets = {"the teacher's sequences": teacher_data(setting)[0]}
    for recording in context.recordings:
        protocol = replace(Protocol(), lags=context.setting(RankSizes).rank_lags)
        sets[recording.name] = prepare(recording, protocol, FULL)[0].training
    nu: dict[str, Any] = {"nu_W": setting.nu_W, "nu_F": setting.nu_F, "nu_C": setting.nu_C}
    rows: list[tuple[Text, ...]] = []
    for name, data in sets.items():
        rank, most = kernel_rank(data, scale_of_lags(data.lags, **nu)), data.lags * data.n_x * data.n_y
        met = "met" if rank == data.count else "not met"
        rows.append((name, value(data.count, digits=7), value(rank, digits=7), value(most, digits=7), met))
    table = Table(
        ("data", "outputs", "rank", "taps", "condition"),
        tuple(rows),
        marked("The condition that the limiting kernel is positive definite on the training set: its rank beside the "
               "number of outputs. Taps: $T n_x n_y$."),
        "tab:prop-31-rank",
        "Xrrrl",
    )  # fmt: skip
    return (table,), (matrix_rank(context.rnn, setting, nu),)


def matrix_rank(rnn: Recursion, setting: Setting, nu: dict[str, Any]) -> PaperClaim:
    """The rank of the kernel matrix of random sequences is the number of taps, or of outputs if they are fewer."""
    count, T, n_x = setting.sequences, setting.horizon, setting.n_x
    X = np.random.default_rng(setting.data_seed).standard_normal((count, T, n_x))
    rank = int(np.linalg.matrix_rank(Kernel(rnn, **nu).ntk(X).reshape(count * T, count * T), hermitian=True))
    taps = min(T * n_x, count * T)
    return PaperClaim(f"rank of the kernel matrix of {count} sequences of {T} steps, one output: the number of taps",
                 "holds" if rank == taps else "refuted", rank, None, taps)  # fmt: skip


def kernel_rank(data: Quadratic, rho: np.ndarray) -> int:
    """The rank of the limiting kernel on a data set, from the data operator: no kernel matrix is formed.

    Source: emami2021implicit, (17) and erratum E6.
    """
    root = np.asarray(weights(data, rho)) ** 0.5
    return int(np.linalg.matrix_rank(root * np.asarray(data.sxx) * root.T, hermitian=True)) * data.n_y
