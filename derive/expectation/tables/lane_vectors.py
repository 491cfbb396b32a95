"""Vectors of lanes for the texts of loops: loads, stores, sums and products of numbers that stay in registers.

LLVM makes vectors of innermost loops only, and of 256 bits where a processor has 512; the sums of tables have their
loop over orders inside, with the columns' bases in registers. Where registers are shorter, LLVM takes several.
Products and sums join as `compiled_sweep.HOW` says.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import installed

Host = NDArray[np.float64]
LANES = 8
"""Numbers of a vector where there are as many columns."""
LINE = 8
"""Numbers of a line of the cache: a vector that lies in two takes twice as long to load."""
BYTES = 8
"""Where an array begins, at the least, in memory."""
NAMES = re.compile(r"\b(lanes|keep|spread|share|root|lesser|greater|some_below|all_below|pick)(\d*)(?=\()")
"""The functions of vectors, and how many lanes they are said to have: nothing where that is still to be said."""
OPERATORS = ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"))


def aligned(shape: tuple[int, ...]) -> Host:
    """An array that begins at a line of the cache."""
    found = np.empty(math.prod(shape) + LINE)
    begin = -found.ctypes.data // found.itemsize % LINE
    return found[begin : begin + math.prod(shape)].reshape(shape)


def of_lanes(text: str, count: int) -> str:
    """A text whose functions of vectors say how many lanes they have: so many, where they do not say it yet."""
    return NAMES.sub(lambda found: f"{found[1]}{found[2] or count}", text)


def functions_of(text: str) -> dict[str, Callable[..., Any]]:
    """The functions of vectors that a text names."""
    counts = {int(count) for _, count in NAMES.findall(text)}
    return {f"{name}{count}": function for count in counts for name, function in functions(count).items()}


@functools.cache
def functions(count: int) -> dict[str, Callable[..., Any]]:
    """The functions of vectors of so many lanes, as array code, which Numba compiles to code of vectors.

    `lanes(array, place)` loads from a tuple of indices on, `keep(array, place, x)` stores; `spread(x)` and
    `share(array, place)` repeat a number; `root(x)`, `lesser(x, y)`, `greater(x, y)` and `pick(x, y, one, two)`, which
    is one where x < y, + - * and / go lane by lane; `some_below(x, y)` and `all_below(x, y)` say whether x < y.
    No index is negative.
    """

    def part(array: Any, place: tuple[int, ...]) -> Any:
        *others, first = map(int, place)
        return array[(*others, slice(first, first + count))]

    def keep(array: Host, place: tuple[int, ...], x: Host) -> None:
        part(array, place)[:] = x

    found: dict[str, Callable[..., Any]] = {
        "lanes": lambda array, place: part(array, place).copy(),
        "keep": keep,
        "spread": lambda number: np.full(count, number),
        "share": lambda array, place: np.full(count, array[tuple(map(int, place))]),
        "root": lambda x: np.sqrt(x),
        "lesser": lambda x, y: np.where(x < y, x, y),
        "greater": lambda x, y: np.where(x > y, x, y),
        "some_below": lambda x, y: bool(np.any(x < y)),
        "all_below": lambda x, y: bool(np.all(x < y)),
        "pick": lambda x, y, one, two: np.where(x < y, one, two),
    }
    if installed():
        _know(found, count)
    return found


def _know(functions: dict[str, Callable[..., Any]], count: int) -> None:
    """Tell Numba of the functions."""
    extending: Any = importlib.import_module("numba.extending")
    types, code = importlib.import_module("numba").types, _Code(count)
    kind = type(f"Lanes{count}", (types.Type,), {})
    vector = kind(f"lanes{count}")
    extending.register_model(kind)(lambda manager, found: extending.models.PrimitiveModel(manager, found, code.vector))
    both, place = (vector, vector), (types.Array, types.BaseTuple)
    known = [
        (functions["lanes"], lambda array, at: vector, place, code.load),
        (functions["keep"], lambda array, at, x: types.void, (*place, vector), code.store),
        (functions["spread"], lambda number: vector, (types.Number,), code.spread),
        (functions["share"], lambda array, at: vector, place, code.share),
        (functions["root"], lambda x: vector, (vector,), code.root),
        (functions["lesser"], lambda x, y: vector, both, code.lesser),
        (functions["greater"], lambda x, y: vector, both, code.greater),
        (functions["some_below"], lambda x, y: types.boolean, both, code.some_below),
        (functions["all_below"], lambda x, y: types.boolean, both, code.all_below),
        (functions["pick"], lambda x, y, one, two: vector, (*both, *both), code.pick),
        *(
            (sign, lambda x, y: vector if (x, y) == both else None, both, code.between(name))
            for sign, name in OPERATORS
        ),
    ]
    for function, typer, arguments, made in known:
        extending.type_callable(function)(lambda context, typer=typer: typer)
        extending.lower_builtin(function, *arguments)(made)


class _Code:
    """What the functions of vectors are to LLVM, each as Numba asks: (context, builder, signature, arguments)."""

    def __init__(self, count: int) -> None:
        self.ir: Any = importlib.import_module("llvmlite.ir")
        self.types: Any = importlib.import_module("numba").types
        self.cgutils: Any = importlib.import_module("numba.core.cgutils")
        self.count, self.vector = count, self.ir.VectorType(self.ir.DoubleType(), count)

    def _place(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """The place of the first argument, an array, at the indices that follow."""
        kind, indices = signature.args[:2]
        array = context.make_array(kind)(context, builder, args[0])
        each = zip(self.cgutils.unpack_tuple(builder, args[1]), indices, strict=True)
        at = [context.cast(builder, x, own, self.types.intp) for x, own in each]
        return self.cgutils.get_item_pointer(context, builder, kind, array, at)

    def _repeated(self, builder: Any, number: Any) -> Any:
        zeros = self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), self.count), [0] * self.count)
        empty = self.ir.Constant(self.vector, self.ir.Undefined)
        first = builder.insert_element(empty, number, self.ir.Constant(self.ir.IntType(32), 0))
        return builder.shuffle_vector(first, empty, zeros)

    def load(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = self._place(context, builder, signature, args)
        return builder.load(builder.bitcast(place, self.vector.as_pointer()), align=BYTES)

    def store(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = self._place(context, builder, signature, args)
        builder.store(args[2], builder.bitcast(place, self.vector.as_pointer()), align=BYTES)
        return context.get_dummy_value()

    def spread(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return self._repeated(builder, context.cast(builder, args[0], signature.args[0], self.types.float64))

    def share(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return self._repeated(builder, builder.load(self._place(context, builder, signature, args)))

    def root(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = self.ir.FunctionType(self.vector, [self.vector])
        found = self.cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{self.count}f64")
        return builder.call(found, args)

    def between(self, name: str) -> Callable[..., Any]:
        return lambda context, builder, signature, args: getattr(builder, name)(*args)

    def lesser(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    def greater(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    def pick(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args[:2]), *args[2:])

    def _below(self, builder: Any, args: Any) -> Any:
        """A bit a lane, as one number."""
        return builder.bitcast(builder.fcmp_ordered("<", *args), self.ir.IntType(self.count))

    def some_below(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("!=", self._below(builder, args), self.ir.IntType(self.count)(0))

    def all_below(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = self._below(builder, args)
        return builder.icmp_unsigned("==", bits, self.ir.IntType(self.count)(2**self.count - 1))
