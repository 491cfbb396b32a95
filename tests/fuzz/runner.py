"""Cases in processes of their own: what hangs, dies, runs something or raises an error not ours is a failure."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import DeriveError
from wideproof.numeric.core.timing import blas_threads

Case = Callable[[np.random.Generator, Path], str]
"""One case: a word for what came out, such as "read" or "refused"; anything raised but ours is a failure."""
SECONDS, WALL, MEMORY, CHUNK, TOLD, LONGEST = 30, 10, 8 * 2**30, 5000, 100, 20_000
"""Limits: seconds of work of a case, and how many times more by the clock; bytes of a process, its cases, cases it
tells of at once, characters of a message."""
EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
RAW = frozenset("\x1b\x07\x9b\r\x08")


class Hung(BaseException):
    """A case that did not end; no handler of exceptions stops it."""


class Executed(BaseException):
    """Something that a case had run."""


@dataclass
class Tally:
    """What came out, by words, and every failure with the number of its case."""

    kind: str
    words: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {word}" for word, count in sorted(self.words.items()))
        total = sum(self.words.values()) + len(self.failures)
        return (f"{self.kind}: {total:,} cases ({parts}), {len(self.failures)} failures, {self.seconds:.0f} s, "
                f"slowest {self.slowest:.1f} s")  # fmt: skip

    def report(self, most: int) -> str:
        """The counts, and the first failures with the numbers of their cases."""
        return "\n".join([str(self), *(f"  {self.kind} {n}: {failure}" for n, failure in self.failures[:most])])

    def add(self, cases: list[tuple[int, str, str, float]]) -> None:
        """Count cases: their number, word, failure and seconds."""
        for number, word, failure, seconds in cases:
            self.slowest = max(self.slowest, seconds)
            if failure:
                self.failures.append((number, failure))
            else:
                self.words[word] += 1


def one(case: Case, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """A word for what came of a case, and the failure if it is one."""
    _limit(SECONDS)
    try:
        return case(np.random.default_rng([seed, number]), folder), ""
    except DeriveError as error:
        told = str(error)
        if len(told) > LONGEST or not RAW.isdisjoint(told):
            return "failed", f"a message of {len(told)} characters: {told[:200]!r}"
        return "refused", ""
    except BaseException as error:
        _limit(0)
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno}"
    finally:
        _limit(0)
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _limit(seconds: float) -> None:
    """Stop this case after so many seconds of work, or ten times as many by the clock: other work may be in its way."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL * seconds)


def _hung(number: int, frame: object) -> None:
    raise Hung(f"more than {SECONDS} s of work, or {WALL * SECONDS} s")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in EXECUTES:
        raise Executed(f"{event} {str(arguments)[:100]}")


def _work(case: Case, seed: int, numbers: range, current: Any, pipe: Any) -> None:
    """Some cases: the number of each is known when it starts, what came of them is told by the hundred."""
    signal.signal(signal.SIGALRM, _hung)
    signal.signal(signal.SIGPROF, _hung)
    sys.addaudithook(_watch)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    cases: list[tuple[int, str, str, float]] = []
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        for number in numbers:
            current.value = number
            start = time.monotonic()
            word, failure = one(case, seed, number, Path(folder))
            cases.append((number, word, failure, time.monotonic() - start))
            if len(cases) == TOLD or number == numbers[-1]:
                pipe.send(cases)
                cases = []


def soak(kind: str, case: Case, count: int, seed: int = 0, said: Callable[[Tally], None] | None = None) -> Tally:
    """Run `count` cases, whatever becomes of the processes that run them."""
    tally, at, start = Tally(kind), 0, time.monotonic()
    with blas_threads(1):  # its libraries are loaded before a case that loads anything is told
        pass
    while at < count:
        at = _chunk(tally, case, seed, range(at, min(at + CHUNK, count)))
        tally.seconds = time.monotonic() - start
        if said:
            said(tally)
    return tally


def _chunk(tally: Tally, case: Case, seed: int, numbers: range) -> int:
    """Run some cases in one process; return the case to go on with."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    current = context.Value("q", numbers[0])
    process = context.Process(target=_work, args=(case, seed, numbers, current, theirs), daemon=True)
    process.start()
    theirs.close()
    at, seen = numbers[0], -1
    with contextlib.suppress(EOFError):
        while at < numbers[-1] + 1:
            if mine.poll(2 * WALL * SECONDS):
                cases = mine.recv()
                tally.add(cases)
                at = cases[-1][0] + 1
            elif current.value == seen:
                break  # it does not even heed its own alarm
            seen = current.value
    if at == numbers[-1] + 1:
        process.join()
        return at
    process.kill()
    process.join()
    lost = range(at, current.value)  # they ended, and were not told
    tally.words["ended"] += len(lost)
    tally.failures.append((current.value, f"the process ended with {process.exitcode}"))
    return int(current.value) + 1
