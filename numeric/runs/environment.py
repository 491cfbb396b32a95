"""What the bits of a run depend on beside its plan: versions, processor, compiled path; and the state of git."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from wideproof.derive.expectation.tables.compiled_sweep import installed

PACKAGES = ("wideproof", "sympy", "numpy", "scipy", "numba", "cupy", "matplotlib", "jinja2", "pypandoc-binary", "typst")
DECIDING = ("wideproof", "numpy", "scipy", "python")
"""The versions that numbers depend on."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(device: str = "numpy") -> dict[str, Any]:
    """Return what the same bits are promised within: equal environments give equal bits.

    Source: `versions`, `processor`; chunks are drawn by one thread of linear algebra, whatever the machine has.
    """
    found = versions()
    return {
        "versions": {name: found[name] for name in DECIDING} | ({"cupy": found["cupy"]} if device == "cupy" else {}),
        "processor": gpu() if device == "cupy" else processor(),
        "machine": platform.machine(),
        "compiled": installed(),
        "device": device,
    }


def hardware() -> dict[str, Any]:
    """Return what a run was drawn on, for the record: processor, cores, memory, threads asked for, host system."""
    memory = machine_memory()
    return {
        "processor": processor(), "cores": os.cpu_count(), "memory_bytes": memory, "platform": platform.platform(),
        "threads": {name: os.environ.get(name) for name in THREADS},
    }  # fmt: skip


def versions() -> dict[str, str | None]:
    """Package -> installed version, None where it is absent; with Python and the platform."""
    found: dict[str, str | None] = {"python": platform.python_version(), "platform": platform.platform()}
    return found | {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """Return the installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the processor's name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpu() -> str:
    """Return the name of the first GPU, or "none"."""
    try:
        from cupy.cuda import runtime

        return str(runtime.getDeviceProperties(0)["name"].decode())
    except Exception:  # no CuPy, no driver, no device: CuPy's errors have no common base without it
        return "none"


def gpus() -> int:
    """Return how many GPUs this process sees."""
    try:
        from cupy.cuda import runtime

        return int(runtime.getDeviceCount())
    except Exception:  # as above
        return 0


@functools.cache
def machine_memory() -> int | None:
    """Return the bytes of memory of the machine, or of the container where it has fewer; None where none is told."""
    found = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min(found, default=None)


def gpu_memory() -> int | None:
    """Return the bytes of memory of all GPUs that this process sees, of the first one's kind; None without one."""
    try:
        from cupy.cuda import runtime

        return int(runtime.memGetInfo()[1]) * int(runtime.getDeviceCount())
    except Exception:  # as above
        return None


def git_state() -> dict[str, str | None]:
    """Return the commit of our code, if it runs from a checkout, and that of the folder the run was started in."""
    own = Path(__file__).resolve().parents[2]
    return {"wideproof": commit(own) if (own / ".git").exists() else None, "folder": commit(Path.cwd())}


def commit(folder: Path) -> str | None:
    """The commit that a folder was checked out from, with "+changes" where it was edited; None outside of git."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+changes" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
