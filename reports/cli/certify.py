"""The verb `certify`: a proof as a Coq file, checked by coqc where it is installed."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wideproof.derive.referee.quantities import named, quantity_named
from wideproof.reports.cli.console import EXIT, Stages, out, print_json, table
from wideproof.reports.cli.models import Model, model_with
from wideproof.reports.cli.quantities import completed
from wideproof.reports.cli.symbols import Json, parameters

if TYPE_CHECKING:
    from wideproof.derive.certificate.certificate import Certificate
    from wideproof.derive.certificate.coqc import CoqVerdict


def certify_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="[QUANTITY]",
            help=f"One of {', '.join(named())}; left out with the model `all`, every quantity that is covered.",
            autocompletion=lambda: completed("", "lag"),
        ),
    ] = "",
    lag: Annotated[int | None, typer.Option(min=0, help="The lag of a quantity at finite width, such as 2.")] = None,
    folder: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the .v file goes.")] = Path(
        "certificates"
    ),
    as_json: Json = False,
) -> None:
    """Write the proof of a quantity as a Coq file, and let coqc check every step of it.

    Exit codes: 0 coqc accepts it, 1 coqc refuses a lemma, and so do replay and audit of the proof, 3 undecided: coqc is
    not installed, too slow, or refuses a script although no numbers speak against its claim; 2 usage, and what no
    certificate covers.

    Examples: [b]wideproof certify linear-rnn scale-factors -o certificates[/b],
    [b]wideproof certify all -o certificates[/b]
    """
    if model == "all" and not quantity:
        parameters(context, ())
        from wideproof.derive.certificate.coverage import COVERED

        wanted = {f"{row.model}-{row.quantity}": row.certificate for row in COVERED}
    else:
        recursion, known = model_with(context, model), quantity_named(quantity)
        parameters(context, ())
        from wideproof.derive.certificate.certificate import certify

        wanted = {f"{recursion.name}-{quantity}": lambda: certify(known(recursion, lag).proof)}
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, CoqVerdict] = {}
    with Stages(quiet=as_json) as stages:
        for name, certificate in wanted.items():
            with stages(f"certificate of {name}") as progress:
                found[name] = _checked(certificate(), folder / f"{name}.v")
                progress(1, 1)
    worst = max(
        (x.verdict for x in found.values()), key=lambda verdict: ("holds", "undecided", "refuted").index(verdict)
    )
    left = _uncovered() if model == "all" else []
    if as_json:
        rows = [_row(name, x, folder) for name, x in found.items()]
        print_json({"verdict": worst, "certificates": rows, **({"uncovered": left} if left else {})})
    else:
        _told(found, folder)
        if left:
            table(("not exported", "reason"), [(row["what"], row["reason"]) for row in left])
    raise typer.Exit(EXIT[worst])


def _uncovered() -> list[dict[str, str]]:
    """What no certificate covers, each with its reason."""
    from wideproof.derive.certificate.coverage import UNCOVERED

    return [{"what": row.what, "reason": row.reason} for row in UNCOVERED]


def _checked(certificate: Certificate, path: Path) -> CoqVerdict:
    from wideproof.derive.certificate.coqc import check
    from wideproof.numeric.core.files import write_atomically

    write_atomically(path, certificate.text)

    return check(certificate)


def _row(name: str, found: CoqVerdict, folder: Path) -> dict[str, object]:
    return {"name": name, "file": str(folder / f"{name}.v"), **asdict(found)}


def _told(found: dict[str, CoqVerdict], folder: Path) -> None:
    """The verdicts, then what the goals rest on."""
    table(("certificate", "lemmas", "verdict"), [(name, str(x.lemmas), x.verdict) for name, x in found.items()])
    for name, x in found.items():
        if x.reason:
            out.print(f"{name}: {x.reason}", markup=False)
    out.print(f"{sum(x.lemmas for x in found.values())} lemmas, written to {folder}", markup=False)
    for head, names in (
        ("Believed: the definition and", {y for x in found.values() for y in x.assumed if _is_theorem(y)}),
        ("Axioms of the real numbers:", {y for x in found.values() for y in x.axioms}),
    ):
        if names:
            out.print(f"{head} {', '.join(sorted(names))}", markup=False)


def _is_theorem(name: str) -> bool:
    """Whether an assumption is a cited theorem, named by a key of the bibliography, or a row of the dual table."""
    return re.match(r"[a-z]+\d{4}[a-z]+|dual_activation", name) is not None
