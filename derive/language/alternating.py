"""Programs that alternate one Gaussian matrix A (m x n) and its transpose, written line by line.

`A @ x` means n^{-1/2} A x, of size m, and `A.T @ z` means n^{-1/2} A^T z, of size n; A has independent N(0, nu)
entries and delta = m/n is fixed as n grows. A loop of Python unrolls a recursion into the lines of one program.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, NoReturn

import sympy as sp

from wideproof.derive.language.errors import LanguageError, ShapeError, explained
from wideproof.derive.language.folding import folded
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import NAME, Builder, Coordinate, Parameter, Program, coordinates_of
from wideproof.derive.language.scalars import exact, variance as nonnegative
from wideproof.derive.language.shown import cut

Side = Literal["n", "m"]
Law = tuple[tuple[sp.Expr, sp.Expr], ...]
SHAPE = {"n": "a vector of size n", "m": "a vector of size m"}


@dataclass(frozen=True)
class Source:
    """A given vector of independent entries: a mixture of centred Gaussian laws as (weight, variance)."""

    name: str
    side: Side
    law: Law


@dataclass(frozen=True)
class Product:
    """n^{-1/2} A v (size m) or n^{-1/2} A^T v (size n); `corrected` takes its correction terms away."""

    index: int
    side: Side
    vector: sp.Expr
    corrected: bool


@dataclass(frozen=True, repr=False)
class AlternatingProgram(Program):
    """A frozen alternating program; `lines` are its products in order, each a function of earlier ones."""

    matrix: Parameter | None = None
    aspect: sp.Expr = sp.S.One
    lines: tuple[tuple[Coordinate, Product], ...] = ()
    sources: tuple[tuple[Coordinate, Source], ...] = ()
    vectors: tuple[tuple[str, sp.Expr], ...] = ()
    kind: ClassVar[str] = "an alternating program"

    def lines_of_text(self) -> str:
        """The lines and the named results on one line."""
        lines = [f"{c.label} = {cut(line.vector)}" for c, line in self.lines]
        return "; ".join([*lines, *(f"{name} = {cut(vector)}" for name, vector in self.vectors)])

    @cached_property
    def symbols(self) -> dict[str, sp.Symbol]:
        """Free scalar symbols of the definition by name."""
        exprs = [self.aspect, *(p.variance for p in self.parameters), *(e for _, e in self.vectors)]
        exprs += [line.vector for _, line in self.lines]
        exprs += [e for _, source in self.sources for part in source.law for e in part]
        free = set().union(*(e.free_symbols for e in exprs))
        return {x.name: x for x in sorted(free, key=str) if not isinstance(x, Coordinate)}

    def gaussian(self, index: int) -> Coordinate:
        """The Gaussian part of one entry of a product."""
        return Coordinate(f"g_{index}#{self.lines[index][0].name.partition('#')[2]}")

    def scale(self, index: int) -> sp.Expr:
        """Variance of the image of a vector of mean square 1: nu for A, nu delta for its transpose."""
        assert self.matrix is not None
        return self.matrix.variance * (1 if self.lines[index][1].side == "m" else self.aspect)

    def opposite(self, index: int) -> tuple[int, ...]:
        """The earlier products of the other side, whose left queries have the size of this product."""
        side = self.lines[index][1].side
        return tuple(line.index for _, line in self.lines[:index] if line.side != side)


@dataclass
class Alternating(Builder):
    """A builder: one matrix, given vectors, products in the order they are written, named results.

    >>> run = wp.Alternating("two-products")
    >>> A, x = run.matrix("A", variance=1), run.source("x", "n", 1)
    >>> run.keep("v", A.T @ (A @ x))
    >>> run
    Alternating(two-products: p_0 = x; p_1 = p_0)
    """

    name: str
    _matrix: Parameter | None = None
    _aspect: sp.Expr = sp.S.One
    _lines: dict[Coordinate, Product] = field(default_factory=dict)
    _sources: dict[Coordinate, Source] = field(default_factory=dict)
    _vectors: dict[str, sp.Expr] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{c.label} = {cut(line.vector)}" for c, line in self._lines.items()]
        return f"Alternating({self.name}: {'; '.join(lines) or 'no line yet'})"

    @explained
    def matrix(self, name: str, variance: object = 1, aspect: object = "delta") -> Rectangular:
        """Declare the m x n matrix of the program: variance of an entry, and aspect ratio m/n."""
        if self._matrix is not None:
            raise LanguageError(
                f"matrix {name}",
                "one matrix",
                f"a second one beside {self._matrix.name}",
                "An alternating program has one Gaussian matrix and its transpose.",
            )
        self._fresh(name)
        self._matrix = Parameter(name, "matrix", nonnegative(f"matrix {name}: variance", variance))
        self._aspect = nonnegative(f"matrix {name}: aspect", aspect)
        return Rectangular(self, "m")

    @explained
    def source(self, name: str, side: Side, law: object = 1) -> Coordinate:
        """Declare a given vector of size "n" or "m": a variance, or a mixture ((weight, variance), ...)."""
        self._fresh(name)
        if side not in SHAPE:
            raise LanguageError(f"source {name}", '"n" or "m"', repr(side), "The columns or the rows of the matrix.")
        parts = law if isinstance(law, tuple | list) else ((1, law),)
        if not all(isinstance(part, tuple | list) and len(part) == 2 for part in parts):
            raise LanguageError(
                f"source {name}", "a variance, or pairs (weight, variance)", shortened(law), "For example ((1, nu),)."
            )
        mixture = tuple(
            (nonnegative(f"source {name}: weight", w), nonnegative(f"source {name}: variance", v)) for w, v in parts
        )
        if not mixture or sp.expand(sp.Add(*(w for w, _ in mixture)) - 1) != 0:
            raise LanguageError(
                f"source {name}",
                "weights that sum to 1",
                [w for w, _ in mixture],
                "For example ((eps, 1), (1 - eps, 0)).",
            )
        c = _coordinate(self.name, name, repr((side, mixture)))
        self._sources[c] = Source(name, side, mixture)
        return c

    @explained
    def keep(self, name: str, vector: object) -> None:
        """Name a vector whose second moment is asked for."""
        self._fresh(name)
        self._vectors[name] = expr = _expression(f"vector {name}", vector)
        self.side(f"vector {name}", expr)

    def side(self, where: str, expr: sp.Expr) -> Side:
        """The size of a vector; ShapeError where vectors of two sizes meet, or none is there."""
        sides: set[Side] = set()
        for c in coordinates_of(expr):
            term = self._lines.get(c) or self._sources.get(c)
            if term is None:
                raise LanguageError(where, f"vectors of {self.name!r}", c.label, "Declare it on this program.")
            sides.add(term.side)
        if len(sides) != 1:
            raise ShapeError(
                where,
                "vectors of one size",
                " and ".join(sorted(SHAPE[x] for x in sides)) or expr,
                "A @ x takes size n to m, A.T @ z takes size m to n.",
            )
        return sides.pop()

    def program(self) -> AlternatingProgram:
        """Freeze the lines.  Errors: LanguageError without a product."""
        if self._matrix is None or not self._lines:
            raise LanguageError(f"Alternating {self.name}", "at least one product", "none", "Write A @ x.")
        return AlternatingProgram(
            self.name,
            (self._matrix,),
            (),
            (),
            sp.S.Zero,
            (),
            None,
            "entries",
            self._matrix,
            self._aspect,
            tuple(self._lines.items()),
            tuple(self._sources.items()),
            tuple(self._vectors.items()),
        )

    def _product(self, side: Side, vector: object, corrected: bool) -> Coordinate:
        name = f"{self._matrix.name if self._matrix else ''}{'' if side == 'm' else '.T'} @ ..."
        expr = _expression(name, vector)
        found = self.side(name, expr)
        if found == side:
            raise ShapeError(
                name,
                SHAPE["n" if side == "m" else "m"],
                SHAPE[found],
                "A @ x takes size n to m, A.T @ z takes size m to n.",
            )
        for c, line in self._lines.items():
            if (line.side, line.vector, line.corrected) == (side, expr, corrected):
                return c  # the same product again is the same vector
        index = len(self._lines)
        c = _coordinate(self.name, f"p_{index}", sp.srepr(expr) + str(corrected))
        self._lines[c] = Product(index, side, expr, corrected)
        return c

    def _fresh(self, name: object) -> None:
        taken = {s.name for s in self._sources.values()} | set(self._vectors)
        if not isinstance(name, str) or not NAME.match(name) or name in taken:
            raise LanguageError(
                f"Alternating {self.name}", "a new name of letters, digits and _", repr(name), "For example 'x_0'."
            )


@dataclass(frozen=True)
class Rectangular:
    """The matrix of an alternating program, or its transpose; `@` adds a line."""

    owner: Alternating
    side: Side

    @property
    def T(self) -> Rectangular:
        """The transpose, the same draw."""
        return Rectangular(self.owner, "n" if self.side == "m" else "m")

    def __matmul__(self, vector: object) -> Coordinate:
        return self.owner._product(self.side, vector, False)

    def __mul__(self, vector: object) -> NoReturn:
        raise ShapeError("A * …", "a product of a matrix and a vector", "*", f"Write A @ {shortened(vector)}.")

    __rmul__ = __mul__

    def __rmatmul__(self, vector: object) -> NoReturn:
        raise ShapeError("… @ A", "a matrix on the left of @", shortened(vector), "Write A @ x, or A.T @ z.")

    def corrected(self, vector: object) -> Coordinate:
        """The product less its correction terms, which the engine derives: its Gaussian part in the limit."""
        return self.owner._product(self.side, vector, True)


def _coordinate(program: str, label: str, declaration: str) -> Coordinate:
    digest = hashlib.blake2b(f"{program}\0{label}\0{declaration}".encode(), digest_size=12).hexdigest()
    return Coordinate(f"{label}#{digest}")


def _expression(where: str, value: object) -> sp.Expr:
    return folded(exact(where, value, "a SymPy expression in the vectors"))
