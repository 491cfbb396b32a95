"""The machine: what it is, and the least time that its measured rates allow."""

from __future__ import annotations

import os
import platform
from typing import Any

from wideproof.numeric.benchmarks.records import Floor
from wideproof.numeric.core.timing import arithmetic, bandwidth, drawing
from wideproof.numeric.runs.environment import machine_memory, processor, version

POOLS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which NumPy, PyTorch and JAX take so many threads; JAX takes one, or all cores."""
    single = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return dict.fromkeys(POOLS, str(threads)) | {"XLA_FLAGS": single if threads == 1 else ""}


PACKAGES = ("wideproof", "numpy", "scipy", "numba", "torch", "jax", "jaxlib", "cupy")


def describe() -> dict[str, Any]:
    """Return the processor, its cores, the memory, the versions and the load, as JSON has them."""
    return {
        "processor": processor(), "cores": os.cpu_count(), "memory_GiB": memory(), "system": platform.system(),
        "threads": 1, "clock": "process CPU time", "load": load(), "gpu": None,
        "python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES},
    }  # fmt: skip


def memory() -> float | None:
    """Return the memory in GiB, or None where the system does not tell."""
    found = machine_memory()
    return None if found is None else round(found / 2**30, 1)


def load() -> float | None:
    """Return the mean number of running processes in the last minute, or None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def floor(traffic: float, flops: float, draws: float, working_set: float, dtype: str = "float64") -> Floor:
    """The least time for that much traffic through a working set, arithmetic and draws.

    Units: traffic and working_set in bytes.  Source: roofline, with the draws added.
    """
    least = max(traffic / bandwidth(working_set), flops / arithmetic(dtype)) + draws / drawing()
    return Floor(float(traffic), float(flops), float(draws), least)
