"""What pdflatex prints for a character its fonts lack: the symbol of a Greek letter, else the code point."""

from __future__ import annotations

import re

LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
NAMES = """alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon
varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"""
SIGNS = {"−": "-", "≤": "\\le", "≥": "\\ge", "≠": "\\ne", "≈": "\\approx", "→": "\\to", "∞": "\\infty"}
MATH = SIGNS | {letter: f"\\{name}" for letter, name in zip(LETTERS, NAMES.split(), strict=True)}
KNOWN = re.compile("[\u00a0-\u00ac\u00ae-\u0148\u014a-\u017e\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u20ac]")


def glyphs(tex: str) -> list[tuple[str, str]]:
    """(code point, replacement) for every character of a source that T1 fonts cannot set, in order."""
    odd = sorted({c for c in tex if ord(c) > 127 and not KNOWN.match(c)})
    return [(f"{ord(c):04X}", _glyph(c)) for c in odd]


def _glyph(c: str) -> str:
    return rf"\ensuremath{{{MATH[c]}}}" if c in MATH else f"[U+{ord(c):04X}]"
