"""What each measured item of the paper assumes: listed in the report, and settable by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.latex.text import Code, Ref, Text
from wideproof.numeric.paper.experiments import (
    Assumption,
    DelaySetting,
    DrawSizes,
    Ladder,
    Protocol,
    Sizes,
    choices,
    chosen,
)
from wideproof.numeric.paper.experiments.recording_protocol import QUICK
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.write.inline_math import mathematical

Kind = TypeVar("Kind")
LONGEST = 20  # letters of a value in a table
USED: dict[str, tuple[type, ...]] = {}
"""The settings that an item reads, by its name, as the items say."""
SMALLER: dict[type, Any] = {
    Sizes: Sizes(networks=10),
    Ladder: Ladder(linearised_networks=8),
    DrawSizes: DrawSizes(trials=4000),
    DelaySetting: DelaySetting(delays=(0, 3, 6, 9, 12), seeds=(1, 2, 3, 4), width=300, steps=200),
    Protocol: QUICK,
}
"""The settings that are others with --quick."""


def setting_of(kind: type[Kind], quick: bool, changes: Mapping[str, str]) -> Kind:
    """The setting of one kind at its quick or full size, with the changes that the command line asked for."""
    found: Kind = chosen(SMALLER[kind] if quick and kind in SMALLER else kind(), dict(changes))
    return found


def parse_changes(pairs: Sequence[str], items: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs as a table.

    Errors: ParameterError for another form, or a name that none of the items reads.
    """
    known = {choice.name for item in items for kind in USED.get(item, ()) for choice in choices(kind())}
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


def choices_of(item: str, quick: bool, changes: Mapping[str, str]) -> tuple[Assumption, ...]:
    """Every choice that an item reads, as it stands."""
    return tuple(c for kind in USED.get(item, ()) for c in choices(setting_of(kind, quick, changes)))


def assumptions(item: str, quick: bool, changes: Mapping[str, str], shown: dict[type, str]) -> tuple[Block, ...]:
    """The choices of one item as a table that tells the paper's from ours; `shown` remembers what stands where."""
    fresh = [kind for kind in USED[item] if kind not in shown]
    before = tuple(dict.fromkeys(shown[kind] for kind in USED[item] if kind in shown))
    blocks: list[Block] = []
    if fresh:
        label = f"tab:{item.replace('.', '-')}-choices"
        found = [c for kind in fresh for c in choices(setting_of(kind, quick, changes))]
        blocks.append(_table(item, found, label))
        shown.update(dict.fromkeys(fresh, label))
    if before:
        lead = "The other choices of this experiment stand in " if fresh else "The choices of this experiment stand in "
        refs = tuple(part for label in before for part in (" and ", Ref(label)))[1:]
        blocks.append(Paragraph((lead, *refs, ".")))
    return tuple(blocks)


def _table(item: str, found: Sequence[Assumption], label: str) -> Table:
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (Code(c.name), mathematical(c.meaning), _short(c), "the paper" if c.stated else "assumed") for c in found
    )
    caption = (
        "Choices of this experiment. What the paper does not state is our assumption; each can be set by its name, "
        "as in ",
        Code(f"wideproof reproduce {item} --set {found[0].name}={found[0].text}"),
        ".",
    )
    return Table(("name", "meaning", "value", "source"), rows, caption, label, "lXll")


def _short(choice: Assumption) -> str:
    """The value; of a long list its ends and its length."""
    parts = choice.text.split(",")
    if len(choice.text) <= LONGEST:
        return ", ".join(parts)
    return f"{parts[0]} to {parts[-1]}, {len(parts)} values"
