"""The language: `Recursion`, the builder that checks every line a user writes and freezes it as a `Program`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

import sympy as sp

from wideproof.derive.language.errors import LanguageError, ShapeError, explained
from wideproof.derive.language.folding import folded
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.notation import real_parameter
from wideproof.derive.language.program import (
    NAME,
    Bias,
    Builder,
    Coordinate,
    Input,
    MatVec,
    Parameter,
    Previous,
    Program,
    Role,
    State,
    StateCoordinate,
    Term,
    Updated,
    coordinate,
    coordinates_of,
    wide,
)
from wideproof.derive.language.scalars import check_one_symbol_each, exact, flag, scalar, variance as nonnegative
from wideproof.derive.language.shown import cut

SHAPES: dict[str, str] = {"matrix": "n x n", "input_map": "n x n_x", "readout": "n_y x n", "bias": "n"}
RECURSION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*\Z")


class LinearMap:
    """A linear combination of declared matrices of one shape; `@` makes a coordinate of the product."""

    def __init__(self, recursion: Recursion, parts: tuple[tuple[sp.Expr, Parameter], ...]) -> None:
        self._recursion, self._parts = recursion, parts

    def __repr__(self) -> str:
        return " + ".join(m.name if c == 1 else f"{c}*{m.name}" for c, m in self._parts)

    @property
    def _role(self) -> str:
        return self._parts[0][1].role

    def __matmul__(self, vector: object) -> sp.Expr:
        if isinstance(vector, LinearMap):
            raise ShapeError(
                f"{self} @ {vector}",
                "a vector on the right",
                "a matrix",
                f"Python reads `A @ B @ v` from the left: write {self} @ ({vector} @ v).",
            )
        v = self._recursion._vector(f"{self} @ …", vector, self._role)
        return wide(sp.Add(*(c * self._recursion._intern(MatVec(m, v)) for c, m in self._parts))) if v != 0 else v

    def __add__(self, other: object) -> LinearMap:
        if not isinstance(other, LinearMap):
            self._refuse_sum(other)
        if other._recursion is not self._recursion:
            raise LanguageError(
                f"{self} + {other}",
                "matrices of one recursion",
                "two recursions",
                "Declare both matrices on the same Recursion.",
            )
        if other._role != self._role:
            raise ShapeError(
                f"{self} + {other}",
                f"two matrices of shape {SHAPES[self._role]}",
                f"{SHAPES[self._role]} and {SHAPES[other._role]}",
                "Multiply by a vector first.",
            )
        return LinearMap(self._recursion, self._parts + other._parts)

    def _refuse_sum(self, other: object) -> NoReturn:
        hint = f"Apply the matrix first: {self} @ h + …"
        raise ShapeError(f"{self} + {shortened(other)}", f"a matrix beside {self}", type(other).__name__, hint)

    __radd__ = __rsub__ = _refuse_sum

    def __neg__(self) -> LinearMap:
        return -1 * self

    def __sub__(self, other: object) -> LinearMap:
        return self + (-other if isinstance(other, LinearMap) else other)

    def __rmatmul__(self, vector: object) -> NoReturn:
        hint = f"Write {self} @ v: a matrix stands before its vector."
        raise ShapeError(f"… @ {self}", "a matrix on the left of @", shortened(vector), hint)

    def __pow__(self, power: object) -> NoReturn:
        """Refused: a matrix is applied to a vector, and again to what comes."""
        raise LanguageError(f"{self} ** {shortened(power)}", "a product", "a power", f"Write {self} @ ({self} @ h).")

    def __call__(self, vector: object) -> NoReturn:
        """Refused: a product is written with @."""
        raise LanguageError(f"{self}(…)", "a product", "a call", f"Write {self} @ {shortened(vector)}.")

    @property
    def T(self) -> NoReturn:
        """Refused: a matrix and its transpose together have limits of another kind."""
        raise LanguageError(
            f"{self}.T",
            "a matrix of a Recursion, without its transpose",
            "the transpose",
            "Programs of a matrix and its transpose are written with wideproof.Alternating: A @ x, A.T @ z; an "
            "independent matrix is declared by rnn.matrix(…).",
        )

    def __rmul__(self, factor: object) -> LinearMap:
        if isinstance(factor, sp.Expr) and factor.has(Coordinate):
            vector = factor if isinstance(factor, Coordinate) else f"({factor})"
            hint = f"A product of a matrix and a vector is written {self} @ {vector}; * takes a number or a symbol."
            raise ShapeError(f"{self} * {factor}", "a scalar", f"the vector {factor}", hint)
        c = scalar(f"{factor} * {self}", factor)
        return LinearMap(self._recursion, tuple((c * d, m) for d, m in self._parts))

    __mul__ = __rmul__

    def __truediv__(self, factor: object) -> LinearMap:
        return self * (1 / scalar(f"{self} / {factor}", factor))


@dataclass
class Recursion(Builder):
    """A time-homogeneous wide random recursion, written in its own words and frozen by `program()`.

    `W @ v` means n^{-1/2} W v, `C @ v` means n^{-1/2} C v, `F @ x` is unscaled; entries are i.i.d. Gaussian.
    Raises LanguageError or ShapeError, naming place, expectation, what came and a way out, when something is
    declared that has no meaning.  Source: emami2021implicit (1), (4), (68).

    >>> rnn = wp.Recursion("mine")
    >>> W, F, C = rnn.matrix("W", variance="nu_W"), rnn.input_map("F"), rnn.readout("C")
    >>> h = rnn.state("h")
    >>> rnn.update(h, wp.tanh(W @ h + F @ rnn.x))
    >>> rnn.output(C @ h)
    >>> rnn
    Recursion(mine: h' = tanh(F@x + W@h); y = C@h')
    """

    name: str
    _parameters: dict[str, Parameter] = field(default_factory=dict, repr=False)
    _states: dict[str, State] = field(default_factory=dict, repr=False)
    _table: dict[Coordinate, Term] = field(default_factory=dict, repr=False)
    _interned: dict[Coordinate, Coordinate] = field(default_factory=dict, repr=False)
    _updates: dict[Coordinate, sp.Expr] = field(default_factory=dict, repr=False)
    _output: sp.Expr | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not RECURSION_NAME.match(self.name):
            raise LanguageError(
                "Recursion", "a name of letters, digits, - and _", repr(self.name), "For example Recursion('my-rnn')."
            )

    def __repr__(self) -> str:
        lines = [f"{c.label} = {cut(body)}" for c, body in self._updates.items()]
        lines += [f"y = {cut(self._output)}"] if self._output is not None else []
        return f"Recursion({self.name}: {'; '.join(lines) or 'no update yet'})"

    @property
    def is_complete(self) -> bool:
        """Whether every state has its update, and there is an output."""
        return self._output is not None and len(self._updates) == len(self._states)

    # ---- declarations ---------------------------------------------------------------------------------
    @explained
    def matrix(self, name: str, variance: object = 1, tied: bool = True, trainable: bool = True) -> LinearMap:
        """Declare an n x n matrix of i.i.d. N(0, variance) entries; `tied=False` draws a fresh one each step."""
        return self._matrix(name, "matrix", variance, tied, trainable)

    @explained
    def input_map(self, name: str, variance: object = 1, tied: bool = True, trainable: bool = True) -> LinearMap:
        """Declare an n x n_x matrix, applied unscaled to the input `x`."""
        return self._matrix(name, "input_map", variance, tied, trainable)

    @explained
    def readout(self, name: str, variance: object = 1, tied: bool = True, trainable: bool = True) -> LinearMap:
        """Declare an n_y x n matrix, allowed in the output only."""
        return self._matrix(name, "readout", variance, tied, trainable)

    @explained
    def bias(
        self, name: str, variance: object = 1, mean: object = 0, tied: bool = True, trainable: bool = True
    ) -> Coordinate:
        """Declare a bias vector of i.i.d. N(mean, variance) entries; add it bare."""
        mu = scalar(f"bias {name}: mean", mean, real_parameter)
        return self._intern(Bias(self._declare(name, "bias", variance, tied, trainable, mu)))

    @explained
    def state(
        self, name: str, initial: object = 0, shared: bool = False, direction: str = "forward"
    ) -> StateCoordinate:
        """Declare a state, zero at the start or N(0, initial); `shared` gives all sequences one draw.

        `direction="backward"` reads the sequence from its end, from zero; backward and forward states share no
        parameter and meet in the output only, each with a readout of its own.
        """
        self._fresh(name)
        start = nonnegative(f"state {name}: initial", initial)
        if direction not in ("forward", "backward") or (direction == "backward" and start != 0):
            raise LanguageError(
                f"state {name}",
                '"forward", or "backward" from zero',
                (direction, start),
                "A backward state is zero after the end of the sequence.",
            )
        self._states[name] = state = State(name, start, flag(f"state {name}: shared", shared), direction == "backward")
        self._intern(Updated(state))
        previous = self._intern(Previous(state))
        assert isinstance(previous, StateCoordinate)
        return previous

    @property
    def x(self) -> Coordinate:
        """The input x_t; it enters through an input map: `F @ rnn.x`."""
        return self._intern(Input())

    @explained
    def update(self, state: Coordinate, right: object) -> None:
        """Set the update of a state: `right` reads the previous states, and updated ones through `.next`."""
        term = self._table.get(state) if isinstance(state, Coordinate) else None
        if not isinstance(term, Previous):
            raise LanguageError(
                "update",
                "a state declared on this recursion",
                shortened(state),
                "Declare it first: h = rnn.state('h').",
            )
        where = f"update of {term.state.name}"
        if self._updated(term.state) in self._updates:
            raise LanguageError(
                where,
                "one update per state",
                "a second one",
                "Join both right sides in one expression, or declare a second state.",
            )
        body = self._expression(where, right)
        self._refuse(where, body, "readout", "Readouts belong to the output: rnn.output(C @ h).")
        self._updates[self._updated(term.state)] = body

    @explained
    def output(self, right: object) -> None:
        """Set the output y_t; every state in it is the updated one, and each term is a readout or a bias."""
        if self._output is not None:
            raise LanguageError("output", "one output", "a second one", "Add the readouts: C @ h + D @ g.")
        body = self._expression("output", right)
        for c in coordinates_of(body):
            if not isinstance(self._table[c], MatVec | Bias) or self._role_of(c) not in ("readout", "bias"):
                raise LanguageError(
                    "output",
                    "readouts of states, as in C @ h",
                    c.label,
                    "Declare one: C = rnn.readout('C', variance='nu_C').",
                )
            if sp.diff(body, c).has(Coordinate):
                raise LanguageError(
                    "output",
                    "a sum of readouts",
                    f"a product with {c.label}",
                    "Put the non-linearity inside: C @ relu(h).",
                )
        self._output = self._read_updated(body)

    def program(self) -> Program:
        """Freeze: every state has its update, there is an output, and no `.next` waits for itself."""
        for state in self._states.values():
            if self._updated(state) not in self._updates:
                raise LanguageError(f"state {state.name}", "an update", "none", f"Write rnn.update({state.name}, …).")
        if not self._states or self._output is None:
            raise LanguageError(
                f"Recursion {self.name}", "at least one state and an output", "none", "Write rnn.output(C @ h)."
            )
        self._check_directions()
        self._check_sizes()
        used = self._reachable()
        program = Program(
            self.name,
            tuple(self._parameters.values()),
            tuple(self._states.values()),
            tuple((c, self._updates[c]) for c in self._ordered()),
            self._output,
            tuple((c, term) for c, term in self._table.items() if c in used),
        )
        check_one_symbol_each(f"Recursion {self.name}", program.scalars, self._states)
        return program

    def _check_sizes(self) -> None:
        """A bias in the output is of size n_y, so no update and no product reads it."""
        assert self._output is not None
        outside = {c for c in coordinates_of(self._output) if isinstance(self._table[c], Bias)}
        parts = [*self._updates.values(), *(t.vector for t in map(self._table.get, coordinates_of(self._output))
                                            if isinstance(t, MatVec))]  # fmt: skip
        for c in sorted(outside & set().union(*map(self._reads, parts)), key=str):
            raise ShapeError(
                f"bias {c.label}",
                "one size",
                "n in an update or a product, n_y in the output",
                "Declare a second bias for the output: c = rnn.bias('c', variance='nu_c').",
            )

    def _check_directions(self) -> None:
        """Forward and backward states share no parameter, and no expression but the output reads both."""
        assert self._output is not None
        sides: dict[str, set[bool]] = {}
        parts = [(c, body) for c, body in self._updates.items()]
        parts += [(c, c) for c in coordinates_of(self._output)]
        for c, expr in parts:
            read = {c, *self._reads(expr)}
            found = {t.state.backward for d in read if isinstance(t := self._table[d], Previous | Updated)}
            names = [p.name for d in read if (p := self._parameter_of(d)) is not None]
            for name in (c.label, *names):
                sides.setdefault(name, set()).update(found)
        layers = {c.label for c in self._updates}
        for name, found in sides.items():
            if len(found) > 1:
                hint = "Give each direction its own matrices, input map, biases and readout."
                if name in layers:
                    hint = (
                        "No layer reads both directions: it would need the whole sequence before its first step. "
                        "Stack layers within each direction, and join the two in the output."
                    )
                raise LanguageError(name, "one direction of reading", "forward and backward states together", hint)

    def _parameter_of(self, c: Coordinate) -> Parameter | None:
        term = self._table[c]
        return term.matrix if isinstance(term, MatVec) else term.parameter if isinstance(term, Bias) else None

    # ---- checks ---------------------------------------------------------------------------------------
    def _matrix(self, name: str, role: Role, variance: object, tied: bool, trainable: bool) -> LinearMap:
        return LinearMap(self, ((sp.S.One, self._declare(name, role, variance, tied, trainable)),))

    def _declare(
        self, name: str, role: Role, variance: object, tied: bool, trainable: bool, mean: sp.Expr = sp.S.Zero
    ) -> Parameter:
        self._fresh(name)
        nu = nonnegative(f"{role} {name}: variance", variance)
        shared = flag(f"{role} {name}: tied", tied)
        trained = flag(f"{role} {name}: trainable", trainable)
        self._parameters[name] = p = Parameter(name, role, nu, shared, trained, mean)
        return p

    def _fresh(self, name: object) -> None:
        if not isinstance(name, str) or not NAME.match(name):
            raise LanguageError(
                f"Recursion {self.name}",
                "a name of letters, digits and _, letter first",
                repr(name),
                "For example 'W' or 'W_2'.",
            )
        if name in self._parameters or name in self._states or name == "x":
            raise LanguageError(
                f"Recursion {self.name}",
                "a name not used yet",
                repr(name),
                "Every matrix, bias and state has its own name; x is the input.",
            )

    def _vector(self, where: str, value: object, role: str) -> sp.Expr:
        v = self._expression(where, value, allow_input=True)
        has_input = any(isinstance(self._table[c], Input) for c in coordinates_of(v))
        if role == "input_map" and not (isinstance(v, Coordinate) and has_input):
            raise ShapeError(
                where,
                "the input x of size n_x",
                value,
                "An input map takes the input: F @ rnn.x. For a state declare rnn.matrix(…).",
            )
        if role != "input_map" and has_input:
            raise ShapeError(
                where,
                "a vector of size n",
                "the input x of size n_x",
                "Let it enter through an input map: F = rnn.input_map('F'); F @ rnn.x.",
            )
        self._refuse(where, v, "readout", "A readout has size n_y and ends the recursion.")
        return v

    def _expression(self, where: str, value: object, allow_input: bool = False) -> sp.Expr:
        if isinstance(value, LinearMap):
            raise ShapeError(where, "a vector", f"the matrix {value}", f"Apply it to a vector: {value} @ h.")
        expr = exact(where, value, "a SymPy expression in the states")
        for c in coordinates_of(expr):
            if c not in self._table:
                raise LanguageError(
                    where,
                    f"terms of the recursion {self.name!r}",
                    c.label,
                    "It was declared on another recursion; declare it here.",
                )
            if isinstance(self._table[c], Input) and not allow_input:
                raise ShapeError(
                    where,
                    "a vector of size n",
                    "the input x of size n_x",
                    "Let it enter through an input map: F @ rnn.x.",
                )
        return folded(expr)

    def _refuse(self, where: str, expr: sp.Expr, role: str, hint: str) -> None:
        for c in coordinates_of(expr):
            if self._role_of(c) == role:
                raise LanguageError(where, f"no {role}", c.label, hint)

    def _role_of(self, c: Coordinate) -> str | None:
        match self._table[c]:
            case MatVec(matrix, _):
                return matrix.role
            case Bias(parameter):
                return parameter.role
            case _:
                return None

    # ---- terms ----------------------------------------------------------------------------------------
    def _intern(self, term: Term) -> Coordinate:
        c = coordinate(self.name, term)
        self._table.setdefault(c, term)
        return self._interned.setdefault(c, c)

    def _updated(self, state: State) -> Coordinate:
        return coordinate(self.name, Updated(state))

    def _read_updated(self, expr: sp.Expr) -> sp.Expr:
        """An expression with every state updated, at any depth: C @ relu(W @ h) reads W h_t."""
        now: dict[Coordinate, Coordinate] = {}
        for c in coordinates_of(expr):
            match self._table[c]:
                case Previous(state):
                    now[c] = self._updated(state)
                case MatVec(matrix, vector):
                    now[c] = self._intern(MatVec(matrix, self._read_updated(vector)))
        return expr.xreplace(now)

    def _reads(self, expr: sp.Expr) -> set[Coordinate]:
        """All coordinates an expression reads, through the arguments of its matrix products."""
        found: set[Coordinate] = set()
        for c in coordinates_of(expr):
            term = self._table[c]
            found |= {c} | (self._reads(term.vector) if isinstance(term, MatVec) else set())
        return found

    def _reachable(self) -> set[Coordinate]:
        assert self._output is not None
        used = set().union(*(self._reads(body) for body in (*self._updates.values(), self._output)))
        return used | {coordinate(self.name, kind(s)) for s in self._states.values() for kind in (Previous, Updated)}

    def _ordered(self) -> list[Coordinate]:
        """Updated states, each after those whose updated value it reads."""
        done: list[Coordinate] = []

        def visit(c: Coordinate, path: tuple[Coordinate, ...]) -> None:
            if c in path:
                cycle = " -> ".join(d.label for d in (*path, c))
                raise LanguageError(
                    "update",
                    "updates that can be computed in some order",
                    f"the cycle {cycle}",
                    "Read a previous state instead of .next somewhere in it.",
                )
            if c not in done:
                for d in sorted(self._reads(self._updates[c]), key=str):
                    if isinstance(self._table[d], Updated):
                        visit(d, (*path, c))
                done.append(c)

        for c in self._updates:
            visit(c, ())
        return done
