"""A section says what it needs and what it tells; those in the folder of a kind of models are its report's sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from wideproof.reports.document import blocks as doc
from wideproof.reports.sections.needs import Need, ReportRun
from wideproof.reports.write import prose


@dataclass(frozen=True)
class Draft:
    """The document as it is written: the folder of its figures, and what it has told so far."""

    folder: Path
    known: prose.Known = field(default_factory=prose.Known)


Blocks = Callable[[ReportRun, Draft], tuple[doc.Block, ...]]


@dataclass(frozen=True)
class ReportSection:
    """A section: its title, its label, its place among the others, and the needs that its blocks are written from.

    `does` says it in the introduction, after a reference to it; without it the section is not announced.
    """

    title: str
    label: str
    place: int
    needs: tuple[Need[Any], ...]
    does: str
    blocks: Blocks

    def written(self, run: ReportRun, draft: Draft) -> doc.Section | None:
        """The section, or None where it has nothing to tell of this run."""
        blocks = self.blocks(run, draft)
        return doc.Section(self.title, blocks, self.label) if blocks else None


def section(
    title: str, label: str, place: int, needs: tuple[Need[Any], ...] = (), does: str = ""
) -> Callable[[Blocks], ReportSection]:
    """Make a section of a function that gives its blocks; none, and the section is absent."""
    return lambda blocks: ReportSection(title, label, place, needs, does, blocks)


@cache
def sections_in(package: str) -> tuple[ReportSection, ...]:
    """The sections of all modules of a package, by their places."""
    modules = [import_module(f"{package}.{found.name}") for found in iter_modules(import_module(package).__path__)]
    found = (x for module in modules for x in vars(module).values() if isinstance(x, ReportSection))
    return tuple(sorted(dict.fromkeys(found), key=lambda one: one.place))
