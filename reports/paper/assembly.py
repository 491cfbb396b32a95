"""Reproduce items of the paper, and set all of them in one document with an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from wideproof.derive import models
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.recordings import RECORDINGS
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.runs.folder import RECORD, RunFolder, take_folder
from wideproof.numeric.runs.gathering import Shard
from wideproof.numeric.runs.stages import DONE, Stage, staged
from wideproof.numeric.runs.tasks import Elsewhere, every
from wideproof.numeric.validation.runs import model_text
from wideproof.reports.document.blocks import Document, titled
from wideproof.reports.paper import framing
from wideproof.reports.paper.catalogue import ITEMS
from wideproof.reports.paper.item import Context, Item, PaperClaim, Result, section, worst
from wideproof.reports.paper.settings import USED, choices_of
from wideproof.reports.render.render import Engine, render
from wideproof.reports.render.run_json import recordable
from wideproof.reports.sections.report import entitle, recordings_from

COMMAND = "reproduce"


@dataclass(frozen=True)
class Reproduction:
    """The items made, each with its result; `verdict` joins those of all claims."""

    made: tuple[tuple[Item, Result], ...]
    context: Context

    @property
    def verdict(self) -> Verdict:
        """The joint verdict."""
        return worst([claim.verdict for _, result in self.made for claim in result.claims])

    def claims(self) -> list[dict[str, Any]]:
        """One record per claim, as the command line prints them."""
        return [_record(item, claim) for item, result in self.made for claim in result.claims]


def _record(item: Item, claim: PaperClaim) -> dict[str, Any]:
    return {
        "item": item.name,
        "section": item.place,
        "claim": claim.text,
        "prediction": claim.prediction,
        "estimate": claim.estimate,
        "stderr": claim.stderr,
        "verdict": claim.verdict,
    }


def reproduce(names: Sequence[str], context: Context) -> Reproduction:
    """Derive, measure and judge the named items, in the order of the paper.

    Errors: those of the derivations and of the recordings.  Source: emami2021implicit.
    """
    _check_method(names, context.method)
    if {"fig4", "table1", "prop-3.1"} & set(names):
        context.recordings  # noqa: B018 - a wrong file is told before the long work
    made = []
    for name in (name for name in ITEMS if name in names):
        with context.stage(name) as progress:
            made.append((ITEMS[name], ITEMS[name].make(context)))
            progress(1, 1)
    return Reproduction(tuple(made), context)


def _check_method(names: Sequence[str], method: str) -> None:
    """Every named item that trains can do so by this method, and there is one."""
    able = {name: item.methods for name, item in ITEMS.items() if item.methods}
    if method != "auto" and not set(able) & set(names):
        raise ParameterError("--method", f"an item that trains by choice: {', '.join(able)}", ", ".join(names),
                             "Leave --method out.")  # fmt: skip
    for name in (name for name in able if name in names and method not in able[name]):
        raise ParameterError(f"{name}: --method", " or ".join(able[name]), method, "auto says what it chose and why.")


def start(names: Sequence[str], out_dir: Path, *, quick: bool = False, seed: int = 0,
          data: Sequence[str] = tuple(RECORDINGS), columns: Mapping[str, Any] | None = None,
          changes: Mapping[str, str] | None = None, method: str = "auto", engine: Engine = "auto",
          force: bool = False, shard: Shard | None = None, title: str = "", author: str = "",
          date: str = "") -> RunFolder:  # fmt: skip
    """Return the folder of a run of the named items, new or gone on with; its record is on disk before any work.

    Of a `shard` (k, m) the part alone is worked on, until the parts are put together.
    Errors: ParameterError for a method that does not apply; StoreError for the folder of another run, unless forced.
    """
    _check_method(names, method)
    changes = dict(changes or {})
    inputs = {
        "items": [name for name in ITEMS if name in names], "quick": quick, "data": list(data),
        "columns": dict(columns or {}), "method": method, "changes": changes,
        "settings": {name: {c.name: c.value for c in choices_of(name, quick, changes)}
                     for name in ITEMS if name in names and USED[name]},
    }  # fmt: skip
    identity = {"command": COMMAND, "inputs": inputs, "seed": seed, "shard": shard}
    program = models.linear_rnn().program()
    fields = {"model": {"name": program.name, "text": model_text(program)}, "stages": {},
              "started_in": str(Path.cwd()), "asked_engine": engine, "titles": {}}  # fmt: skip
    run = take_folder(out_dir, identity, fields, force)
    entitle(run, title, author, date, engine)
    return run


@dataclass(frozen=True)
class Reproduced:
    """The claims of the items with their joint verdict, the files of their document, and notices."""

    verdict: Verdict
    claims: tuple[dict[str, Any], ...]
    files: tuple[Path, ...]
    notices: tuple[str, ...]


def carry_out(run: RunFolder, crew: Crew, stage: Stage, announce: Announce | None = None) -> Reproduced:
    """Reproduce the items that the record of a folder asks for, and set them as one document.

    Errors: those of the derivations and of the recordings; `Stopped`, an interruption that says what is kept.
    """
    inputs, seed = run.record["inputs"], run.record["seed"]
    with staged(run, crew, stage) as under_way:
        context = Context(
            under_way.stage, run.path / "figures", inputs["quick"], seed, recordings_from(run, inputs["data"]),
            inputs["columns"], inputs["changes"], inputs["method"], announce, tasks=under_way.tasks,
            draws=under_way.draws,
        )  # fmt: skip
        if under_way.shard is not None:
            _work_on_part(inputs["items"], context)
        made = reproduce(inputs["items"], context)
        run.update(verdict=made.verdict, claims=made.claims(), results=recordable(context.runs), engine=None)
        with under_way.stage("typesetting") as progress:
            told = titled(document(made), run.record.get("titles", {}))
            done = render(told, run.path, run.record["asked_engine"])
            progress(1, 1)
        run.end(DONE, engine=done.engine)
    if under_way.shard is not None:
        return Reproduced("undecided", (), (), (under_way.part,))
    files = tuple(path for path in (done.tex, done.pdf, done.html, run.path / RECORD) if path is not None)
    return Reproduced(made.verdict, tuple(made.claims()), files, done.notices)


def _work_on_part(names: Sequence[str], context: Context) -> NoReturn:
    """Do this part's share of all measurements of the items, which others read as well once each."""
    measures = dict.fromkeys(measure for name in names for measure in ITEMS[name].measures)
    every(partial(measure, context) for measure in measures)
    raise Elsewhere


def document(made: Reproduction) -> Document:
    """Introduction with the index, one section for each item, and what all of it came to."""
    items, context = made.made, made.context
    sections = (
        framing.introduction(items, context),
        *(section(item, result) for item, result in items),
        framing.conclusion(items, context),
        framing.provenance(context),
    )
    title = "Implicit Bias of Linear RNNs, item by item"
    return Document(title, framing.abstract(items, context), sections, "wideproof")
