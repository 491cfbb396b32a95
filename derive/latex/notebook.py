"""Recursions, formulas and proofs as HTML for notebooks: mathematics between dollar signs, steps that fold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from typing import Any

import sympy as sp

from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.laws import declared, own_part, parameter_law, state_start
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.shown import cut
from wideproof.derive.latex.displays import Row, equation_parts
from wideproof.derive.latex.narration import pairs_of
from wideproof.derive.latex.printer import Printer, latex
from wideproof.derive.latex.text import Latex
from wideproof.derive.proof.claims import Counterexample, Definition, Hypothesis, Inequality, Vanishing
from wideproof.derive.proof.proof import Proof, Step

__all__ = ["Row", "displayed", "folded", "heading", "inline", "table", "written"]
WIDE = "overflow-x:auto"


def displayed(body: Latex) -> str:
    """A displayed formula; one that is too wide scrolls."""
    return f'<div style="{WIDE}">$$\n{escape(body, quote=False)}\n$$</div>'


def inline(body: Latex) -> str:
    """A formula inside a line."""
    return f"${escape(body, quote=False)}$"


def heading(words: str) -> str:
    """A line in bold."""
    return f"<div><strong>{escape(words)}</strong></div>"


def folded(summary: str, body: str) -> str:
    """A body that opens on a click; both are HTML."""
    return f"<details><summary>{summary}</summary>{body}</details>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; one that is too wide scrolls, by the keys too."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div style="{WIDE}" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


@singledispatch
def written(shown: Any) -> str:
    """The HTML of an object of the language or of a proof."""
    return f"<pre>{escape(cut(repr(shown)))}</pre>"


@written.register
def _(shown: Recursion) -> str:
    return written(shown.program()) if shown.is_complete else f"<pre>{escape(repr(shown))}</pre>"


@written.register
def _(shown: Alternating) -> str:
    return written(shown.program())


@written.register
def _(shown: AlternatingProgram) -> str:
    return heading(shown.name) + "".join(f"<div>{escape(line)}</div>" for line in declared(shown))


@written.register
def _(shown: Program) -> str:
    """Updates and output as equations, laws and starts as a list."""
    return heading(shown.name) + _definition(shown)


def _definition(program: Program) -> str:
    parameters, states = own_part(program)
    own = {program.updated[state] for state in states}
    y = sp.Symbol("y" if program.base is None else "δy")
    pairs = [*((c, body) for c, body in program.updates if c in own), (y, program.output)]
    laws = [f"<li>{inline(Latex(Printer().parameter(p.name)))}: {parameter_law(p, _formula)}</li>" for p in parameters]
    laws += [f"<li>{inline(latex(sp.Symbol(x.name)))} starts at {state_start(x, _formula)}</li>" for x in states]
    return _equations(pairs, program) + f"<ul>{''.join(laws)}</ul>"


def _formula(expr: Any) -> str:
    return inline(latex(expr))


def _equations(pairs: Sequence[tuple[Any, Any]], program: Program) -> str:
    return "".join(displayed(part) for part in equation_parts(pairs, program))


@written.register
def _(shown: Proof) -> str:
    steps = "".join(f"<li>{folded(_summary(step), _claim(step, shown.program))}</li>" for step in shown.steps)
    return f'<div>{escape(repr(shown))}</div><ol start="0">{steps}</ol>'


def _summary(step: Step) -> str:
    because = f" from {', '.join(map(str, step.premises))}" if step.premises else ""
    return f"{escape(step.rule)}{because} — <em>{step.status}</em>; {escape(step.source)}"


def _claim(step: Step, program: Program) -> str:
    """What a step says: equations, or words where it is about several things at once."""
    claim = step.claim
    match claim:
        case Definition():
            return _definition(claim.program)
        case Hypothesis():
            return "; ".join(f"{_formula(c) if c.is_Symbol else escape(str(c))}: {kind}" for c, _, kind in claim.maps)
        case Vanishing():
            pairs = dict.fromkeys((u, v) for u, v, *_ in claim.members)
            return ", ".join(f"<code>E[{escape(str(u))} {escape(str(v))}]</code>" for u, v in pairs) + " vanish"
        case Inequality() | Counterexample():
            relation = r"\leq" if isinstance(claim, Inequality) else ">"
            sides = f"{latex(claim.left, program)} {relation} {latex(claim.right, program)}"
            return displayed(Latex(sides))
        case _:
            return _equations(pairs_of(step), program)
