"""Moments given paths as short programs of vector operations, run on whole arrays or, where Numba is, row by row.

A program is made of expressions once and run for many pairs of steps. Row by row its registers stay in the cache, and
one loop, compiled once, runs every program; the operations on arrays are the reference.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables.compiled_sweep import in_parts, loop_of, threads

KEPT, CONSTANT, FACTOR, SCALED, PLUS, TIMES, STORE, MEAN, MORE, TURNED = range(10)
REGISTERS = {SCALED: (True, False, False), PLUS: (True, True, False), TIMES: (True, True, False), MORE: (True,) * 3}
"""Which operands are registers."""
ROWS, REGISTER = 64, 1024
"""Rows that a thread takes at a time, and the numbers of a register: those of a block of rows or of a part of one."""


@dataclass(frozen=True, eq=False)
class PathMoment:
    """An expression: what is kept, a constant of the paths, a factor of one sequence, or an operation on others.

    `key` names what is kept, a constant or a factor; `axis` says whose factor it is, 1 the first sequence's.
    Shapes: (R, N, N, M) for R replicates, N sequences, M paths.
    """

    code: int
    parts: tuple[PathMoment, ...] = ()
    key: Hashable = None
    axis: int = 0
    weight: float = 1.0

    def plus(self, other: PathMoment, weight: float = 1.0) -> PathMoment:
        """self + weight x other; a product is added as it is made."""
        if other.code == TIMES:
            return PathMoment(MORE, (self, *other.parts), weight=weight)
        return PathMoment(PLUS, (self, other), weight=weight)

    def times(self, other: PathMoment | float) -> PathMoment:
        """The product."""
        if isinstance(other, PathMoment):
            return PathMoment(TIMES, (self, other))
        return self if other == 1.0 else PathMoment(SCALED, (self,), weight=other)

    def by(self, factor: Hashable, axis: int) -> PathMoment:
        """The product with a factor that one of the two sequences has."""
        return PathMoment(TIMES, (self, PathMoment(FACTOR, key=factor, axis=axis)))

    def turned(self) -> PathMoment:
        """The same of the two sequences exchanged."""
        return PathMoment(TURNED, (self,))


@dataclass
class PathProgram:
    """Instructions (operation, register, three operands or less), and the keys that operands of leaves number.

    The last operand of what is kept says whether sequences are exchanged, that of a factor whose it is.
    """

    code: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    factors: list[Any] = field(default_factory=list)
    stores: list[Any] = field(default_factory=list)
    means: int = 0
    registers: int = 0
    compacted: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        self._places: dict[Any, int] = {}

    def store(self, key: Hashable, moment: PathMoment) -> None:
        """Keep a moment."""
        self._emit(STORE, self.place(moment), len(self.stores))
        self.stores.append(key)

    def mean(self, moments: Sequence[PathMoment]) -> None:
        """Take the mean over the paths of a sum."""
        for moment in moments:
            self._emit(MEAN, self.place(moment), self.means)
        self.means += 1

    def place(self, moment: PathMoment, turned: bool = False) -> int:
        """The register of a moment."""
        if moment.code == TURNED:
            return self.place(moment.parts[0], not turned)
        axis = 3 - moment.axis if turned and moment.axis else moment.axis or int(turned)
        place = (id(moment),) if moment.parts else (moment.code, moment.key, axis)
        if (turned, *place) not in self._places:
            parts = [self.place(part, turned) for part in moment.parts]
            if not parts:
                keys = {KEPT: self.kept, CONSTANT: self.constants, FACTOR: self.factors}[moment.code]
                parts = [_number(keys, moment.key)]
            third = axis if not moment.parts else parts.pop() if moment.code == MORE else 0
            a, b = (*parts, 0)[:2]
            self._emit(moment.code, self.registers, a, b, third, moment.weight)
            self._places[turned, *place] = self.registers
            self.registers += 1
        return self._places[turned, *place]

    def compact(self) -> None:
        """Give registers that are read no more to later instructions, so that few of them are in use.

        None is written by the instruction that reads it last: loops are vectors only where no arrays overlap.
        """
        last = {register: at for at, entry in enumerate(self.code) for register in _read(*entry)}
        places, free, self.registers = dict[int, int](), list[int](), 0
        for at, (code, to, a, b, c) in enumerate(self.code):
            read = _read(code, to, a, b, c)
            is_register = REGISTERS.get(code, (False, False, False))
            first, second, third = (places[x] if y else x for x, y in zip((a, b, c), is_register, strict=True))
            if code not in (STORE, MEAN):
                if not free:
                    free.append(self.registers)
                    self.registers += 1
                places[to] = free.pop()
            free += {places[x] for x in read if last[x] == at}
            self.code[at] = (code, places[to], first, second, third)
        self.compacted = np.array(self.code, np.int64).reshape(-1, 5)
        self._places.clear()

    @property
    def exchanges(self) -> bool:
        """Whether it reads what is kept of the two sequences exchanged, and so of other rows."""
        return any(code == KEPT and turned for code, _, _, _, turned in self.code)

    def _emit(self, code: int, to: int, a: int = 0, b: int = 0, third: int = 0, weight: float = 1.0) -> None:
        self.code.append((code, to, a, b, third))
        self.weights.append(weight)


@dataclass
class Operands:
    """The arrays of a run, by the numbers of a program.

    Shapes: kept (slots, R, N, N, M), constants (slots, R, N, N), factors (slots, R, N, M); slots of each key.
    """

    kept: Any
    constants: Any
    factors: Any
    slots: tuple[list[int], list[int], list[int], list[int]]


def joined(programs: Sequence[PathProgram]) -> PathProgram:
    """One program of several, one after the other; a row of it is what it is of each while none `exchanges`."""
    whole, codes = PathProgram(registers=max(program.registers for program in programs)), []
    for program in programs:
        assert program.compacted is not None
        code = program.compacted.copy()
        before = {KEPT: len(whole.kept), CONSTANT: len(whole.constants), FACTOR: len(whole.factors),
                  STORE: len(whole.stores), MEAN: whole.means}  # fmt: skip
        for what, count in before.items():
            code[code[:, 0] == what, 2] += count
        for keys, more in zip((whole.kept, whole.constants, whole.factors, whole.stores, whole.weights),
                              (program.kept, program.constants, program.factors, program.stores, program.weights),
                              strict=True):  # fmt: skip
            keys += more
        whole.means += program.means
        codes.append(code)
    whole.compacted = np.concatenate(codes)
    return whole


def run(xp: Any, program: PathProgram, operands: Operands) -> Any:
    """Run a program: what it stores is kept, its means are returned.  Shapes: (means, R, N, N), double."""
    loop = loop_of(rows) if isinstance(operands.kept, np.ndarray) else None
    if loop is None:
        return by_arrays(xp, program, operands)
    _, R, N, _, M = operands.kept.shape
    means = np.zeros((program.means, R, N, N))
    code = program.compacted
    weights = np.array(program.weights, operands.kept.dtype)
    slots = [np.array(x, np.int64) for x in operands.slots]
    length = max(M, min(N * N * M, REGISTER))
    pool, factors = operands.kept.reshape(-1, R, N * N * M), operands.factors.reshape(-1, R, N * M)

    share = ROWS if threads() > 1 else R * N

    def part(start: int) -> None:
        registers = np.empty((program.registers, length), operands.kept.dtype)
        loop(start, min(start + share, R * N), code, weights, *slots, pool, operands.constants, factors, registers,
             means)  # fmt: skip

    in_parts(part, range(0, R * N, share))
    return means


def by_arrays(xp: Any, program: PathProgram, operands: Operands) -> Any:
    """The same, an operation on arrays for each instruction: the reference and the fallback."""
    kept, constants, factors, stores = operands.slots
    means, held = xp.zeros((program.means, *operands.kept.shape[1:4])), dict[int, Any]()
    assert program.compacted is not None
    for at, (code, to, a, b, axis) in enumerate(program.compacted.tolist()):
        if code == KEPT:
            held[to] = _exchanged(xp, operands.kept[kept[a], ...], axis)
        elif code == CONSTANT:
            held[to] = _exchanged(xp, operands.constants[constants[a], ...][..., None], axis)
        elif code == FACTOR:
            held[to] = xp.expand_dims(operands.factors[factors[a], ...], axis=3 - axis)
        elif code == SCALED:
            held[to] = program.weights[at] * held[a]
        elif code == PLUS:
            held[to] = held[a] + program.weights[at] * held[b]
        elif code == TIMES:
            held[to] = held[a] * held[b]
        elif code == MORE:
            held[to] = held[a] + program.weights[at] * (held[b] * held[axis])
        elif code == STORE:
            operands.kept[stores[a], ...] = held[to]
        else:
            means[a, ...] += xp.mean(xp.astype(held[to], xp.float64), axis=-1)
    return means


def _read(code: int, *rest: int) -> list[int]:
    """The registers that an instruction reads: its operands, or what is kept or averaged."""
    if code in (STORE, MEAN):
        return [rest[0]]
    return [x for x, is_register in zip(rest[1:], REGISTERS.get(code, ()), strict=False) if is_register]


def _exchanged(xp: Any, values: Any, turned: int) -> Any:
    return xp.permute_dims(values, (0, 2, 1, 3)) if turned else values


def _number(keys: list[Any], key: Any) -> int:
    if key not in keys:
        keys.append(key)
    return keys.index(key)


def rows(  # noqa: C901 - one loop nest for the compiler
    start: int, stop: int, code: NDArray[np.int64], weights: Any, kept: Any, constant: Any, factor: Any, stores: Any,
    pool: Any, constants: Any, factors: Any, registers: Any, means: Any,
) -> None:  # fmt: skip
    """Some rows, each a replicate and a first sequence: all instructions for a block of rows or of a part of one."""
    N = constants.shape[2]
    M = pool.shape[2] // N // N
    block = max(1, min(N, registers.shape[1] // M))
    most = max(1, registers.shape[1] // (N * M)) if block == N else 1
    row = start
    while row < stop:
        r, i = row // N, row % N
        high = min(most, stop - row, N - i)
        row += high
        for first in range(0, N, block):
            count = min(block, N - first)
            size, before, width = high * count * M, (i * N + first) * M, count * M
            for x in range(code.shape[0]):
                what, a, b, axis = code[x, 0], code[x, 2], code[x, 3], code[x, 4]
                to = registers[code[x, 1]]
                if what == KEPT:
                    at = kept[a]
                    if axis:
                        for h in range(high):
                            for j in range(count):
                                begin, end = ((first + j) * N + i + h) * M, (h * count + j) * M
                                for m in range(M):
                                    to[end + m] = pool[at, r, begin + m]
                    else:
                        for m in range(size):
                            to[m] = pool[at, r, before + m]
                elif what == CONSTANT:
                    at = constant[a]
                    for h in range(high):
                        for j in range(count):
                            value = constants[at, r, first + j, i + h] if axis else constants[at, r, i + h, first + j]
                            begin = (h * count + j) * M
                            for m in range(M):
                                to[begin + m] = value
                elif what == FACTOR:
                    at = factor[a]
                    for h in range(high):
                        if axis == 1:
                            for j in range(count):
                                begin = (h * count + j) * M
                                for m in range(M):
                                    to[begin + m] = factors[at, r, (i + h) * M + m]
                        else:
                            for m in range(width):
                                to[h * width + m] = factors[at, r, first * M + m]
                elif what == SCALED:
                    one, weight = registers[a], weights[x]
                    for m in range(size):
                        to[m] = weight * one[m]
                elif what == PLUS:
                    one, two, weight = registers[a], registers[b], weights[x]
                    for m in range(size):
                        to[m] = one[m] + weight * two[m]
                elif what == TIMES:
                    one, two = registers[a], registers[b]
                    for m in range(size):
                        to[m] = one[m] * two[m]
                elif what == MORE:
                    one, two, three, weight = registers[a], registers[b], registers[axis], weights[x]
                    for m in range(size):
                        to[m] = one[m] + weight * (two[m] * three[m])
                elif what == STORE:
                    at = stores[a]
                    for m in range(size):
                        pool[at, r, before + m] = to[m]
                else:
                    for h in range(high):
                        for j in range(count):
                            begin, one, two, three, four = (h * count + j) * M, 0.0, 0.0, 0.0, 0.0
                            for m in range(begin, begin + M - 3, 4):
                                one += to[m]
                                two += to[m + 1]
                                three += to[m + 2]
                                four += to[m + 3]
                            for m in range(begin + M - M % 4, begin + M):
                                one += to[m]
                            means[a, r, i + h, first + j] += ((one + two) + (three + four)) / M
