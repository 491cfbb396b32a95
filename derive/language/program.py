"""A finished definition: frozen terms inside SymPy expressions, what every derivation reads.

A coordinate such as `W @ h` is a SymPy symbol without payload; what it stands for is a frozen term in a table of
its recursion. The symbol's name carries a digest of the whole declaration, so equal names mean equal terms.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

import sympy as sp

from wideproof.derive.language.errors import LanguageError, NotClosed, ShapeError
from wideproof.derive.language.shown import InNotebooks, cut

Role = Literal["matrix", "input_map", "readout", "bias"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


NUMPY = {
    "absolute": "activation('abs')", "heaviside": "step", "maximum": "relu", "expit": "sigmoid", "log1p": "softplus",
    "greater": "step",
}  # fmt: skip
FUNCTIONS = ("tanh", "exp", "sin", "cos", "sign", "erf", *NUMPY.values())
"""Functions of NumPy and SciPy that an activation stands for, by its name; the others have theirs."""
COMPARISON = (
    "Write max(h, 0) as wideproof.relu(h), h > 0 as wideproof.step(h), and others by wideproof.define, as in "
    "define('clipped', 'max(0, min(1, z))')."
)
SYMPY = {sp.Abs: "activation('abs')", sp.Heaviside: "step", sp.Max: "relu", sp.Piecewise: "relu"}


class Wide(sp.Expr):
    """An expression in wide vectors: what asks it for a number is told what to write instead.

    Sums, products and powers with it are of such classes too, and otherwise those of SymPy: equal to them, with their
    hash, and rebuilt as them.
    """

    __slots__ = ()

    def __array_ufunc__(self, function: Any, method: str, *inputs: object, **_options: object) -> NoReturn:
        """Refused: a vector has no number, so NumPy computes nothing with it."""
        name = function.__name__
        if method == "reduce":
            _refuse_entries(f"numpy.{name}.reduce", self)
        if name == "matmul":
            _refuse_product(self)
        _refuse_number(f"{name}(…) of arrays", NUMPY.get(name, name), self)

    def __float__(self) -> NoReturn:
        """Refused, as by `math.tanh`."""
        _refuse_number("float, and functions of math", "", self)

    def __int__(self) -> NoReturn:
        """Refused, as by `range`."""
        _refuse_number("int", "", self)

    __trunc__ = __int__

    def __round__(self, ndigits: int | None = None) -> NoReturn:
        """Refused: rounding has no rule."""
        _refuse_number("round", "", self)

    @property
    def T(self) -> NoReturn:
        """Refused: an inner product of vectors is no term."""
        raise ShapeError(f"({self}).T", "a vector, which stands upright", "its transpose",
                         "A readout is declared by rnn.readout(…); A.T belongs to wideproof.Alternating.")  # fmt: skip

    def __matmul__(self, other: object) -> NoReturn:
        """Refused: the matrix comes first."""
        _refuse_product(self)

    def __neg__(self) -> sp.Expr:
        return wide(super().__neg__())

    def __add__(self, other: object) -> sp.Expr:
        return wide(super().__add__(other))

    def __radd__(self, other: object) -> sp.Expr:
        return wide(super().__radd__(other))

    def __sub__(self, other: object) -> sp.Expr:
        return wide(super().__sub__(other))

    def __rsub__(self, other: object) -> sp.Expr:
        return wide(super().__rsub__(other))

    def __mul__(self, other: object) -> sp.Expr:
        return wide(super().__mul__(_symbolic(other, self)))

    def __rmul__(self, other: object) -> sp.Expr:
        return wide(super().__rmul__(_symbolic(other, self)))

    def __truediv__(self, other: object) -> sp.Expr:
        return wide(super().__truediv__(other))

    def __pow__(self, other: object, modulus: object = None) -> sp.Expr:
        return wide(super().__pow__(other, modulus))

    def __lt__(self, other: object) -> sp.Basic:
        return compared(super().__lt__(other))

    def __le__(self, other: object) -> sp.Basic:
        return compared(super().__le__(other))

    def __gt__(self, other: object) -> sp.Basic:
        return compared(super().__gt__(other))

    def __ge__(self, other: object) -> sp.Basic:
        return compared(super().__ge__(other))


class NoNumber(LanguageError, TypeError):
    """A vector used where Python needs a number, an order or an entry."""


def instead(expr: object) -> str:
    """What to write instead of a function of SymPy, where an activation stands for it."""
    name = SYMPY.get(type(expr), type(expr).__name__)
    found = f"Write wideproof.{name}(…), an activation" if name in FUNCTIONS else "Use an activation, as wideproof.relu"
    return f"{found}, or declare a function by wideproof.define."


def _symbolic(factor: object, vector: sp.Expr) -> object:
    if isinstance(factor, str):
        hint = f"Write sympy.Symbol({factor!r}) * …: text names a symbol in declarations only."
        raise NoNumber(f"{factor!r} * {vector}", "a number or a symbol", "text", hint)
    return factor


def _refuse_number(where: str, name: str, found: sp.Expr) -> NoReturn:
    hint = f"Write wideproof.{name}(…), an activation."
    if name not in FUNCTIONS:
        hint = "Write numbers as int or Fraction, activations as wideproof.tanh(…), others by wideproof.define."
    raise NoNumber(where, "numbers", f"the vector {found}", hint)


def _refuse_entries(where: str, found: sp.Expr) -> NoReturn:
    hint = "Every entry has the same update; sums over entries are products with a matrix or a readout, as in C @ h."
    raise NoNumber(where, "vectors as wholes", f"entries of {found}", hint)


def _refuse_product(found: sp.Expr) -> NoReturn:
    vector = found if found.is_Symbol else f"({found})"
    hint = f"The matrix comes first, W @ {vector}, and is declared: W = rnn.matrix('W')."
    raise ShapeError(f"{vector} @ …", "a matrix on the left of @", "a vector", hint)


class Compared(sp.Basic):
    """A comparison of vectors, neither true nor false: what asks for that, as `max` does, is told what to write."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        """Refused, with the activations that say the same."""
        raise NoNumber(f"{self}", "activations of a vector", "a comparison", COMPARISON)

    def __mul__(self, *_others: object) -> NoReturn:
        """Refused, as its truth is."""
        self.__bool__()

    __rmul__ = __add__ = __radd__ = __sub__ = __rsub__ = __truediv__ = __neg__ = __mul__


def of_wide(kind: type[sp.Basic], mixin: type[sp.Basic] = Wide) -> type[Any]:
    """A class of SymPy with what the mixin refuses; its objects equal those of the class."""

    def equal(self: sp.Basic, other: object) -> bool:
        return self is other or (isinstance(other, kind) and self._hashable_content() == other._hashable_content())

    own = {
        "__slots__": (), "__module__": __name__, "func": property(lambda self: kind), "__eq__": equal,
        "__ne__": lambda self, other: not equal(self, other), "__hash__": kind.__hash__,
        "__reduce_ex__": lambda self, protocol: (kind, self.args),
    }  # fmt: skip
    return type(kind.__name__, (mixin, kind), own)  # the name is part of hash and order


WIDE = {kind: of_wide(kind) for kind in (sp.Add, sp.Mul, sp.Pow)}
COMPARED = {kind: of_wide(kind, Compared) for kind in (sp.Lt, sp.Le, sp.Gt, sp.Ge)}


def wide(expr: Any) -> Any:
    """The same sum, product or power as an expression in wide vectors; anything else as it is."""
    kind = WIDE.get(type(expr))
    if kind is None:
        return expr
    made = sp.Expr.__new__(kind, *expr.args)
    made.is_commutative = expr.is_commutative
    return made


def compared(relation: Any) -> Any:
    """A comparison that SymPy left open as one that refuses to be true or false; a decided one as it is."""
    kind = COMPARED.get(type(relation))
    return relation if kind is None else sp.Rel.__new__(kind, *relation.args)


class Coordinate(Wide, sp.Symbol):
    """One coordinate of a wide vector, opaque to SymPy: equal names are equal terms."""

    __slots__ = ()

    def __new__(cls, name: str, **_assumptions: bool) -> Coordinate:  # noqa: D102
        return super().__new__(cls, name, real=True)

    @property
    def label(self) -> str:
        """What a person reads: the name without its digest."""
        return self.name.partition("#")[0]

    @property
    def next(self) -> Coordinate:
        """Refused: only a state, and only once, has an updated value."""
        raise LanguageError(
            f"{self.label}.next",
            "a state as declared by .state()",
            self.label,
            "`.next` is the updated value of a state; it cannot be taken twice.",
        )

    def _sympystr(self, printer: Any) -> str:
        return self.label


class StateCoordinate(Coordinate):
    """A declared state; `.next` is its value after the update of the same step."""

    __slots__ = ()

    @property
    def next(self) -> Coordinate:
        """The updated value of this state, h_t where the state itself is h_{t-1}."""
        return Coordinate(next_name(self.name))


def next_name(name: str) -> str:
    """Name of the updated state: identifiers hold no prime, so it collides with no declared name."""
    label, _, digest = name.partition("#")
    return f"{label}'#{digest}"


@dataclass(frozen=True)
class Parameter:
    """A Gaussian parameter: i.i.d. entries of the given mean and variance; `tied` shares one draw over time."""

    name: str
    role: Role
    variance: sp.Expr
    tied: bool = True
    trainable: bool = True
    mean: sp.Expr = sp.S.Zero


@dataclass(frozen=True)
class State:
    """A wide vector carried over time; it starts at zero or Gaussian, one draw per sequence or shared.

    A backward state reads the sequence from its end: its previous value is that of the next time.
    """

    name: str
    initial: sp.Expr = sp.S.Zero
    shared: bool = False
    backward: bool = False

    @property
    def back(self) -> int:
        """Where its previous value stands: a step earlier, or later for a backward state."""
        return 1 if self.backward else -1


@dataclass(frozen=True)
class Previous:
    """The state before the update, h_{t-1}."""

    state: State


@dataclass(frozen=True)
class Updated:
    """The state after the update, h_t."""

    state: State


@dataclass(frozen=True)
class Input:
    """The input vector x_t.  Shape (n_x,)."""


@dataclass(frozen=True)
class MatVec:
    """n^{-1/2} W v for a square matrix or a readout, F x for an input map; `vector` is an expression."""

    matrix: Parameter
    vector: sp.Expr


@dataclass(frozen=True)
class Bias:
    """A bias vector added bare.  Shape (n,), or (n_y,) in the output."""

    parameter: Parameter


Term: TypeAlias = Previous | Updated | Input | MatVec | Bias


def coordinates_of(expr: sp.Expr) -> list[Coordinate]:
    """The coordinates in an expression, sorted by name."""
    return sorted(expr.atoms(Coordinate), key=lambda c: c.name)


@dataclass(frozen=True)
class Program(InNotebooks):
    """A complete recursion, frozen: what every derivation reads.

    `updates` and `output` are SymPy expressions in coordinates; in an update a state is h_{t-1} and its primed
    coordinate h_t, in the output every state is h_t. `base` is the recursion a tangent program was made from.

    >>> wp.models.linear_rnn().program().symbols
    {'nu_C': nu_C, 'nu_F': nu_F, 'nu_W': nu_W}
    """

    name: str
    parameters: tuple[Parameter, ...]
    states: tuple[State, ...]
    updates: tuple[tuple[Coordinate, sp.Expr], ...]
    output: sp.Expr
    terms: tuple[tuple[Coordinate, Term], ...]
    base: Program | None = None
    parameterization: str = "entries"
    kind: ClassVar[str] = "a recursion over inputs"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.lines_of_text()})"

    def lines_of_text(self) -> str:
        """Updates and output on one line."""
        lines = [f"{c.label} = {cut(body)}" for c, body in self.updates]
        return "; ".join([*lines, f"y = {cut(self.output)}"])

    @cached_property
    def table(self) -> dict[Coordinate, Term]:
        """Coordinate -> term."""
        return dict(self.terms)

    @cached_property
    def bodies(self) -> dict[Coordinate, sp.Expr]:
        """Updated state -> right side of its update."""
        return dict(self.updates)

    @cached_property
    def updated(self) -> dict[State, Coordinate]:
        """State -> the coordinate h_t."""
        return {term.state: c for c, term in self.terms if isinstance(term, Updated)}

    @property
    def scalars(self) -> list[sp.Symbol]:
        """Free scalar symbols of the definition, sorted by name: variances, means and the user's own coefficients."""
        exprs = [p.variance for p in self.parameters] + [p.mean for p in self.parameters]
        exprs += [s.initial for s in self.states] + [body for _, body in self.updates] + [self.output]
        exprs += [term.vector for _, term in self.terms if isinstance(term, MatVec)]
        free = set().union(*(e.free_symbols for e in exprs))
        return [c for c in sorted(free, key=str) if not isinstance(c, Coordinate)]

    @cached_property
    def symbols(self) -> dict[str, sp.Symbol]:
        """Name -> free scalar symbol of the definition."""
        return {x.name: x for x in self.scalars}


class Builder(InNotebooks):
    """What a user writes line by line: `program` freezes it."""

    name: str

    def program(self) -> Program:
        """The frozen program.  Errors: LanguageError for what is not complete."""
        raise NotImplementedError


def frozen(model: object) -> Program:
    """The program of a model; a program is returned as it is.  Errors: LanguageError for what is neither."""
    if isinstance(model, Builder):
        return model.program()
    if not isinstance(model, Program):
        raise LanguageError(
            "recursion", "a Recursion or its Program", repr(model), "For example wideproof.models.elman(), called."
        )
    return model


def coordinate(recursion: str, term: Term) -> Coordinate:
    """The coordinate of a term: readable label, then a digest of the whole declaration."""
    if isinstance(term, Previous | Updated):
        state = term.state
        declared = f"State(name={state.name!r}, initial={state.initial!r}, shared={state.shared!r})"
        declared += " backward" * state.backward
        previous = StateCoordinate(f"{state.name}#{_digest(recursion, declared, sp.srepr(state.initial))}")
        return previous if isinstance(term, Previous) else previous.next
    if isinstance(term, Input):
        return Coordinate(f"x#{_digest(recursion, 'input')}")
    parameter = term.parameter if isinstance(term, Bias) else term.matrix
    declaration = (recursion, repr(parameter), sp.srepr(parameter.variance), sp.srepr(parameter.mean))
    if isinstance(term, Bias):
        return Coordinate(f"{parameter.name}#{_digest(*declaration)}")
    vector = str(term.vector)
    label = f"{parameter.name}@{vector}" if term.vector.is_Symbol else f"{parameter.name}@({vector})"
    return Coordinate(f"{label}#{_digest(*declaration, sp.srepr(term.vector))}")


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


def refuse_backward(program: Program, where: str) -> None:
    """Raise NotClosed for a recursion with backward states, where time is taken to run forwards."""
    names = [state.name for state in program.states if state.backward]
    if names:
        raise NotClosed(
            where,
            "states that read the sequence forwards",
            f"the backward state {', '.join(names)}",
            "nngp, ntk and simulate take both directions; otherwise take the two recursions apart.",
        )
