"""The table of a run, and the page that is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.mutants.known import REASONS, reason
from tests.mutants.runner import Outcome

RESULTS = ("caught", "caught by oracle", "timeout", "survivor", "harmless", "not reached", "void")


def table(outcomes: Sequence[Outcome]) -> str:
    """Counts by room, then by kind of mistake."""
    rows = ["| | " + " | ".join(RESULTS) + " | all |", "|---" * (len(RESULTS) + 2) + "|"]
    for name in ("room", "kind"):
        of = (lambda x: x.room) if name == "room" else (lambda x: x.mutant.kind)
        counts = Counter((of(x), x.result) for x in outcomes)
        for key in sorted({of(x) for x in outcomes}):
            row = [counts[key, result] for result in RESULTS]
            rows.append(f"| {key} | " + " | ".join(str(n) if n else "" for n in row) + f" | {sum(row)} |")
    total = Counter(x.result for x in outcomes)
    rows.append("| **all** | " + " | ".join(str(total[x]) for x in RESULTS) + f" | {len(outcomes)} |")
    return "\n".join(rows)


BY_HAND = "## What became of the survivors\n"
"""Where the part of the page begins that people write; a new run keeps it."""


def page(outcomes: Sequence[Outcome], count: int, seed: int, seconds: float, before: str = "") -> str:
    """docs/mutants.md, with what was written by hand on the page `before`."""
    survivors = [x for x in outcomes if x.result == "survivor"]
    run = f"`make mutants` (`--count {count} --seed {seed}`), {datetime.now(UTC):%Y-%m-%d}"
    took = f"{len(outcomes)} mutants in {seconds / 60:.0f} minutes with two processes:\n"
    parts = [HEAD, f"{run}, {took}", table(outcomes), "\n## Survivors\n"]
    for text in (*REASONS, ""):
        these = [x for x in survivors if reason(x.mutant) == text]
        if these:
            parts.append(f"\n**{text or 'A defect, to be mended: a number changed and nothing complained'}** "
                         f"({len(these)})\n")  # fmt: skip
            parts += [_entry(x) for x in these]
    missed = Counter(f"{x.mutant.module.removeprefix('wideproof.')}:{x.mutant.function}"
                     for x in outcomes if x.result == "not reached")  # fmt: skip
    parts.append("\n## Not reached by any quantity\n\n" + ", ".join(f"`{x}`" for x in sorted(missed)) + "\n")
    if BY_HAND in before:
        parts.append(before[before.index(BY_HAND) :])
    return "\n".join(parts)


def _entry(x: Outcome) -> str:
    change = x.mutant.change if len(x.mutant.change) < 260 else x.mutant.change[:257] + "..."
    number = x.changed[0] if x.changed else ""
    return f"- `{x.mutant.id.removeprefix('wideproof.')}`: `{change}`\n  {number.replace('_', chr(92) + '_')}"


HEAD = """# The judge is judged

A mutant is one small mistake in the engine: a coefficient 1.001 times too large or another whole number, a sign, an
index, a term dropped or doubled, arguments or premises exchanged or left out, a guard turned round. Mistakes are made
term by term in the syntax tree of the modules that [tests/mutants/targets.py](../tests/mutants/targets.py) lists; each
is tried in a process of its own, on the quantities and models of
[tests/mutants/quantities.py](../tests/mutants/quantities.py) whose run passes through its place.

- **caught**: every number that changed was refused, at derivation or by `proof.verify()`.
- **caught by oracle**: in tables, emitters and evaluators, which no proof speaks about, a test by definition refused.
- **survivor**: a number changed, and nothing complained. **harmless**: no number changed. **timeout**: it did not end.
- **not reached**: no quantity runs its place. **void**: what would be scaled is no number.
"""
