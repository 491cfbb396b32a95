"""SymPy expressions of the engine as LaTeX: one set of conventions, in the letters of the notation table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import sympy as sp
from sympy.printing.latex import LatexPrinter

from wideproof.derive.language.notation import latex_name, t
from wideproof.derive.language.program import Bias, Coordinate, Input, MatVec, Previous, Program, Updated
from wideproof.derive.latex.text import Latex, Math

Term: TypeAlias = Any  # a SymPy expression, an object with `_latex(printer)`, or Latex as it stands
MARK = "δ"
SPACES = re.compile(r"\\[;:!]")


class Printer(LatexPrinter):
    """Fixed settings; a coordinate prints as what it stands for, at the time the printer is at.

    `names` gives letters to long arguments of activations and long vectors; they print at the time they stand at.
    """

    def __init__(self, program: Program | None = None, names: Mapping[sp.Expr, str] | None = None) -> None:
        super().__init__({"inv_trig_style": "full", "mul_symbol": r"\,", "long_frac_ratio": 3})
        self.program, self.time, self.mark, self.names = program, t, "", names or {}

    def doprint(self, expr: Term) -> Latex:
        """The expression as LaTeX; `Latex` passes as it stands."""
        if isinstance(expr, Latex):
            return expr
        return Latex(SPACES.sub(r"\\,", super().doprint(sp.sympify(expr, strict=True))))

    def sum_terms(self, expr: Term) -> list[str]:
        """The terms of a sum as printed, each but the first with its sign in front; the entries of a tuple."""
        if isinstance(expr, sp.Tuple):
            printed = [self.doprint(entry) for entry in expr]
            return [f"({printed[0]},", *(f"{x}," for x in printed[1:-1]), f"{printed[-1]})"]
        if not isinstance(expr, sp.Add):
            return [self.doprint(expr)]
        printed = [self.doprint(term) for term in self._as_ordered_terms(expr)]
        return [printed[0], *(signed(text) for text in printed[1:])]

    def named(self, expr: sp.Expr) -> str:
        """The letter of a long vector or argument, at the time the printer is at."""
        letter, _, index = self.names[expr].partition(" ")
        return f"{letter}{self.mark}_{{{index},{self._print(self.time)}}}"

    @contextmanager
    def at(self, time: sp.Expr, mark: str = "") -> Iterator[None]:
        """Print coordinates at this time, states and inputs with this mark of their sequence."""
        before = self.time, self.mark
        self.time, self.mark = time, mark
        try:
            yield
        finally:
            self.time, self.mark = before

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        if isinstance(expr, Coordinate):
            return self._coordinate(expr)
        name = expr.name
        if self.program is not None and name.removeprefix(MARK) == "y":
            return f"{self._letter(name)}_{{{self._print(self.time)}}}"
        if name.startswith(MARK):
            return self._letter(name)
        return latex_name(name.rstrip("'")) + "'" * name.count("'")

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> str:
        """Differences of indices read t - j, not -j + t."""
        if all(x.is_integer for x in expr.args):
            terms = expr.as_ordered_terms()
            return self._ordered(sorted(terms, key=lambda x: (x.could_extract_minus_sign(), x.is_number)))
        if (terms := expr.as_ordered_terms())[0].could_extract_minus_sign():
            return self._ordered(sorted(terms, key=lambda x: x.could_extract_minus_sign()))
        return super()._print_Add(expr, order)

    def _ordered(self, terms: list[sp.Expr]) -> str:
        text = self._print(terms[0])
        for term in terms[1:]:
            text += f" - {self._print(-term)}" if term.could_extract_minus_sign() else f" + {self._print(term)}"
        return str(text)

    def _coordinate(self, c: Coordinate) -> str:
        term = self.program.table.get(c) if self.program is not None else None
        match term:
            case Previous(state):
                return self._state(state.name, self.time + state.back)
            case Updated(state):
                return self._state(state.name, self.time)
            case Input():
                return f"x{self.mark}_{{{self._print(self.time)}}}"
            case Bias(parameter):
                return self.parameter(parameter.name)
            case MatVec(matrix, vector):
                inner = self.named(vector) if vector in self.names else self._print(vector)
                if vector not in self.names and (vector.is_Add or vector.is_Mul):
                    inner = rf"\left({inner}\right)"
                scale = "" if matrix.role == "input_map" else r"n^{-1/2} "
                return rf"{scale}{self.parameter(matrix.name)} {inner}"
        return latex_name(c.label)

    def _state(self, name: str, time: sp.Expr) -> str:
        head, _, index = name.partition("_")
        at = f"{latex_name(index)},{self._print(time)}" if index else self._print(time)
        return f"{self._letter(head)}{self.mark}_{{{at}}}"

    def _letter(self, name: str) -> str:
        letter = latex_name(name.removeprefix(MARK))
        return rf"\tilde {{{letter}}}" if name.startswith(MARK) else letter

    def parameter(self, name: str) -> str:
        """The letter of a parameter; of a perturbed one, its perturbation."""
        if name.startswith(MARK):
            return rf"\Delta_{{{latex_name(name.removeprefix(MARK))}}}"
        return latex_name(name)

    def _marks(self, a: sp.Expr, b: sp.Expr) -> tuple[str, str]:
        """x and x' as a prime; impulse times only where some matrix is redrawn."""
        if str(a).startswith("x"):
            return "'" * str(a).count("'"), "'" * str(b).count("'")
        if self.program is not None and any(not x.tied for x in self.program.parameters):
            return f"^{{({a})}}", f"^{{({b})}}"
        return "", ""

    def _print_Moment(self, expr: sp.Expr, exp: str | None = None) -> str:
        u, v, first, second, a, b = expr.args
        marks = self._marks(a, b)
        with self.at(first, marks[0]):
            left = "" if u == 1 else self._factor(u)
        with self.at(second, marks[1]):
            right = self._factor(v)
        body = rf"\mathbb{{E}}\left[{left}\,{right}\right]" if left else rf"\mathbb{{E}}\left[{right}\right]"
        return rf"{body}^{{{exp}}}" if exp else body

    def _print_Cov(self, expr: sp.Expr, exp: str | None = None) -> str:
        u, v, first, second, a, b = expr.args
        marks = self._marks(a, b)
        with self.at(first, marks[0]):
            left = self._print(u)
        with self.at(second, marks[1]):
            right = self._print(v)
        return rf"\mathrm{{Cov}}\left[{left},\,{right}\right]"

    def _factor(self, expr: sp.Expr) -> str:
        if expr in self.names:
            return self.named(expr)
        text = self._print(expr)
        return rf"\left({text}\right)" if expr.is_Add else text

    def _print_Gram(self, expr: sp.Expr, exp: str | None = None) -> str:
        first, second, a, b = expr.args
        marks = self._marks(a, b)
        left = f"x{marks[0]}_{{{self._print(first)}}}"
        left = rf"({left})" if marks[0] else left
        body = rf"{left}^{{\mathsf{{T}}}} x{marks[1]}_{{{self._print(second)}}}"
        return rf"\left({body}\right)^{{{exp}}}" if exp else body

    def _print_KroneckerDelta(self, expr: sp.Expr, exp: str | None = None) -> str:
        body = rf"\delta_{{{self._print(expr.args[0])},{self._print(expr.args[1])}}}"
        return rf"\left({body}\right)^{{{exp}}}" if exp else body

    def _print_Phi(self, expr: sp.Expr, exp: str | None = None) -> str:
        name, order, z = expr.args
        inside = f"({self.named(z)})" if z in self.names else rf"\left({self._print(z)}\right)"
        body = rf"\mathrm{{{name}}}{chr(39) * int(order)}{inside}"
        return rf"{{{body}}}^{{{exp}}}" if exp else body

    def _print_GaussianMean(self, expr: sp.Expr, exp: str | None = None) -> str:
        functions, means, cov = expr.args
        if len(functions) == 1:
            inside = self._activation(functions[0], "u", means[0])
            law = rf"u \sim N\left(0, {self._print(cov[0])}\right)"
        elif len(functions) == 2:
            inside = r"\,".join(self._activation(f, u, m) for f, u, m in zip(functions, "uv", means, strict=True))
            a, c, b = (self._print(x) for x in cov)
            law = rf"(u, v) \sim N\left(0, \begin{{bmatrix}} {a} & {c} \\ {c} & {b} \end{{bmatrix}}\right)"
        else:
            inside = r"\,".join(
                self._activation(f, f"u_{{{i}}}", m) for i, (f, m) in enumerate(zip(functions, means, strict=True), 1)
            )
            law = rf"\mathrm{{Cov}} = ({', '.join(map(self._print, cov))})"
        body = rf"\mathbb{{E}}\left[{inside}\right]_{{{law}}}"
        return rf"{{{body}}}^{{{exp}}}" if exp else body

    def _activation(self, function: sp.Tuple, variable: str, mean: sp.Expr) -> str:
        name, order = function
        shift = "" if mean == 0 else f"{self._print(mean)} + "
        return rf"\mathrm{{{name}}}{chr(39) * int(order)}({shift}{variable})"

    def _print_Response(self, expr: sp.Expr, exp: str | None = None) -> str:
        y, r, r2, first, second, a, b = expr.args
        marks = self._marks(a, b)
        letter = self._letter(y.name)
        entries = [
            rf"({letter}{mark}_{{{self._print(time)}}})_{{{self._print(row)}}}"
            for row, time, mark in ((r, first, marks[0]), (r2, second, marks[1]))
        ]
        if self.program is not None and any(x.mean != 0 for x in self.program.parameters):
            return rf"\mathrm{{Cov}}\left[{entries[0]},\,{entries[1]}\right]"
        return rf"\mathbb{{E}}\left[{entries[0]}\,{entries[1]}\right]"

    def _print_Entry(self, expr: sp.Expr, exp: str | None = None) -> str:
        r, c, r2, c2, first, second = map(self._print, expr.args)
        return rf"\mathrm{{Cov}}\left[(L_{{{first}}})_{{{r}{c}}},\,(L_{{{second}}})_{{{r2}{c2}}}\right]"

    def _print_EmpiricalKernel(self, expr: sp.Expr, exp: str | None = None) -> str:
        _, r, r2, first, second = map(self._print, expr.args)
        return rf"\left[K_{{{first},{second}}}(x, x')\right]_{{{r}{r2}}}"

    def _print_ConvolutionKernel(self, expr: sp.Expr, exp: str | None = None) -> str:
        r, r2, first, second = map(self._print, expr.args)
        return rf"\left[K^{{\mathrm{{conv}}}}_{{{first},{second}}}(x, x')\right]_{{{r}{r2}}}"

    def _print_Rho(self, expr: sp.Expr, exp: str | None = None) -> str:
        body = rf"\rho_{{{self._print(expr.args[0])}}}"
        return rf"{body}^{{{exp}}}" if exp else body

    def _print_Gain(self, expr: sp.Expr, exp: str | None = None) -> str:
        return rf"g_{{{self._print(expr.args[0])}}}"

    def _columns(self, name: sp.Symbol, *vectors: sp.Expr) -> str:
        """The matrix, and its columns only where it multiplies several vectors."""
        several = len({v for v in vectors}) > 1
        return self._print(name) + ("; " + ", ".join(self._print(v) for v in vectors) if several else "")

    def _print_Predictor(self, expr: sp.Expr, exp: str | None = None) -> str:
        name, a, b, step, back = expr.args
        return rf"\Phi^{{{self._columns(name, a, b)}}}_{{{self._print(step)},{self._print(back)}}}"

    def _print_Innovation(self, expr: sp.Expr, exp: str | None = None) -> str:
        name, a, b, step = expr.args
        return rf"P^{{{self._columns(name, a, b)}}}_{{{self._print(step)}}}"

    def _print_ProductCov(self, expr: sp.Expr, exp: str | None = None) -> str:
        name, a, b, first, second = expr.args
        return (
            rf"\mathrm{{Cov}}\left[R^{{{self._columns(name, a)}}}_{{{self._print(first)}}},\,"
            rf"R^{{{self._columns(name, b)}}}_{{{self._print(second)}}}\right]"
        )

    def _print_StateMoments(self, expr: sp.Expr, exp: str | None = None) -> str:
        return rf"\Sigma_{{{self._print(expr.args[0])}}}"

    def _print_InnovationsForm(self, expr: sp.Expr, exp: str | None = None) -> str:
        return rf"\mathcal{{R}}_{{{self._print(expr.args[0])}}}"


def latex(expr: Term, program: Program | None = None) -> Latex:
    """The LaTeX of an expression, on one line; coordinates of a program as its products and states."""
    return Printer(program).doprint(expr)


def math(expr: Term, program: Program | None = None) -> Math:
    """The expression inside a line of text."""
    return Math(latex(expr, program))


def signed(text: str) -> str:
    """A printed term as it follows others."""
    return f"- {text[1:].lstrip()}" if text.startswith("-") else f"+ {text}"
