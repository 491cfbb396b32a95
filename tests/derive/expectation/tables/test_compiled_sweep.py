"""Parts that threads share: in order, with the caller's errors of NumPy, and none waits for one that waits for it."""

import threading
from pathlib import Path

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


def test_an_error_of_either_thread_is_raised_and_nothing_is_begun_after_it():
    both, begun = threading.Barrier(2, timeout=10), []

    def work(i):
        begun.append(i)
        both.wait()
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError(i)

    with pytest.raises(ZeroDivisionError):
        in_parts(work, range(2))
    assert sorted(begun) == [0, 1]

    def refused(i):
        begun.append(i)
        raise KeyError(i)

    begun.clear()
    with pytest.raises(KeyError):
        in_parts(refused, range(100))
    assert len(begun) <= 2


def test_a_helper_that_has_not_begun_is_not_waited_for(monkeypatch):
    class Nobody:
        put = staticmethod(lambda call: None)

    monkeypatch.setattr(compiled_sweep, "CALLS", Nobody)
    monkeypatch.setattr(compiled_sweep, "_helper", lambda n: None)
    assert in_parts(lambda i: i, range(5)) == [0, 1, 2, 3, 4]


def test_one_module_looks_for_numba():
    root = Path(__file__).parents[4]
    files = [path for floor in ("derive", "numeric", "reports") for path in (root / floor).rglob("*.py")]
    assert [x.stem for x in files if 'find_spec("numba")' in x.read_text(encoding="utf-8")] == ["compiled_sweep"]
