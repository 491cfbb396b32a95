"""The check of a certificate by coqc: holds, refuted where numbers speak against the proof too, else undecided."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wideproof.derive.certificate.certificate import Certificate
from wideproof.derive.language.errors import ProofError
from wideproof.derive.proof.proof import Proof

INSTALL = "apt-get install --no-install-recommends coq"
TIME_LIMIT = 600.0
"""Seconds after which a check is given up."""
UNPROVED = (
    "The proof replays, and the audit finds no numbers against it: the script that was written for the lemma does not "
    "prove it. Please report it, with the file."
)
"""What is said of a lemma that coqc refuses and nothing speaks against."""


@dataclass(frozen=True)
class CoqVerdict:
    """What coqc says about a certificate: the verdict, the lemmas it proves, what the goal rests on, and the reason.

    Of a lemma that coqc refuses it is `refuted` only where `Proof.verify` refuses the proof too, with its reason: that
    a script fails says nothing about the claim.
    `assumed` are the section's hypotheses and variables that the goal uses; `axioms` are those of the library.
    """

    verdict: Literal["holds", "refuted", "undecided"]
    lemmas: int
    assumed: tuple[str, ...] = ()
    axioms: tuple[str, ...] = ()
    reason: str = ""


def check(certificate: Certificate, seconds: float = TIME_LIMIT) -> CoqVerdict:
    """Run coqc on a certificate, in a directory of its own.

    Units: seconds.  `undecided` where coqc is not found, or takes longer than `seconds`; the reason says what to do.
    """
    text, count = certificate.text, len(certificate.proved)
    coqc = shutil.which("coqc")
    if coqc is None:
        return CoqVerdict("undecided", count, reason=f"coqc was not found. Install it, for example by: {INSTALL}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.v"
        path.write_text(text, encoding="utf-8")
        try:
            run = subprocess.run(
                [coqc, "-q", path.name], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return CoqVerdict("undecided", count, reason=f"coqc took longer than {seconds:g} s.")
    if run.returncode != 0:
        against = _against(certificate.proof)
        said = f"{_refusal(text, run.stderr)} {against or UNPROVED}"
        return CoqVerdict("refuted" if against else "undecided", count, reason=said)
    assumed, axioms = assumptions(run.stdout)
    return CoqVerdict("holds", count, assumed, axioms)


def _against(proof: Proof | None) -> str:
    """What replay and audit say against a proof; nothing where they agree with it."""
    try:
        if proof is not None:
            proof.verify()
    except ProofError as error:
        return f"So does the audit: {error}"
    return ""


def _refusal(text: str, error: str) -> str:
    """The lemma in which coqc stopped, and what it said."""
    lines = re.findall(r"line (\d+)", error.partition("Error:")[0])  # warnings come before the error
    above = text.splitlines()[: int(lines[-1])] if lines else []
    named = [m[1] for x in above if (m := re.match(r"(?:Lemma|Theorem|Hypothesis|Definition) (\S+)", x))]
    said = " ".join(error.partition("Error:")[2].split()) or " ".join(error.split())
    return f"{named[-1] if named else 'the file'}: {said}"


def assumptions(output: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names under the two heads of `Print Assumptions`."""
    found: dict[str, list[str]] = {"Section Variables:": [], "Axioms:": []}
    head = ""
    for line in output.splitlines():
        if line.strip() in found:
            head = line.strip()
        elif head and line and not line[0].isspace() and line[0] != ":":
            found[head].append(line.split()[0])
    return tuple(found["Section Variables:"]), tuple(found["Axioms:"])
