"""One compiled sweep over a block of pairs, on all cores, where Numba is installed; the array text is the reference.

Threads take rows of pairs, so the bits do not depend on their number.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import importlib.util
import math
import os
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Host = NDArray[np.float64]
Part = TypeVar("Part")
LANES = 4
"""Terms of a rank summed together; ranks are filled up with zeros."""
ROWS = 16
"""Rows a thread takes at a time."""
TINY = 1e-300
"""The least that is divided by."""
HOW = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
HELPERS = "wideproof-"
"""The names of threads that share work begin so."""
LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def threads() -> int:
    """The cores this process may use, or fewer where the environment says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = [os.environ.get(name, "") for name in LIMITS]
    return max(1, min([cores, *(int(x) for x in said if x.isdecimal())]))


@functools.cache
def sweep() -> Callable[..., Host] | None:
    """The sum over a block of a table, see `pair_tables.evaluate`, or None without Numba.

    (softening, layer, a (N,), b (M,), c (N, M), means (2, N), means (2, M), terms [(N, K, r)] * 2, basis (r, M), half)
    -> (N, M), of which from the diagonal on is right where `half` is said.
    """
    compiled = loop_of(_loop)
    if compiled is None:
        return None

    def called(
        softening: float, layer: float, a: Host, b: Host, c: Host, p: Host, q: Host, terms: list[Host], basis: Host,
        half: bool,
    ) -> Host:  # fmt: skip
        rank = -len(basis) % LANES
        even, odd = (np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (0, rank)))) for x in terms)
        columns = np.ascontiguousarray(np.pad(basis, ((0, rank), (0, 0))))
        rows, cols = (np.stack([1.0 / np.sqrt(softening + x), x / (softening + x)]) for x in (a, b))
        out = np.empty_like(c)

        def part(start: int) -> None:
            compiled(start, min(start + ROWS, len(a)), layer, rows, cols, c, p, q, even, odd, columns, half, out)

        in_parts(part, range(0, len(a), ROWS))
        return out

    return called


def in_parts(work: Callable[[int], Part], starts: range) -> list[Part]:
    """What becomes of a block's parts, by as many threads as there are cores, in all of which NumPy raises the same.

    A thread that works on a part, or on a block, does the parts of that alone.
    """
    found: dict[int, Part] = {}
    left = iter(starts)

    def some() -> None:
        for start in left:
            found[start] = work(start)

    helps = threading.current_thread().name.startswith(HELPERS)
    calls = [Call(some) for _ in range(0 if helps else min(threads(), len(starts)) - 1)]
    for n, call in enumerate(calls):
        _helper(n)
        CALLS.put(call)
    try:
        some()
    finally:
        for _ in left:  # after an error nothing is begun any more
            pass
        for call in calls:
            call.wait()
    return [found[start] for start in starts]


class Call:
    """Work that a helper takes up if it comes to it: its caller, who does the same meanwhile, waits only if it has."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work, self.context = work, contextvars.copy_context()
        self.begun, self.done = False, threading.Lock()
        self.error: BaseException | None = None
        self.done.acquire()

    def run(self) -> None:
        """Do it, and keep its error for who waits."""
        self.begun = True
        try:
            self.context.run(self.work)
        except BaseException as error:  # raised again by `wait`
            self.error = error
        self.done.release()

    def wait(self) -> None:
        """Do nothing until it is done, if it has begun.  Errors: its own."""
        if self.begun:
            self.done.acquire()
            if self.error is not None:
                raise self.error


CALLS: SimpleQueue[Call] = SimpleQueue()
"""What helpers take up. A pool of futures takes 60 microseconds more, with nothing of it in the cache."""


@functools.cache
def _helper(n: int) -> None:
    """Start a helper, once."""
    calls = CALLS

    def serve() -> None:
        while True:
            calls.get().run()

    threading.Thread(target=serve, name=f"{HELPERS}sweep{n}", daemon=True).start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helper.cache_clear)  # threads are not copied


def installed() -> bool:
    """Whether Numba is there to compile loops."""
    return importlib.util.find_spec("numba") is not None


@functools.cache
def loop_of(loop: Callable[..., Any], *signature: str) -> Callable[..., Any] | None:
    """A loop, compiled once, or None without Numba."""
    return made(loop, *signature) if installed() else None


def made(loop: Callable[..., Any], *signature: str, how: Mapping[str, Any] = HOW) -> Callable[..., Any]:
    """A loop, compiled, at once where a signature is given, and kept on disk between runs where that is possible."""
    njit: Any = importlib.import_module("numba").njit
    try:
        found: Callable[..., Any] = njit(*signature, **how, cache=True)(loop)
    except RuntimeError:  # no writable place for a cache
        found = njit(*signature, **how)(loop)
    return found


def _loop(  # noqa: C901 - one loop nest for the compiler
    start: int, stop: int, layer: float, rows: Host, cols: Host, c: Host, p: Host, q: Host, even: Host, odd: Host,
    basis: Host, half: bool, out: Host,
) -> None:  # fmt: skip
    """The rows start to stop of a block, row by row: angles, then Clenshaw's sum for either parity."""
    count = c.shape[1]
    w, y, sums = np.empty(count), np.empty(count), np.empty((2, count))
    for i in range(start, stop):
        first = i if half else 0
        softened, part, own, other = rows[0, i], rows[1, i], p[0, i], p[1, i]
        for j in range(first, count):
            x = c[i, j] * softened * cols[0, j]
            widest = part * cols[1, j]
            least = math.sqrt(1.0 - widest)
            z = (math.sqrt(1.0 - min(x * x, widest)) - least) / max(1.0 - least, TINY)
            w[j] = x
            y[j] = 1.0 - 2.0 * (1.0 + layer) * z / (z + layer)
            out[i, j] = own * q[0, j] + other * q[1, j] * c[i, j]
        for parity in range(2):
            term = even if parity == 0 else odd
            if term.shape[1] == 0:
                continue
            sums[:] = 0.0
            for k in range(term.shape[1] - 1, -1, -1):
                one, two = sums[(k + 1) & 1], sums[k & 1]
                for n in range(0, basis.shape[0], 4):
                    d, e, f, g = term[i, k, n], term[i, k, n + 1], term[i, k, n + 2], term[i, k, n + 3]
                    s, t, u, v = basis[n], basis[n + 1], basis[n + 2], basis[n + 3]
                    if n == 0:
                        for j in range(first, count):
                            two[j] = 2.0 * y[j] * one[j] - two[j] + d * s[j] + e * t[j] + f * u[j] + g * v[j]
                    else:
                        for j in range(first, count):
                            two[j] += d * s[j] + e * t[j] + f * u[j] + g * v[j]
            one, two = sums[0], sums[1]
            for j in range(first, count):
                power = w[j] * w[j] if parity == 0 else w[j] * w[j] * w[j]
                out[i, j] += power * (one[j] - y[j] * two[j])
