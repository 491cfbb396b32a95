"""Several certificates and all their mutants in one run of coqc.

The certificates stand in modules beside one another, behind one general part. A mutant is its altered lemmas in a file
of its own, loaded by `Fail Load` where the first of them stands: coqc goes on if it refuses one of them, else it stops.
A certificate that begins with the lemmas of another is loaded there too, by `Fail Fail Load`, which must succeed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wideproof.derive.certificate.certificate import Certificate, certify
from wideproof.derive.certificate.coqc import assumptions
from wideproof.derive.certificate.lemmas import Lemma
from wideproof.derive.certificate.prelude import PRELUDE
from wideproof.derive.proof.proof import Proof

MARK = "Check fun {0} : nat => {0}."
"""Prints a name."""
VACUOUS = ("Syntax error", "was not found", "already exists", "Wrong bullet", "not a defined object")
"""Refusals that say nothing about a claim."""


@dataclass(frozen=True)
class Batch:
    """What coqc said: whether it accepts all certificates, for each mutant the lemma it refuses and why, and what the
    goals rest on together, of the sections and of the library."""

    accepted: bool
    error: str
    refused: Mapping[str, tuple[str, str]]
    assumed: frozenset[str]
    axioms: frozenset[str]


def with_claim(proof: Proof, rule: str, change: Any, which: int = -1) -> Proof:
    """The proof with the claim of one step by a rule altered, and nothing else."""
    index = [i for i, step in enumerate(proof.steps) if step.rule == rule][which]
    claim = change(proof.steps[index].claim)
    assert claim != proof.steps[index].claim
    steps = tuple(replace(step, claim=claim) if i == index else step for i, step in enumerate(proof.steps))
    return replace(proof, goal=steps[-1].claim, steps=steps)


def right(change: Any) -> Any:
    """A change of the right side of a claim."""
    return lambda claim: replace(claim, right=change(claim.right))


@dataclass(frozen=True)
class Group:
    """A proof, mutants by name, and proofs that begin with the same lemmas."""

    proof: Proof
    mutants: Mapping[str, Proof] = field(default_factory=dict)
    others: Sequence[Proof] = ()


def check_batch(folder: Path, *groups: Group) -> Batch:
    """Certificates of groups in one run of coqc."""
    names = [name for group in groups for name in group.mutants]
    assert len(set(names)) == len(names)
    modules = (_module(folder, number, group) for number, group in enumerate(groups))
    (folder / "batch.v").write_text("\n\n".join((PRELUDE, *modules)), encoding="utf-8")
    run = subprocess.run(
        ["coqc", "-q", "-test-mode", "batch.v"], cwd=folder, capture_output=True, text=True, check=False
    )
    error = run.stderr.partition("Error:")[2]
    return Batch(run.returncode == 0, error, _refusals(run.stdout), *map(frozenset, assumptions(run.stdout)))


def _module(folder: Path, number: int, group: Group) -> str:
    made = certify(group.proof)
    loads: dict[int, list[str]] = {}
    for name, mutant in group.mutants.items():
        word = name.replace("-", "_")
        at, file = _rest(folder, made, certify(mutant), f"mutant_{number}_{word}")
        loads.setdefault(at, []).append(f'{MARK.format(f"mutant__{word}")}\nFail Load "{file}".')
    for index, other in enumerate(group.others):
        at, file = _rest(folder, made, certify(other), f"other_{number}_{index}")
        loads.setdefault(at, []).append(f'{MARK.format("other")}\nFail Fail Load "{file}".')
    text = replace(made, lemmas=()).text.partition("(* ---- the steps")[0].partition(PRELUDE)[2]
    lemmas = [x for i, (_, lemma) in enumerate(made.lemmas) for x in (*loads.get(i, ()), lemma.text())]
    end = f"Print Assumptions {made.goal}.", "End Certificate.", f"End M{number}."
    return "\n\n".join((f"Module M{number}.", text, *lemmas, *end))


def _rest(folder: Path, made: Certificate, other: Certificate, file: str) -> tuple[int, str]:
    """Where another certificate leaves this one, and the file of its lemmas from there on."""
    assert other.assumed == made.assumed
    own = [lemma for _, lemma in other.lemmas]
    first = next(i for i, (_, lemma) in enumerate(made.lemmas) if lemma != own[i])
    (folder / f"{file}.v").write_text("\n".join(map(_told, own[first:])), encoding="utf-8")
    return first, file


def _told(lemma: Lemma) -> str:
    """A lemma behind its name."""
    return f"{MARK.format(lemma.name)}\n{lemma.text()}" if re.fullmatch(r"\w+", lemma.name) else lemma.text()


def _refusals(output: str) -> dict[str, tuple[str, str]]:
    """For each mutant the last name before the failure, and the message."""
    found, parts = {}, re.split(r"^fun (mutant__\w+|other) : nat => .*$", output, flags=re.MULTILINE)
    for name, told in zip(parts[1::2], parts[2::2], strict=True):
        before, failed, message = told.partition("The command has indeed failed with message:")
        lemmas = re.findall(r"^fun (\w+) : nat =>", before, flags=re.MULTILINE)
        if name != "other" and failed and lemmas and not any(x in message[:300] for x in VACUOUS):
            found[name.removeprefix("mutant__").replace("_", "-")] = lemmas[-1], " ".join(message.split())[:300]
    return found
