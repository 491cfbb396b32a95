"""Blocks of pairs of sequences: worked out here or by an executor, and a kernel that cannot fit refused before."""

from __future__ import annotations

import itertools
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from wideproof.derive.expectation.tables import compiled_sweep
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import Array, backend, to_host
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.kernels.sequence_batches import SequenceBatch
from wideproof.numeric.runs.crew import crew_of, read_text
from wideproof.numeric.runs.environment import gpu_memory, machine_memory

Block = tuple[Any, Any, SequenceBatch]
Worked = tuple[Any, Any, list[Array]]


def refuse_too_many_pairs(kernel: Any, shape: Sequence[int], arrays: int) -> None:
    """Do nothing for a kernel whose entries fit the memory of this machine, or of the GPU.

    Errors: ParameterError with the arithmetic and what to do.
    """
    most = machine_memory() if kernel.backend == "numpy" else gpu_memory()
    need = 8.0 * arrays * math.prod(shape)
    if most is None or need <= most:
        return
    told = f"8 bytes x {' x '.join(map(str, shape))} entries" + (f" x {arrays} arrays" if arrays > 1 else "")
    rows = max(1, int(shape[0] * most / need / 2))
    other = "" if kernel.readout != "all" else ', or take readout="last", which has one entry for each pair'
    raise ParameterError(f"kernel of {kernel.recursion.name}", f"entries that fit the {most / 1e9:.3g} GB of memory",
                         f"{told} = {need / 1e9:.3g} GB",
                         f"Ask for some rows at a time, such as kernel.ntk(X[:{rows}], X){other}.")  # fmt: skip


def worked_blocks(
    kernel: Any, asked: tuple[str, tuple[str, ...] | None, bool], blocks: Iterable[Block], total: int, fit: int
) -> Iterator[Worked]:
    """Yield the rows, the columns and the numbers of each block, by the kernel's executor in any order.

    Here threads take a block each, no more than `fit` at once; a device has its own threads.
    The progress of the kernel is told (blocks done, all blocks).  Errors: those of the kernel, of whoever works.
    """
    shared = total > 1 and kernel.backend == "numpy"
    count = max(1, min(fit, compiled_sweep.threads())) if shared else 1
    found = _here(kernel, asked, blocks, count) if kernel.executor is None else _elsewhere(kernel, asked, blocks)
    for done, worked in enumerate(found, 1):
        yield worked
        if kernel.effort.progress is not None:
            kernel.effort.progress(done, total)


def _here(kernel: Any, asked: tuple[str, Any, bool], blocks: Iterable[Block], count: int) -> Iterator[Worked]:
    """Blocks in their order: the first one alone, for it compiles what all need, and so is one that is swept."""

    def work(block: Block) -> Worked:
        rows, columns, batch = block
        return rows, columns, kernel.block(asked, batch)

    left = iter(blocks)
    yield from map(work, itertools.islice(left, 1))
    more = [*itertools.islice(left, 1)]
    if not more:
        return
    with ThreadPoolExecutor(count, f"{compiled_sweep.HELPERS}block") as pool:
        begun: deque[Future[Worked]] = deque()
        for block in itertools.chain(more, left):
            if block[2].swept or count == 1:
                yield from (future.result() for future in begun)
                begun.clear()
                yield work(block)
                continue
            begun.append(pool.submit(copy_context().run, work, block))  # how NumPy treats overflow is of the context
            if len(begun) == count:
                yield begun.popleft().result()
        yield from (future.result() for future in begun)


def _elsewhere(kernel: Any, asked: tuple[str, Any, bool], blocks: Iterable[Block]) -> Iterator[Worked]:
    text, xp = _text(kernel, asked), backend(kernel.backend)
    sent = (((rows, columns), (text, *_sent(batch))) for rows, columns, batch in blocks)
    with crew_of(executor=kernel.executor) as crew:
        for (rows, columns), parts in crew.each(block_elsewhere, sent):
            yield rows, columns, [xp.asarray(part) for part in parts]


def _sent(batch: SequenceBatch) -> tuple[Array, Array, tuple[bool, float, float, bool]]:
    return to_host(batch.first), to_host(batch.second), (batch.diagonal, batch.rounding, batch.wanted, batch.swept)


def _text(kernel: Any, asked: tuple[str, Any, bool]) -> str:
    """All that a block depends on besides its sequences."""
    own = {name: getattr(kernel, name) for name in ("parameterization", "backend", "readout", "memory")}
    return json.dumps(own | {"program": program_data(kernel.recursion), "parameters": kernel.parameters,
                             "asked": asked}, sort_keys=True)  # fmt: skip


def block_elsewhere(text: str, first: Array, second: Array, how: tuple[bool, float, float, bool]) -> list[Array]:
    """Return the numbers of one block, from the text of a kernel and the sequences, in any process.

    Shapes: first (N1, T1, n_x), second (N2, T2, n_x) -> as `Kernel.block`.  Units, error: as `Kernel`.
    """
    kernel, asked = read_text(_kernel_of, text)
    xp = backend(kernel.backend)
    with blas_threads(1):
        batch = SequenceBatch(xp, xp.asarray(first), xp.asarray(second), *how)
        return [to_host(x) for x in kernel.block(asked, batch)]


def _kernel_of(data: dict[str, Any]) -> tuple[Any, tuple[str, tuple[str, ...] | None, bool]]:
    from wideproof.numeric.kernels.kernel import Kernel

    quantity, names, with_error = data["asked"]
    own = {name: data[name] for name in ("parameterization", "backend", "readout", "memory")}
    asked = quantity, None if names is None else tuple(names), with_error
    return Kernel(program_of(data["program"]), **own, **data["parameters"]), asked
