"""Vectors of lanes for the texts of loops: loads, stores, sums and products of numbers that stay in registers.

LLVM makes vectors of innermost loops only, and of 256 bits where a processor has 512; the sums of tables have their
loop over orders inside, with the columns' bases in registers. Where registers are shorter, LLVM takes several.
Products and sums join as `compiled_sweep.HOW` says.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Host = NDArray[np.float64]
LANES = 8
"""Numbers of a vector where there are as many columns."""
BYTES = 8
"""Where an array begins, at the least, in memory."""
NAMES = re.compile(r"\b(lanes|keep|spread|share|root|lesser|greater)(\d*)(?=\()")
"""The functions of vectors, and how many lanes they are said to have."""
OPERATORS = ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"))


def of_lanes(text: str, count: int) -> str:
    """A text whose functions of vectors say how many lanes they have."""
    return NAMES.sub(rf"\g<1>{count}", text)


def functions_of(text: str) -> dict[str, Callable[..., Any]]:
    """The functions of vectors that a text names."""
    counts = {int(count) for _, count in NAMES.findall(text)}
    return {f"{name}{count}": function for count in counts for name, function in _functions(count).items()}


@functools.cache
def _functions(count: int) -> dict[str, Callable[..., Any]]:
    """The functions of vectors of so many lanes, as array code, which Numba compiles to code of vectors.

    `lanes(array, row, j)` loads, `keep(array, row, j, vector)` stores; `spread(x)` and `share(array, place)` repeat a
    number; `root(x)`, `lesser(x, y)` and `greater(x, y)`, + - * and / go lane by lane. No index is negative.
    """

    def keep(array: Host, row: int, j: int, vector: Host) -> None:
        array[row, int(j) : int(j) + count] = vector

    found: dict[str, Callable[..., Any]] = {
        "lanes": lambda array, row, j: array[row, int(j) : int(j) + count].copy(),
        "keep": keep,
        "spread": lambda number: np.full(count, number),
        "share": lambda array, place: np.full(count, array[place]),
        "root": lambda x: np.sqrt(x),
        "lesser": lambda x, y: np.where(x < y, x, y),
        "greater": lambda x, y: np.where(x > y, x, y),
    }
    if importlib.util.find_spec("numba") is not None:
        _know(found, count)
    return found


def _know(functions: dict[str, Callable[..., Any]], count: int) -> None:
    """Tell Numba of the functions."""
    extending: Any = importlib.import_module("numba.extending")
    types, code = importlib.import_module("numba").types, _Code(count)
    kind = type(f"Lanes{count}", (types.Type,), {})
    vector = kind(f"lanes{count}")
    extending.register_model(kind)(lambda manager, found: extending.models.PrimitiveModel(manager, found, code.vector))
    both, place = (vector, vector), (types.Array, types.Integer)
    known = [
        (functions["lanes"], lambda array, row, j: vector, (*place, types.Integer), code.load),
        (functions["keep"], lambda array, row, j, x: types.void, (*place, types.Integer, vector), code.store),
        (functions["spread"], lambda number: vector, (types.Number,), code.spread),
        (functions["share"], lambda array, at: vector, place, code.share),
        (functions["root"], lambda x: vector, (vector,), code.root),
        (functions["lesser"], lambda x, y: vector, both, code.lesser),
        (functions["greater"], lambda x, y: vector, both, code.greater),
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

    def _place(self, context: Any, builder: Any, signature: Any, args: Any, indices: int) -> Any:
        """The place of the first argument, an array, at the indices that follow."""
        types = signature.args
        array = context.make_array(types[0])(context, builder, args[0])
        at = [context.cast(builder, args[n], types[n], self.types.intp) for n in range(1, 1 + indices)]
        return self.cgutils.get_item_pointer(context, builder, types[0], array, at)

    def _repeated(self, builder: Any, number: Any) -> Any:
        zeros = self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), self.count), [0] * self.count)
        empty = self.ir.Constant(self.vector, self.ir.Undefined)
        first = builder.insert_element(empty, number, self.ir.Constant(self.ir.IntType(32), 0))
        return builder.shuffle_vector(first, empty, zeros)

    def load(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = self._place(context, builder, signature, args, 2)
        return builder.load(builder.bitcast(place, self.vector.as_pointer()), align=BYTES)

    def store(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = self._place(context, builder, signature, args, 2)
        builder.store(args[3], builder.bitcast(place, self.vector.as_pointer()), align=BYTES)
        return context.get_dummy_value()

    def spread(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return self._repeated(builder, context.cast(builder, args[0], signature.args[0], self.types.float64))

    def share(self, context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return self._repeated(builder, builder.load(self._place(context, builder, signature, args, 1)))

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
