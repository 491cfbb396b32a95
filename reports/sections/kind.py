"""Kinds of models: where the sections of a report on one are, and how it begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wideproof.derive.latex.text import Text
from wideproof.numeric.validation.experiment import Experiment
from wideproof.reports.document.blocks import Document
from wideproof.reports.sections import opening
from wideproof.reports.sections.needs import Need, ReportRun
from wideproof.reports.sections.section import Draft, ReportSection, sections_in


@dataclass(frozen=True)
class Kind:
    """A kind of programs: `package` holds its sections, `needs` are those of the beginning and the end.

    `trials` are random networks at each width; `experiment` confronts its limits with them; `recorded` where
    recordings and a method of training are for it to read.
    """

    package: str
    trials: int
    experiment: type[Experiment]
    title: str
    needs: tuple[Need[Any], ...]
    abstract: Callable[[ReportRun], Text]
    introduction: Callable[[ReportRun], tuple[Text, Text, Text]]
    conclusion: Callable[[ReportRun], tuple[Text, ...]]
    assumed: Callable[[ReportRun], opening.Assumed] = opening.nothing_assumed
    recorded: bool = False

    @cached_property
    def sections(self) -> tuple[ReportSection, ...]:
        """The sections of its folder, in their order."""
        return sections_in(self.package)

    @property
    def all_needs(self) -> tuple[Need[Any], ...]:
        """What the sections read, and then the beginning and the end."""
        return (*(need for one in self.sections for need in one.needs), *self.needs)

    def document(self, run: ReportRun, out_dir: Path) -> Document:
        """The whole report; its figures are drawn into `out_dir`/figures."""
        draft = Draft(out_dir / "figures")
        told = [(one, written) for one in self.sections if (written := one.written(run, draft)) is not None]
        first = opening.introduction(*self.introduction(run), [(one.label, one.does) for one, _ in told if one.does])
        last = opening.conclusion(run.verdict, *self.conclusion(run))
        sections = (first, *(written for _, written in told), last, opening.provenance(run.seed, *self.assumed(run)))
        return Document(self.title.format(run.program.name), self.abstract(run), sections, "wideproof")
