"""The kernel of random networks approaches its limit at the rate n^{-1/2}; a wrong limit is not approached."""

from __future__ import annotations

import numpy as np
import pytest

from numeric import convergence
from numeric.convergence import kernel_error
from numeric.kernels import Kernel

NU = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 0.8}
WIDTHS = (100, 10_000, 1_000_000)


def test_the_error_falls_with_the_root_of_the_width():
    found = kernel_error(NU, WIDTHS, trials=60, horizon=4)
    slope = np.polyfit(np.log(found.widths), np.log(found.error), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)
    assert all(0 < s < 0.3 * e for s, e in zip(found.stderr, found.error, strict=True))
    assert found.trials == 60


def test_it_is_reproducible_and_counts_its_progress():
    calls = []
    first = kernel_error(NU, (10, 20), trials=5, horizon=2, progress=lambda *step: calls.append(step))
    assert calls == [(1, 2), (2, 2)]
    assert kernel_error(NU, (10, 20), trials=5, horizon=2) == first
    assert kernel_error(NU, (10, 20), trials=5, horizon=2, seed=1) != first


def test_a_kernel_wrong_by_two_percent_is_not_approached(monkeypatch):
    class Wrong(Kernel):
        def ntk(self, X1, X2):
            return 1.02 * super().ntk(X1, X2)

    monkeypatch.setattr(convergence, "Kernel", Wrong)
    found = kernel_error(NU, WIDTHS, trials=20, horizon=4)
    assert found.error[-1] == pytest.approx(0.02 / 1.02, rel=0.05)
