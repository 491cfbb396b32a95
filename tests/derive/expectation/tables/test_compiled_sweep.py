"""Parts that threads share: in order, with the caller's errors of NumPy, and none waits for one that waits for it."""

import threading

import numpy as np
import pytest

from wideproof.derive.expectation.tables import compiled_sweep
from wideproof.derive.expectation.tables.compiled_sweep import in_parts


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch):
    monkeypatch.setattr(compiled_sweep, "threads", lambda: 2)


def test_parts_come_in_order_from_two_threads():
    both = threading.Barrier(2, timeout=10)
    found = in_parts(lambda i: (both.wait() is None, 2 * i)[1], range(0, 8, 2))
    assert found == [0, 4, 8, 12]


def test_threads_raise_what_the_caller_raises():
    both = threading.Barrier(2, timeout=10)

    def overflow(i):
        both.wait()
        return np.array([1e300]) * (1e300 if i else 1.0)

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        in_parts(overflow, range(2))
    with np.errstate(over="ignore"):
        assert np.isinf(in_parts(overflow, range(2))[1])


def test_parts_of_parts_end():
    assert in_parts(lambda i: in_parts(lambda j: i + j, range(3)), range(2)) == [[0, 1, 2], [1, 2, 3]]
