"""Plain sentences with formulas in them, as the claims and errata are written, set with the formulas as formulas."""

from __future__ import annotations

import re

from wideproof.derive.latex.text import Inline, Latex, Math, Text

GREEK = {"nu": r"\nu", "rho": r"\rho", "phi": r"\varphi", "theta": r"\theta"}
LETTER = r"(?:nu|rho|phi|theta|[A-Za-z])"
POWER = r"(?:\^(?:\{[^{}]*\}|\w))"
NAME = rf"{LETTER}(?:_\w+{POWER}?|{POWER})"  # nu_W, B_1, L^0, nu_W^{{t/2}}
GROUP = rf"\((?=[^()]*{LETTER}_)[^()]*\)"
NUMBER = r"(?<= )-\d+(?:\.\d+)?(?:/\d+)?|1e\d+"  # negative, or a power of ten
MATRIX = r"(?<=kernel of )A\b|(?<=entries of )[WFC]\b|(?<=(?:radius|sweeps) of )W\b|(?<=variances of )W\b"
FIXED = rf"{MATRIX}|E\|L_t\|\^2|\|[^|]*\||sqrt\([^()]*\)|phi'\(q\) dq|\bA A\*|\brho\b"
ATOM = rf"(?:{NUMBER}|{FIXED}|{GROUP}|{NAME}|\b[NTntjl]\b(?!')|\d+(?:\.\d+)?)"
RUN = re.compile(rf"(?<![\w.(]){ATOM}(?:(?: [-+*/=<>] ?| ?/ ?| )?{ATOM})*(?![\w(])")
WORTH = re.compile(r"(?<= )-\d|^-\d|1e\d|[A-Za-z]_|\^|sqrt|\||\b[NTntjl]\b|\bA\b|^[WFC]$|\brho\b|phi'")


def mathematical(sentence: str) -> Text:
    """The sentence with every run of symbols as a formula; numbers alone stay text."""
    parts: list[Inline] = []
    end = 0
    for match in RUN.finditer(sentence):
        if WORTH.search(match[0]):
            parts += [sentence[end : match.start()], Math(formula(match[0]))]
            end = match.end()
    return tuple(part for part in (*parts, sentence[end:]) if part != "")


def inlines(sentence: str) -> tuple[Inline, ...]:
    """The same as parts of a longer sentence."""
    found = mathematical(sentence)
    return found if isinstance(found, tuple) else (found,)


def formula(plain: str) -> Latex:
    """The formula that a run of plain symbols means."""
    text = re.sub(r"sqrt\(([^()]*)\)", r"\\sqrt{\1}", plain)
    text = text.replace("E|", r"\mathbb{E}|").replace("A*", "A^{*}").replace("Toep ", r"\mathcal{T} ")
    text = re.sub(r"\|([^|]*)\|", r"\\lVert \1 \\rVert", text)
    text = re.sub(r"\b1e(\d+)", r"10^{\1}", text)
    text = re.sub(r"_(\w{2,})", r"_{\1}", text)
    text = re.sub(r"\b(nu|rho|phi|theta)(?=[_^'\W]|$)", lambda m: GREEK[m[1]], text)
    return Latex(re.sub(r"(?<=[\w)}])(?<!Vert) (?=[\\A-Za-z(])(?!\\rVert)", r"\\,", text).replace("  ", " "))
