"""The machine: what it is, and how fast one of its threads reads, multiplies and draws."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from numeric.benchmarks.records import Floor
from numeric.benchmarks.timing import seconds, turns

SINGLE = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS")
} | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
"""The environment in which NumPy, PyTorch and JAX take one thread."""
PACKAGES = ("wideproof", "numpy", "scipy", "numba", "torch", "jax", "jaxlib", "cupy")
PROBE_S = 0.05


def describe() -> dict[str, Any]:
    """Return the processor, its cores, the memory, the versions and the load, as JSON has them."""
    return {
        "processor": processor(), "cores": os.cpu_count(), "memory_GiB": memory(), "system": platform.system(),
        "threads": 1, "clock": "process CPU time", "load": load(), "gpu": None,
        "python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES},
    }  # fmt: skip


def processor() -> str:
    """Return the processor's name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def memory() -> float | None:
    """Return the memory in GiB, or None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def load() -> float | None:
    """Return the mean number of running processes in the last minute, or None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def version(package: str) -> str | None:
    """Return the installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@lru_cache
def bandwidth(size: float) -> float:
    """Return the bytes per second at which one thread reads an array of `size` bytes, at most 256 MB."""
    array = np.ones(max(int(min(size, 2**28)) // 8, 512))
    return 8.0 * len(array) / best(lambda: array @ array)


@lru_cache
def arithmetic(dtype: str) -> float:
    """Return the flops per second of one thread in a product of two square matrices."""
    square = np.ones((512, 512), dtype=dtype)
    return 2.0 * 512.0**3 / best(lambda: square @ square)


@lru_cache
def drawing() -> float:
    """Return the standard normals per second that one thread draws."""
    rng, room = np.random.default_rng(0), np.empty(10_000)
    return len(room) / best(lambda: rng.standard_normal(out=room))


def best(work: Any) -> float:
    """Return the least CPU seconds of one repetition over a few turns: a rate the machine can reach."""
    repeats = turns(work, PROBE_S)
    return min(seconds(work, repeats) for _ in range(5))


def floor(traffic: float, flops: float, draws: float, working_set: float, dtype: str = "float64") -> Floor:
    """The least time for that much traffic through a working set, arithmetic and draws.

    Units: traffic and working_set in bytes.  Source: roofline, with the draws added.
    """
    least = max(traffic / bandwidth(working_set), flops / arithmetic(dtype)) + draws / drawing()
    return Floor(float(traffic), float(flops), float(draws), least)
