"""The bibliography: one `.bib`, of which a report takes the entries it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wideproof.derive.latex.text import DocumentError
from wideproof.reports.document.assets import read

ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n.*?^\}$", re.MULTILINE | re.DOTALL)


def entries(bib: str | None = None) -> dict[str, str]:
    """Key -> BibTeX entry, of the given text or of our own `refs.bib`."""
    return {match[1]: match[0] for match in ENTRY.finditer(read("refs.bib") if bib is None else bib)}


def extract(keys: Iterable[str], bib: str | None = None) -> str:
    """The entries of these keys, in this order.  Errors: `DocumentError` for a key that has no entry."""
    known = entries(bib)
    for key in keys:
        if key not in known:
            raise DocumentError("Cite", f"one of {sorted(known)}", repr(key), "Add the entry to refs.bib.")
    return "\n\n".join(known[key] for key in keys) + "\n"
