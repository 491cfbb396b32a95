"""The certificates of a theorem: their files in the report's folder, and what coqc says of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from wideproof.derive.language.errors import NotCertified
from wideproof.derive.latex.text import Code, Inline
from wideproof.derive.proof.proof import Proof
from wideproof.numeric.core.files import write_atomically

FOLDER = "certificates"
SAID = {"holds": "coqc accepts it", "refuted": "coqc refuses it", "undecided": "coqc does not decide it"}


def unasked(quick: bool) -> str:
    """Why coqc is not asked about the certificates of a report; empty where it is."""
    if shutil.which("coqc") is None:
        return "coqc was not found, so none was checked here."
    return "At the quick size none is checked here." if quick else ""


def certified(folder: Path, proofs: Mapping[str, Proof], asked: bool) -> tuple[Inline, ...]:
    """Write the certificates of proofs, by name, into `folder`, and say what coqc finds; where none exists, why.

    coqc is `asked` only where it is installed, too; a report says with `unasked` what is true of all of them.
    """
    told: list[Inline] = []
    for name, proof in proofs.items():
        told += [" " if told else "", *_certified(folder, name, proof, asked)]
    return tuple(part for part in told if part)


def _certified(folder: Path, name: str, proof: Proof, asked: bool) -> tuple[Inline, ...]:
    from wideproof.derive.certificate.certificate import certify
    from wideproof.derive.certificate.coqc import check

    try:
        made = certify(proof)
    except NotCertified as error:
        return (f"It has no certificate: {error.hint}",)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.v", made.text)
    lead: tuple[Inline, ...] = ("The certificate ", Code(f"{FOLDER}/{name}.v"), f" has {len(made.proved)} lemmas")
    if not asked or unasked(quick=False):
        return (*lead, ".")
    found = check(made)
    return (*lead, f"; {SAID[found.verdict]}{f' ({found.reason})' if found.reason else ''}.")
