"""Pieces of long work: kept bit by bit, worked on by anyone in any order, gone on with after a stop."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wideproof.numeric.runs.crew import Crew, crew_of
from wideproof.numeric.runs.tasks import Tasks, decoded_piece, encoded_piece

PLANS = [{"seed": k, "size": 3} for k in range(7)]


def drawn(plan):
    """What a piece gives: some numbers of its own stream."""
    found = np.random.default_rng(plan["seed"]).standard_normal((plan["size"], 2))
    return {"matrix": found @ found.T, "best": np.array(plan["seed"])}


def bits(found):
    return [{name: values.tobytes() for name, values in piece.items()} for piece in found]


@pytest.fixture
def whole():
    return bits(Tasks().results(drawn, PLANS))


def test_a_piece_comes_back_bit_by_bit():
    piece = {"x": np.array([0.1, -0.0, np.inf, 5e-324]), "y": np.array(1 / 3), "z": np.arange(6.0).reshape(1, 3, 2)}
    back = decoded_piece(encoded_piece("{}", piece))
    assert {name: (x.shape, x.tobytes()) for name, x in back.items()} == {
        name: (x.shape, x.tobytes()) for name, x in piece.items()
    }
    assert decoded_piece(encoded_piece("{}", {})) == {}


def test_what_is_stopped_goes_on_and_works_on_nothing_twice(tmp_path, whole):
    worked = []

    def some(plan):
        worked.append(plan["seed"])
        if len(worked) == 4:
            raise KeyboardInterrupt
        return drawn(plan)

    some.__module__, some.__qualname__ = drawn.__module__, drawn.__qualname__
    told = []
    with pytest.raises(KeyboardInterrupt):
        Tasks(tmp_path).results(some, PLANS)
    assert bits(Tasks(tmp_path).results(some, PLANS, lambda *at: told.append(at))) == whole
    assert worked == [0, 1, 2, 3, 3, 4, 5, 6]
    assert told == [(k, 7) for k in range(3, 8)]
    assert bits(Tasks(tmp_path).results(some, PLANS)) == whole
    assert len(worked) == 8


def test_another_plan_is_another_piece_and_a_damaged_one_is_made_anew(tmp_path, whole):
    Tasks(tmp_path).results(drawn, PLANS)
    files = sorted((tmp_path / "pieces").iterdir())
    other = Tasks(tmp_path).results(drawn, [plan | {"size": 2} for plan in PLANS])
    assert other[0]["matrix"].shape == (2, 2)
    assert len(list((tmp_path / "pieces").iterdir())) == 14
    raw = bytearray(files[0].read_bytes())
    raw[-9] ^= 1
    files[0].write_bytes(raw)
    assert bits(Tasks(tmp_path).results(drawn, PLANS)) == whole
    assert sorted((tmp_path / "pieces").iterdir())[0].read_bytes() != bytes(raw)


class Jumbled(ThreadPoolExecutor):
    """Pieces come back in an order of chance."""

    def submit(self, work, /, *given, **more):
        def late():
            time.sleep(random.Random(given[1]).random() / 50)
            return work(*given)

        return super().submit(late)


def test_the_bits_are_the_same_whoever_works_in_any_order(whole):
    with Jumbled(4) as pool:
        assert bits(Tasks(None, Crew(pool, 5, None)).results(drawn, PLANS)) == whole


def test_processes_work_on_pieces_and_one_that_dies_is_replaced(tmp_path, whole):
    with crew_of(2) as crew:
        first = crew.executor

        def strike(done, total):
            if done == 2 and crew.executor is first:
                for worker in first._processes.values():
                    worker.kill()

        assert bits(Tasks(tmp_path, crew).results(drawn, PLANS, strike)) == whole
        assert crew.repairs == 1


def test_a_single_piece_is_kept_under_its_inputs(tmp_path):
    made = []

    def work():
        made.append(1)
        return {"x": np.array([0.1])}

    for inputs in ({"a": 1}, {"a": 1}, {"a": 2}):
        assert Tasks(tmp_path).result("one", inputs, work)["x"].tolist() == [0.1]
    assert len(made) == 2
