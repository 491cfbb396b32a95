"""The errata section: what the paper says, what is true, and the machine's check of it."""

from __future__ import annotations

import json

from derive.errata import ERRATA, Erratum
from numeric.errata import check_errata
from reports.document import Paragraph
from reports.paper.item import Claim, Context, Item, Result
from reports.text import Emph


def erratum_item(erratum: Erratum) -> Item:
    """One erratum as an item of the paper."""

    def make(context: Context) -> Result:
        with context.stage(f"erratum {erratum.item}") as progress:
            (found,) = check_errata((erratum.item,), context.seed)
            progress(1, 1)
        seen = "its own words" if erratum.wording == "visible" else "as restored from its proof"
        blocks = (
            Paragraph((Emph("The paper"), f" ({erratum.where}; {seen}): {erratum.claim}")),
            Paragraph((Emph("What is true: "), erratum.corrected)),
            Paragraph((Emph("Evidence: "), _evidence(found.evidence))),
        )
        if found.holds is None:
            return Result(blocks, (Claim("a matter of wording", "holds"),))
        return Result(blocks, (Claim("the corrected statement", "holds" if found.holds else "refuted"),))

    return Item(erratum.item, erratum.item, f"erratum to {erratum.where}", make)


def _evidence(evidence: object) -> str:
    """The evidence as words, numbers to four digits."""
    return json.dumps(_short(evidence), default=str).replace('"', "").strip("{}")


def _short(data: object) -> object:
    if isinstance(data, dict):
        return {key: _short(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [_short(item) for item in data]
    return float(f"{data:.4g}") if isinstance(data, float) else data


ERRATUM_ITEMS = tuple(erratum_item(erratum) for erratum in ERRATA)
