"""Paired benchmarks: our programs and their rivals on one problem in one run, the floor beside them."""

from __future__ import annotations

from wideproof.numeric.benchmarks.records import BenchResult, Case, DisagreementError, Floor, Row
from wideproof.numeric.benchmarks.registry import BENCHMARKS, Benchmark
from wideproof.numeric.benchmarks.runner import bench

__all__ = ["BENCHMARKS", "BenchResult", "Benchmark", "Case", "DisagreementError", "Floor", "Row", "bench"]
