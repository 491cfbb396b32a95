"""The verb `bench`: ours against its rivals, paired in one run."""

from __future__ import annotations

from typing import Annotated

import typer

from wideproof.reports.cli.console import Stages, err, out, print_json, table

REACHED = "the least time for what ours must read, multiply and draw"


def bench_command(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One benchmark; all if left out.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="The main problems and fewer pairs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Time our programs and their rivals by turns: medians of CPU-time ratios, one thread; above 1 ours is faster.

    Rivals that are not installed are left out: pip install 'wideproof\\[bench]' brings PyTorch and JAX.

    Example: [b]wideproof bench monte-carlo --quick[/b]
    """
    from wideproof.numeric.benchmarks import bench

    with Stages(quiet=as_json) as stages, stages("benchmarks") as progress:
        found = bench(name or None, progress, quick)
    if as_json:
        print_json(found.to_dict())
        return
    rows = [
        (
            r.name,
            r.rival,
            f"n={r.n or '∞'} T={r.T} {r.n_x}→{r.n_y} N={r.N or '–'} {r.dtype}",
            f"{r.ratio:.3g} ({r.ratio_low:.3g}–{r.ratio_high:.3g})",
            f"{r.ours_s:.2g}",
            f"{100 * r.fraction:.2g} %",
        )
        for r in found.rows
    ]
    table(("benchmark", "rival", "problem", "rival / ours", "ours, s", "reached"), rows)
    for note in found.notes:
        err.print(note)
    out.print(f"{found.date}, one thread and CPU time but where a benchmark says otherwise; reached: {REACHED}")
