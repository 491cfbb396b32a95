"""The machine: what it is, and the least time that its measured rates allow."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from wideproof.numeric.benchmarks.records import Floor
from wideproof.numeric.core.timing import arithmetic, bandwidth, drawing

SINGLE = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS")
} | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
"""The environment in which NumPy, PyTorch and JAX take one thread."""
PACKAGES = ("wideproof", "numpy", "scipy", "numba", "torch", "jax", "jaxlib", "cupy")


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


def floor(traffic: float, flops: float, draws: float, working_set: float, dtype: str = "float64") -> Floor:
    """The least time for that much traffic through a working set, arithmetic and draws.

    Units: traffic and working_set in bytes.  Source: roofline, with the draws added.
    """
    least = max(traffic / bandwidth(working_set), flops / arithmetic(dtype)) + draws / drawing()
    return Floor(float(traffic), float(flops), float(draws), least)
