"""Workers: one GPU each in turn, none where there is none; what is no worker is refused."""

from __future__ import annotations

import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.runs.crew import crew_of, visible, workers_of


def test_workers_take_the_gpus_in_turn(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [visible(k, 2) for k in range(4)] == ["0", "1", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-ab,7")
    assert [visible(k, 3) for k in range(4)] == ["5", "GPU-ab", "7", "5"]


def test_without_a_word_this_process_draws():
    with crew_of() as crew:
        assert (crew.executor, crew.window, crew.workers) == (None, 1, 1)
    assert workers_of(3, None, None) == 3
    assert workers_of(None, None, "tcp://far:8786") is None


def test_a_scheduler_that_does_not_answer_is_told():
    pytest.importorskip("distributed")
    with pytest.raises(ParameterError, match="a Dask scheduler that answers"), crew_of(scheduler="nonsense"):
        pass
