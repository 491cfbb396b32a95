"""The certificate beside a theorem: its file in the report's folder, and what coqc says of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from wideproof.derive.language.errors import NotCertified
from wideproof.derive.latex.text import Code, Inline
from wideproof.derive.proof.proof import Proof
from wideproof.numeric.core.files import write_atomically
from wideproof.reports.document.blocks import Paragraph

FOLDER = "certificates"


def certificate_line(folder: Path, name: str, proof: Proof, checked: bool) -> Paragraph:
    """Write the certificate of a theorem into `folder`, and say what coqc finds; where none exists, why.

    `checked` is False at the quick size, at which coqc is not asked.
    """
    from wideproof.derive.certificate.certificate import certify
    from wideproof.derive.certificate.coqc import check

    try:
        made = certify(proof)
    except NotCertified as error:
        return Paragraph(("Certificate: none; ", f"{error.where} is not covered: {error.hint}"))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.v", made.text)
    lead: tuple[Inline, ...] = ("Certificate: ", Code(f"{FOLDER}/{name}.v"), f", {len(made.proved)} lemmas; ")
    if shutil.which("coqc") is None:
        return Paragraph((*lead, "not checked here: coqc not found."))
    if not checked:
        return Paragraph((*lead, "not checked here: coqc runs at full size."))
    found = check(made)
    return Paragraph((*lead, f"coqc: {found.verdict}{f' ({found.reason})' if found.reason else ''}."))
