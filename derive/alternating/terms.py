"""What is said about the lines of an alternating program: entries, coefficients, covariances, averages, blocks."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.language.program import Coordinate


class About(sp.Expr):
    """A real scalar about lines of an alternating program, given by their indices."""

    is_commutative = True
    is_real = True
    is_number = False

    def __new__(cls, *indices: object) -> About:  # noqa: D102
        return super().__new__(cls, *(sp.sympify(i, strict=True) for i in indices))

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """None: the arguments are indices."""
        return set()

    def _latex(self, printer: Any) -> str:
        return self.letter + "_{" + ", ".join(printer._print(a) for a in self.args) + "}"

    letter = ""


class Image(About):
    """One entry of a line, in the limit a function of Gaussian parts and sources."""

    letter = "p"


class Query(About):
    """One entry of the vector that a line multiplies."""

    letter = "v"


class GaussianPart(About):
    """One entry of the Gaussian part of a line."""

    letter = "g"


class Coefficient(About):
    """The factor of the query of the second line in the correction terms of the first."""

    letter = "c"


class Covariance(About):
    """The covariance of the Gaussian parts of two lines of one side."""

    letter = r"\Sigma"


class Pairing(About):
    """E of a Gaussian part times an entry of the query of a later line of the other side."""

    def _latex(self, printer: Any) -> str:
        first, second = map(printer._print, self.args)
        return rf"\mathbb{{E}}\left[g_{{{first}}}\,v_{{{second}}}\right]"


class MeanSquare(About):
    """The limit of the mean square of a named vector."""

    def _latex(self, printer: Any) -> str:
        name, _, index = str(self.args[0]).partition("_")
        return rf"\mathbb{{E}}\left[\mathrm{{{name}}}{f'_{{{index}}}' if index else ''}^{{2}}\right]"


class Tape(About):
    """All lines of a program; the argument is their number."""

    letter = r"\mathcal{P}"


class LineLimits(About):
    """All limits of a program; the argument is the number of its lines."""

    letter = r"\mathcal{L}"


class Average(sp.Expr):
    """The limit of the mean over entries of an expression in Gaussian parts and sources."""

    is_commutative = True
    is_real = True
    is_number = False

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """The scalars in it."""
        return {x for x in self.args[0].free_symbols if not isinstance(x, Coordinate)}

    def _latex(self, printer: Any) -> str:
        return rf"\mathbb{{E}}\left[{printer._print(self.args[0])}\right]"


class Blocks(sp.Expr):
    """The matrix that an expression in blocks stands for."""

    is_commutative = True

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """The scalars in it."""
        return {x for x in self.args[0].free_symbols if x.is_commutative}

    def _latex(self, printer: Any) -> str:
        return printed(self.args[0], printer)


class KnownLaw(sp.Expr):
    """Mean and covariance of A x given A X = Y and A'Z = K; the argument is the variance of an entry."""

    is_commutative = True

    def _latex(self, printer: Any) -> str:
        return r"\mathcal{L}\left(A x \mid A X = Y, A^{\mathsf{T}} Z = K\right)"


class BlockLaw(sp.Expr):
    """The Gaussian law with the mean that the blocks stand for, and |x - X b|^2 times the second as covariance."""

    is_commutative = True

    def _latex(self, printer: Any) -> str:
        mean, spread = (printed(x, printer) for x in self.args)
        rows = rf"& {mean}, \\ & \left|x - X Q^{{-1}} q\right|^{{2}} \left({spread}\right)"
        return rf"N\left(\begin{{aligned}} {rows} \end{{aligned}}\right)"


def printed(expr: sp.Expr, printer: Any) -> str:
    """An expression in blocks as LaTeX: transposes raised, blocks without their brackets."""
    plain = {}
    for x in expr.atoms(sp.Symbol):
        if not x.is_commutative:
            name = x.name[1:-1].replace("^2", "^{2}")
            letters = name.rstrip("'") + (r"^{\mathsf{T}}" if name.endswith("'") else "")
            plain[x] = sp.Symbol(letters, commutative=False)
    return str(printer._print(expr.xreplace(plain)))


def block(name: str) -> sp.Symbol:
    """A block, which does not commute."""
    return sp.Symbol(name, commutative=False)


BX, BZ, BZt, BY, BK, BKt, BQ, BS, Bq, Bqt, Bx, Br, BG, BE, Be, BD, BR, BRt = (
    block(f"[{name}]")
    for name in ("X", "Z", "Z'", "Y", "K", "K'", "Q", "S", "q", "q'", "x", "|x|^2", "G", "E", "e", "D", "R", "R'")
)
BETA = BQ**-1 * Bq
SCALE = sp.Symbol("c", positive=True)
"""nu for A, nu delta for its transpose."""
