"""Equations as LaTeX in lines that fit the page; laws of Gaussian variables and long vectors are named once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp

from wideproof.derive.expectation.symbolic_expectation import GaussianMean, MeanNode
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Program, coordinates_of
from wideproof.derive.latex.printer import MARK, Printer, Term, latex, signed
from wideproof.derive.latex.text import Latex

TERMS, WIDTH = 6, 58  # most terms, and most letters, on one line of a displayed sum
Row = tuple[str, str, list[str]]
FEW = 2  # laws of one variable that are still written out below
TALL = 10  # most lines of one display: about a quarter of a page, so that no page ends half empty
RELATION = 3  # letters of a sign between two sides
FULL = 74  # letters of a whole line of the page, both sides of an equation together
WORDS = re.compile(r"\\((?:arc)?(?:sin|cos|tan)h?|log|exp|max|min|det)\b")
CONTINUED = "\\begin{aligned}\n& \\quad"
TRANSPOSED = re.compile(r"\\mathsf(?: T|\{T\})")
GLYPH = re.compile(r"\\(?:begin|end|left|right|mathbb|mathcal|mathrm|operatorname|quad|,)\b|[{}^_&\s]|\\,")


def display(left: Term, *rights: Term, relation: str = "=", terms: int = TERMS,
            program: Program | None = None) -> Latex:  # fmt: skip
    """left = right = ..., aligned at the relation; a sum is broken after `terms` terms or a full line.

    One short right side stays on one line.  The body of an `Equation`.
    """
    if any(sp.sympify(right, strict=True).has(GaussianMean) for right in rights if not isinstance(right, Latex)):
        return equations([(left if i == 0 else Latex(""), right) for i, right in enumerate(rights)], program)
    lines = [_lines(right, terms, program) for right in rights]
    if len(lines) == 1 and len(lines[0]) == 1:
        return Latex(f"{latex(left, program)} {relation} {lines[0][0]}")
    return aligned([(latex(left, program) if i == 0 else "", relation, parts) for i, parts in enumerate(lines)])


def equations(pairs: Sequence[tuple[Term, Term]], program: Program | None = None) -> Latex:
    """Several left = right under one number, aligned at the relation; Gaussian expectations have their laws below."""
    return _set(_told(pairs, program))


def equation_parts(pairs: Sequence[tuple[Term, Term]], program: Program | None = None) -> list[Latex]:
    """The same as several displays where one would be taller than a part of the page, or waste its width."""
    rows = [part for row in _told(pairs, program) for part in _cut(row)]
    total = sum(map(_height, rows))
    most = -(-total // -(-total // TALL))
    parts: list[list[Row]] = [[]]
    height = 0
    for row in rows:
        turns = bool(parts[-1]) and _is_mean(row[0]) != _is_mean(parts[-1][-1][0])
        wide = bool(parts[-1]) and not _fits([*parts[-1], row])
        if height + _height(row) > most or row[1] == "" or (turns and total > TALL) or wide:
            parts, height = [*parts, []], 0
        parts[-1].append(row)
        height += _height(row)
    return [_set(part) for part in parts if part]


def column(pairs: Sequence[tuple[Term, Term]], program: Program | None = None) -> Latex:
    """The same as one block that nothing follows, however tall; where sides do not fit beside each other, unaligned."""
    rows = _told(pairs, program)
    return _set(rows) if _fits(rows) else _stacked(line for row in rows for line in _unaligned(row))


def alone(expr: Term, program: Program | None = None) -> Latex:
    """An expression alone, a sum broken into lines where it is longer than one."""
    lines = pack(Printer(program).sum_terms(expr))
    return Latex(lines[0]) if len(lines) == 1 else _stacked([lines[0], *(rf"\quad {line}" for line in lines[1:])])


def _unaligned(row: Row) -> list[str]:
    left, relation, (first, *rest) = row
    one = width(left) + RELATION + width(first) <= FULL
    start = [f"{left} {relation} {first}"] if one else [left, rf"\quad {relation} {first}"]
    return [*start, *(rf"\quad {line}" for line in rest)]


def _stacked(lines: Iterable[str]) -> Latex:
    """Lines that begin at one margin."""
    body = " \\\\\n".join(f"& {line}" for line in lines)
    return Latex(f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}")


def _cut(row: Row) -> list[Row]:
    """A sum as several rows of about one height where it is taller than a display, the later ones without a left side.

    Each of these begins a display of its own, which starts with `CONTINUED`.
    """
    left, relation, lines = row
    size = -(-len(lines) // -(-len(lines) // TALL))
    rest = [lines[i : i + size] for i in range(size, len(lines), size)]
    return [(left, relation, lines[:size]), *(("", "", [rf"\quad {part[0]}", *part[1:]]) for part in rest)]


def _fits(rows: Sequence[Row]) -> bool:
    """Whether aligned equations fit the line: the longest left side beside the longest line."""
    left, right = max(width(x) for x, _, _ in rows), max(width(x) for _, _, lines in rows for x in lines)
    return left + RELATION + right <= FULL


def _height(row: Row) -> int:
    """How many lines high an equation is; a matrix takes two."""
    return sum(2 if "bmatrix" in line + row[0] else 1 for line in row[2])


def _is_mean(left: str) -> bool:
    """Whether a left side is an expectation or a covariance, which are wide, and not a state or a letter."""
    return left.startswith((r"\mathbb{E}", r"\mathrm{Cov}", r"\mathrm{Var}"))


def _told(pairs: Sequence[tuple[Term, Term]], program: Program | None) -> list[Row]:
    """The rows of some equations, with the laws and the letters that they need."""
    pairs = with_covariances(with_laws(pairs))
    rows = _rows(pairs, program, {})
    if program is not None and not all(_fits([row]) for row in rows):
        names = shorthand([x for pair in pairs for x in pair], program)
        said = Printer(program, names)
        written = [(Latex(said.named(x)), x) for x in names]
        rows = _rows(pairs, program, names) + _rows(written, program, names)
    return _packed(rows)


def _packed(rows: Sequence[Row]) -> list[Row]:
    """The rows, neighbouring laws of Gaussian variables side by side where a whole law fits."""
    found: list[Row] = []
    for opens, group in _laws(rows):
        line = r",\quad ".join(f"{left} = {lines[0]}" for left, _, lines in group)
        left, relation, _ = group[0]
        whole = (left, relation, [line.partition(" = ")[2]])
        if not opens or any(len(lines) > 1 for _, _, lines in group) or width(line) > WIDTH:
            found += group
        elif found and _is_law(found[-1][0]) and len(found[-1][2]) == 1 and _beside(found[-1], line):
            before = found.pop()
            found.append((before[0], before[1], [rf"{before[2][0]},\quad {line}"]))
        else:
            found.append(whole)
    return found


def _laws(rows: Sequence[Row]) -> list[tuple[bool, list[Row]]]:
    """The rows, those of one law together and marked: a law starts where a second letter follows the first."""
    groups: list[tuple[bool, list[Row]]] = []
    for row in rows:
        law = _is_law(row[0])
        starts = row[0].startswith(r"\mathrm{Var}\left[u")
        if law and groups and groups[-1][0] and not starts:
            groups[-1][1].append(row)
        else:
            groups.append((law, [row]))
    return groups


def _is_law(left: str) -> bool:
    return left.startswith((r"\mathrm{Var}\left[u", r"\mathrm{Cov}\left[u", r"\mathrm{Var}\left[v"))


def _beside(row: Row, line: str) -> bool:
    return width(f"{row[0]} = {row[2][0]}") + width(line) + 2 <= WIDTH


def _set(rows: Sequence[Row]) -> Latex:
    if len(rows) == 1 and not _fits(rows):
        left, relation, lines = rows[0]
        return aligned([("", "", [left, f"{relation} {lines[0]}", *lines[1:]])])
    if len(rows) == 1 and len(rows[0][2]) == 1 and rows[0][1]:
        left, relation, lines = rows[0]
        return Latex(f"{left} {relation} {lines[0]}")
    return aligned(rows)


def _rows(pairs: Sequence[tuple[Term, Term]], program: Program | None, names: Mapping[sp.Expr, str]) -> list[Row]:
    """(left side, =, lines of the right side) of each equation."""
    printer = Printer(program, names)
    return [(printer.doprint(left), "=", pack(printer.sum_terms(right))) for left, right in pairs]


def shorthand(exprs: Sequence[Term], program: Program) -> dict[sp.Expr, str]:
    """Letters and indices for the sums that activations are applied to and for the longer vectors of matrices."""
    sums: list[tuple[str, sp.Expr, str]] = []
    seen: set[sp.Expr] = set()
    todo = [sp.sympify(x, strict=True) for x in exprs if not isinstance(x, Latex)]
    while todo:
        expr = todo.pop(0)
        if expr in seen:
            continue
        seen.add(expr)
        for phi in sorted(expr.atoms(Phi), key=str):
            if phi.args[2].is_Add and phi.args[2].has(Coordinate):
                sums.append(("a", phi.args[2], _suffix(phi.args[2], program)))
        for c in coordinates_of(expr):
            term = program.table.get(c)
            if isinstance(term, MatVec):
                todo.append(term.vector)
                if not isinstance(term.vector, Coordinate):
                    moved = any(MARK in d.label for d in coordinates_of(term.vector))
                    letter = r"\tilde{v}" if moved else "v"
                    sums.append((letter, term.vector, term.matrix.name.partition("_")[2]))
    found: dict[sp.Expr, str] = {}
    for letter, x, suffix in sums:
        if x not in found:
            name = f"{letter} {suffix}"
            found[x] = name if suffix and name not in found.values() else f"{letter} {len(found) + 1}"
    return found


def _suffix(expr: sp.Expr, program: Program) -> str:
    """What follows the underscore in the names of all parameters of a sum, if it is the same."""
    terms = [program.table[c] for c in coordinates_of(expr) if isinstance(program.table.get(c), MatVec | Bias)]
    names = {(t.matrix if isinstance(t, MatVec) else t.parameter).name.partition("_")[2] for t in terms}  # type: ignore[union-attr]
    return names.pop() if len(names) == 1 else ""


class Named(sp.Function):
    """A Gaussian expectation whose variables have names: arguments functions, means, names."""

    nargs = (3,)
    is_commutative = True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        factors = Counter(printer._activation(f, name.name, mean) for f, mean, name in zip(*self.args, strict=True))
        inside = r"\,".join(text if times == 1 else f"{text}^{{{times}}}" for text, times in factors.items())
        body = rf"\mathbb{{E}}\left[{inside}\right]"
        return rf"{{{body}}}^{{{exp}}}" if exp else body


class Averaged(sp.Function):
    """A mean over one Gaussian variable u or its mirror: arguments functions, means, signs of u, its variance."""

    nargs = (4,)
    is_commutative = True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        functions, means, signs, variance = self.args
        factors = Counter(
            rf"\mathrm{{{name}}}{chr(39) * int(order)}({'-' if sign < 0 else ''}u{_shift(printer, mean)})"
            for (name, order), mean, sign in zip(functions, means, signs, strict=True)
        )
        inside = r"\,".join(text if times == 1 else f"{text}^{{{times}}}" for text, times in factors.items())
        body = rf"\mathbb{{E}}_{{{printer._print(variance)}}}\left[{inside}\right]"
        return rf"{{{body}}}^{{{exp}}}" if exp else body


def averages(pairs: Sequence[tuple[Term, Term]]) -> bool:
    """Whether equations will be set with means over one Gaussian variable, whose notation is to be told."""
    return any(
        sp.sympify(x, strict=True).has(Averaged) for pair in with_laws(pairs) for x in pair if not isinstance(x, Latex)
    )


def _shift(printer: Any, mean: sp.Expr) -> str:
    return "" if mean == 0 else f" {signed(printer._print(mean))}"


def signs(law: sp.Tuple, count: int) -> sp.Tuple | None:
    """The signs of Gaussian variables that are one variable and its mirror; None where they are several."""
    pairs = list(combinations_with_replacement(range(count), 2))
    entries = dict(zip(pairs, law, strict=True))
    if law[0] == 0:
        return None
    found = [1 if entries[0, i] == law[0] else -1 for i in range(count)]
    same = all(entries[i, j] == found[i] * found[j] * law[0] for i, j in pairs)
    return sp.Tuple(*found) if same else None


def letters(law: sp.Tuple, count: int, number: int) -> list[str]:
    """The names of the Gaussian variables of one law, by its number if not 0; variables that coincide share one."""
    index = f"_{{{number}}}" if number else ""
    if len(set(law)) == 1:
        return [f"u{index}"] * count
    if count == 2:
        return [f"u{index}", f"v{index}"]
    return [f"u_{{{number or ''}{i}}}" for i in range(1, count + 1)]


def with_laws(pairs: Sequence[tuple[Term, Term]]) -> list[tuple[Term, Term]]:
    """The same equations, the covariances of Gaussian expectations named and written out once below.

    Several laws that are each of one variable stand at the sign of expectation instead.
    """
    sides = [sp.sympify(side, strict=True) for pair in pairs for side in reversed(pair) if not isinstance(side, Latex)]
    found = [x for side in sides for x in sp.preorder_traversal(side) if isinstance(x, GaussianMean)]
    sizes = {mean.args[2]: len(mean.args[0]) for mean in found}
    mirrored = {law: signs(law, size) for law, size in sizes.items()} if len(sizes) > FEW else {}
    one = bool(mirrored) and all(mirrored.values())
    named = {law: letters(law, size, i if len(sizes) > 1 else 0) for i, (law, size) in enumerate(sizes.items(), 1)}
    means: dict[Any, Any] = {x: Named(*x.args[:2], sp.Tuple(*map(sp.Symbol, named[x.args[2]]))) for x in found}
    if one:
        means = {x: Averaged(*x.args[:2], mirrored[x.args[2]], x.args[2][0]) for x in found}
    rows: list[tuple[Term, Term]] = [
        tuple(x if isinstance(x, Latex) else sp.sympify(x, strict=True).xreplace(means) for x in pair)  # type: ignore[misc]
        for pair in pairs
    ]
    if one:
        return rows
    for law, variables in named.items():
        entries = dict(zip(combinations_with_replacement(variables, 2), law, strict=True))
        for (u, v), entry in entries.items():
            left = rf"\mathrm{{Var}}\left[{u}\right]" if u == v else rf"\mathrm{{Cov}}\left[{u},\,{v}\right]"
            rows.append((Latex(left), entry))
    return rows


def with_covariances(pairs: Sequence[tuple[Term, Term]]) -> list[tuple[Term, Term]]:
    """The same equations, the laws of several Gaussian variables that stand at means as letters, told once below."""
    sides = [sp.sympify(x, strict=True) for pair in pairs for x in reversed(pair) if not isinstance(x, Latex)]
    nodes = [x for side in sides for x in sp.preorder_traversal(side) if isinstance(x, MeanNode) and x.lettered]
    laws = list(dict.fromkeys(x.args[2] for x in nodes if len(x.args[2]) > 1))
    letters = {law: sp.Symbol(f"Sigma_{i}" if len(laws) > 1 else "Sigma") for i, law in enumerate(laws, 1)}
    lettered = {x: x.func(*x.args[:2], sp.Tuple(letters[x.args[2]])) for x in nodes if x.args[2] in letters}
    rows: list[tuple[Term, Term]] = [
        tuple(x if isinstance(x, Latex) else sp.sympify(x, strict=True).xreplace(lettered) for x in pair)  # type: ignore[misc]
        for pair in pairs
    ]
    return [*rows, *((letter, law) for law, letter in letters.items())]


def aligned(rows: Sequence[tuple[str, str, Sequence[str]]]) -> Latex:
    """Rows of (left side, relation, lines of the right side)."""
    lines = [f"{left} &".lstrip() + f"{relation} " + " \\\\\n&\\quad ".join(parts) for left, relation, parts in rows]
    body = " \\\\\n".join(lines)
    return Latex(f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}")


def width(text: str) -> int:
    """About the letters in a formula's width: a sign counts three, a capital 7/4, a thin space 1/3."""
    while found := re.search(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", text):
        text = text[: found.start()] + max(found[1], found[2], key=width) + text[found.end() :]
    thin = text.count(r"\,")
    text = TRANSPOSED.sub("t", text)
    text = re.sub(r"\\[A-Za-z]+", "x", WORDS.sub(lambda match: match[1], GLYPH.sub("", text)))
    wide = sum(letter.isupper() for letter in text)
    return len(text) + 3 * wide // 4 + 2 * len(re.findall(r"[+=-]", text)) + thin // 3


def _lines(expr: Term, most: int, program: Program | None) -> list[str]:
    """The terms of a sum packed into lines."""
    return pack(Printer(program).sum_terms(expr), most)


def pack(terms: Sequence[str], most: int = TERMS) -> list[str]:
    """Printed terms joined into lines of at most `most` terms and about a line's width."""
    lines: list[list[str]] = [[]]
    for term in terms:
        full = len(lines[-1]) >= most or sum(map(width, lines[-1])) + width(term) > WIDTH
        if lines[-1] and full:
            lines.append([])
        lines[-1].append(term)
    return [" ".join(line) for line in lines]
