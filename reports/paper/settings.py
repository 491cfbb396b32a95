"""What each figure and table of the paper assumes: listed in the report, and settable by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from derive.errors import ParameterError
from numeric.experiments import Choice, DelaySetting, Ladder, Protocol, Setting, Sizes, choices, chosen
from numeric.experiments.protocol import QUICK as QUICK_PROTOCOL
from reports.document import Table
from reports.text import Code, Text

Kind = TypeVar("Kind")
USED: dict[str, tuple[type, ...]] = {
    "prop-3.1": (Setting, Sizes, Ladder),
    "fig1": (Setting, Sizes),
    "fig2": (Setting, Sizes),
    "fig3": (DelaySetting,),
    "fig4": (Protocol,),
    "table1": (Protocol,),
}
"""The settings that an item reads."""
FULL: dict[type, Any] = {kind: kind() for kind in (Setting, Sizes, Ladder, DelaySetting, Protocol)}
QUICK: dict[type, Any] = FULL | {
    Sizes: replace(FULL[Sizes], networks=10),
    Ladder: replace(FULL[Ladder], linearised_networks=8),
    DelaySetting: replace(FULL[DelaySetting], delays=(0, 3, 6, 9, 12), seeds=(1, 2, 3, 4), width=300, steps=200),
    Protocol: QUICK_PROTOCOL,
}


def setting_of(kind: type[Kind], quick: bool, changes: Mapping[str, str]) -> Kind:
    """The setting of one kind at its quick or full size, with the changes that the command line asked for."""
    found: Kind = chosen((QUICK if quick else FULL)[kind], dict(changes))
    return found


def parse_changes(pairs: Sequence[str], items: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a table.

    Errors: ParameterError for another form, or a name that none of the items reads.
    """
    known = {choice.name for item in items for kind in USED.get(item, ()) for choice in choices(FULL[kind])}
    changes = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not value:
            raise ParameterError("--set", "NAME=VALUE", repr(pair), "Such as --set nu_W=0.5 or --set delays=0,5,10.")
        if name not in known:
            hint = "wideproof reproduce ITEM --list-settings shows them with their meaning."
            want = ", ".join(sorted(known)) or "nothing: these items have no settings"
            raise ParameterError("--set", want, repr(name), hint)
        changes[name] = value
    return changes


def choices_of(item: str, quick: bool, changes: Mapping[str, str]) -> tuple[Choice, ...]:
    """Every choice that an item reads, as it stands."""
    return tuple(c for kind in USED.get(item, ()) for c in choices(setting_of(kind, quick, changes)))


def assumptions(item: str, quick: bool, changes: Mapping[str, str], label: str) -> Table:
    """The choices of one item as a table that tells the paper's from ours."""
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (Code(c.name), c.text, c.meaning, "the paper" if c.stated else "assumed")
        for c in choices_of(item, quick, changes)
    )
    caption = (
        "Every choice of this experiment. What the paper does not state is our assumption; each can be set by name, "
        "as in ",
        Code(f"wideproof reproduce {item} --set {rows[0][0].text}={rows[0][1]}"),  # type: ignore[union-attr]
        ".",
    )
    return Table(("name", "value", "meaning", "source"), rows, caption, label, "lXXl")
