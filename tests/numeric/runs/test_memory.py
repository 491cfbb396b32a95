"""A run that cannot fit is refused by arithmetic, with what would fit; one that can is not."""

from __future__ import annotations

import pytest

from wideproof.derive import models
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric import validate
from wideproof.numeric.runs import memory
from wideproof.numeric.runs.memory import BatchMemory, refuse_too_large


@pytest.fixture
def one_gigabyte(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 10**9)


def test_the_width_that_is_named_fits_and_a_tenth_more_does_not(one_gigabyte):
    for dense, power in ((True, 2), (False, 1)):
        with pytest.raises(ParameterError, match=r"8 bytes x 1e\+10 numbers") as caught:
            refuse_too_large("here", BatchMemory(10**5, 1, 1e10, dense), 1)
        fits = float(caught.value.hint.split("--width of ")[1].split(" or")[0])
        refuse_too_large("here", BatchMemory(int(fits), 1, 1e10 * (fits / 10**5) ** power, dense), 1)
        with pytest.raises(ParameterError):
            refuse_too_large("here", BatchMemory(int(fits), 1, 1e10 * (1.1 * fits / 10**5) ** power, dense), 1)


def test_workers_of_one_machine_share_its_memory(one_gigabyte):
    need = BatchMemory(100, 10, 4e6, True)  # 320 MB
    refuse_too_large("here", need, 3)
    refuse_too_large("here", need, None)
    with pytest.raises(ParameterError, match="x 4 workers") as caught:
        refuse_too_large("here", need, 4)
    assert "--jobs 3 or fewer" in caught.value.hint


def test_on_a_gpu_its_memory_counts(one_gigabyte, monkeypatch):
    monkeypatch.setattr(memory, "gpu_memory", lambda: 80 * 10**9)
    refuse_too_large("here", BatchMemory(10**5, 1, 2.5e9, True), 1, "cupy")
    with pytest.raises(ParameterError, match="80 GB of its GPUs"):
        refuse_too_large("here", BatchMemory(10**5, 1, 2.5e9, True), 5, "cupy")


@pytest.mark.parametrize(("recursion", "options"), [
    (models.elman(), {"width": 10**12}),
    (models.elman(), {"width": 100_000, "sampler": "dense"}),
    (models.linear_rnn(), {"width": 10**6, "sampler": "dense"}),
    (models.amp(2), {"width": 10**6}),
])  # fmt: skip
def test_validate_refuses_before_it_draws_or_makes_a_folder(recursion, options, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "machine_memory", lambda: 64 * 10**9)
    with pytest.raises(ParameterError, match="64 GB"):
        validate(recursion, out=tmp_path / "run", announce=lambda cost: pytest.fail("too late"), **options)
    assert not (tmp_path / "run").exists()
