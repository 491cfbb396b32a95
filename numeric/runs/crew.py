"""Who draws the chunks: this process, processes of this machine, or any executor, such as that of a Dask cluster.

What is sent is the text of a plan and the name of a chunk; what comes back are numbers.
"""

from __future__ import annotations

import importlib
import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from wideproof.derive.language.errors import ParameterError, StoreError
from wideproof.numeric.core.inputs import whole
from wideproof.numeric.runs.environment import gpus

T = TypeVar("T")
K = TypeVar("K")

REPAIRS = 5
"""How often a pool whose worker died is made anew."""
UNKNOWN = 32
"""Workers that an executor is taken to have where it does not say."""
LOCAL = "local"


@dataclass
class Crew:
    """An executor, how many chunks it is given at a time, and how to make it anew.

    `workers` is how many draw at once, for the estimate of memory on one machine; None where they are elsewhere.
    """

    executor: Executor | None = None
    window: int = 1
    workers: int | None = 1
    renew: Callable[[], Executor] | None = None
    repairs: int = 0

    def _submit(self, work: Callable[..., T], *given: Any) -> Future[T]:
        """Hand one piece of work to a worker; without an executor it is done here and now."""
        if self.executor is None:
            here: Future[T] = Future()
            here.set_result(work(*given))
            return here
        for last in (False, True):
            try:
                return self.executor.submit(work, *given)
            except BrokenExecutor as error:
                if last:
                    raise
                self._repair(error)
        raise AssertionError

    def _result(self, future: Future[T]) -> T | None:
        """What a piece of work gave; None where a worker of ours died and the pool was made anew.

        Errors: those of the work; StoreError where workers die again and again.
        """
        try:
            return future.result()
        except BrokenExecutor as error:
            if getattr(self.executor, "_broken", True):  # and not made anew already
                self._repair(error)
            return None

    def each(self, work: Callable[..., T], pieces: Iterable[tuple[K, tuple[Any, ...]] | None]) -> Iterator[tuple[K, T]]:
        """Yield the name of each piece (name, arguments) with what it gave, in any order; `window` are out at a time.

        A None among the pieces says that the next one has to wait until another has come back. What a pool that died
        had is handed out again.
        Errors: those of the work; StoreError where workers die again and again.
        """
        pending: dict[Future[T], tuple[K, tuple[Any, ...]]] = {}
        again: list[tuple[K, tuple[Any, ...]]] = []
        waiting = iter(pieces)
        while True:
            while len(pending) < self.window and (piece := again.pop() if again else next(waiting, None)) is not None:
                pending[self._submit(work, *piece[1])] = piece
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                piece = pending.pop(future)
                found = self._result(future)
                if found is None:  # the workers are new ones
                    again += [piece, *pending.values()]
                    pending.clear()
                    break
                yield piece[0], found

    def _repair(self, error: BrokenExecutor) -> None:
        if self.renew is None or self.repairs == REPAIRS:
            raise StoreError("workers", "processes that live", f"{self.repairs + 1} deaths ({error})",
                             "Often the memory is full: take fewer --jobs; what is drawn is kept with --out."
                             ) from error  # fmt: skip
        self.repairs += 1
        self.executor = self.renew()


ALONE = Crew()


@contextmanager
def _processes(jobs: int, gpus: int = 0) -> Iterator[Crew]:
    """Lend so many processes of this machine, spawned, with one GPU each in turn where there are some.

    On an interruption they are ended, and so they are where this process dies.
    """
    context = multiprocessing.get_context("spawn")
    pools: list[ProcessPoolExecutor] = []

    def made() -> ProcessPoolExecutor:
        pools.append(ProcessPoolExecutor(jobs, context, _start_worker, (context.Value("i", 0), gpus)))
        return pools[-1]

    try:
        yield Crew(made(), 2 * jobs, jobs, made)
    except BaseException:
        _end(pools)
        raise
    for pool in pools:
        pool.shutdown(cancel_futures=True)


def _end(pools: list[ProcessPoolExecutor]) -> None:
    for pool in pools:
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()


def _start_worker(started: Any, gpus: int) -> None:
    """Set a worker up: its GPU, deaf to Ctrl-C, which its parent hears, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with started.get_lock():
        number, started.value = started.value, started.value + 1
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible(number, gpus)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def visible(number: int, gpus: int) -> str:
    """The GPU of a worker: the devices that this process sees, in turn."""
    own = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name for name in own.split(",") if name] or [str(k) for k in range(gpus)]
    return names[number % len(names)]


def _follow(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


@contextmanager
def crew_of(
    jobs: int | None = None, executor: Executor | Crew | None = None, scheduler: str | None = None, device: str = "cpu"
) -> Iterator[Crew]:
    """Lend who draws: an executor, the workers of a Dask scheduler, processes of this machine, or this process alone.

    Errors: ParameterError for what is no executor, for two of them, where Dask is missing or nothing answers.
    """
    workers = workers_of(jobs, executor, scheduler)
    if isinstance(executor, Crew):  # of a run around this one
        yield executor
    elif executor is not None:
        yield Crew(executor, 2 * (getattr(executor, "_max_workers", None) or UNKNOWN), workers)
    elif scheduler is not None:
        with _dask(scheduler, workers) as crew:
            yield crew
    elif workers in (None, 1):
        yield ALONE
    else:
        with _processes(workers or 1, gpus() if device == "cuda" else 0) as crew:
            yield crew


def workers_of(jobs: int | None, executor: Executor | Crew | None, scheduler: str | None) -> int | None:
    """Return how many draw at once on this machine; None where they are elsewhere.

    Errors: ParameterError, as `crew_of`.
    """
    jobs = None if jobs is None else whole("jobs", jobs, 1, 4096)
    if (executor is not None) + (scheduler is not None) + (jobs is not None and scheduler != LOCAL) > 1:
        raise ParameterError("jobs, executor, scheduler", "one of them", "several",
                             'With scheduler="local", jobs is the number of its workers.')  # fmt: skip
    if isinstance(executor, Crew):
        return executor.workers
    if executor is not None:
        if not callable(getattr(executor, "submit", None)):
            raise ParameterError("executor", "a concurrent.futures.Executor", type(executor).__name__,
                                 "For example ProcessPoolExecutor(4), or client.get_executor() of Dask.")  # fmt: skip
        return getattr(executor, "_max_workers", None)
    if scheduler == LOCAL:
        return jobs or os.cpu_count() or 1
    return (jobs or 1) if scheduler is None else None


@contextmanager
def _dask(address: str, jobs: int | None) -> Iterator[Crew]:
    """Lend the workers of a Dask scheduler, tcp://host:port, or of a cluster of processes started here for "local"."""
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as missing:
        raise ParameterError("--scheduler", "Dask", str(missing), "Run pip install 'wideproof[dask]'.") from missing
    started = dict(n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR)
    cluster = distributed.LocalCluster(**started) if address == LOCAL else None
    try:
        client = distributed.Client(cluster or address, timeout="20s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ParameterError("--scheduler", "a Dask scheduler that answers", f"{address}: {error}",
                             "Start one with: dask scheduler; or write --scheduler local.") from error  # fmt: skip
    try:
        workers = max(1, sum(client.ncores().values()))
        yield Crew(client.get_executor(pure=False), 2 * workers, jobs)
    finally:
        client.close()
        if cluster:
            cluster.close()


@lru_cache(maxsize=8)
def read_text(make: Callable[[dict[str, Any]], Any], plan: str) -> Any:
    """The plan of a text, made once in each process."""
    return make(json.loads(plan))
