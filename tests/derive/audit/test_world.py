"""The auditor's random instances: inputs at any time, drawn once."""

from types import SimpleNamespace

from wideproof.derive import models
from wideproof.derive.audit import referee
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.moments import FIRST, SECOND

LATE = 40


def world():
    return World(models.elman("relu").program(), 0, MEANINGS)


def test_inputs_of_late_steps_are_drawn_once_when_they_are_asked_for():
    drawn = world()
    early = drawn.input(FIRST, 3)
    late = drawn.input(FIRST, LATE)
    assert drawn.input(FIRST, LATE) == late != drawn.input(SECOND, LATE)
    assert world().input(FIRST, 3) == early  # whatever is asked for later


def test_the_inputs_of_a_question_are_one_and_the_time_at_any_step():
    asked = referee._at(world(), SimpleNamespace(at=()), {})
    assert asked.gram(LATE, 3, FIRST, SECOND) == 1 + 3 * LATE
    assert asked.gram(2, 2, SECOND, SECOND) == 5
