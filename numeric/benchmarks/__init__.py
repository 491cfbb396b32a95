"""Paired benchmarks: our programs and their rivals on one problem in one run, the floor beside them."""

from __future__ import annotations

from numeric.benchmarks.records import BenchResult, Case, DisagreementError, Floor, Row
from numeric.benchmarks.registry import BENCHMARKS, Benchmark
from numeric.benchmarks.runner import bench

__all__ = ["BENCHMARKS", "BenchResult", "Benchmark", "Case", "DisagreementError", "Floor", "Row", "bench"]
