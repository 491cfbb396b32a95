"""A sample of the soak, and a harness that notices: a hang, a death, a foreign error, a command that was run."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from tests.fuzz import api, commands, files, runner, texts, toml_models
from tests.fuzz.runner import soak
from wideproof.derive.language.errors import ParameterError

SAMPLE = {
    "files": (files.case, 400),
    "toml": (toml_models.case, 400),
    "texts": (texts.case, 1500),
    "api": (api.case, 150),
    "commands": (commands.case, 100),
}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork beside the threads of numerical libraries
@pytest.mark.parametrize("kind", SAMPLE)
def test_a_sample_of_hostile_cases_is_answered_or_refused(kind):
    files.corpus()
    case, count = SAMPLE[kind]
    tally = soak(kind, case, count, seed=7)
    assert tally.failures == []
    assert sum(tally.words.values()) == count
    assert tally.words["refused"] > count / 4  # most is hostile
    assert len(tally.words) > 1  # and some is not


def _foreign(rng, folder):
    raise KeyError("foreign")


def _ours(rng, folder):
    raise ParameterError("a", "b", "c", "d")


def _raw(rng, folder):
    class Raw(ParameterError):  # errors of ours write it as its escape
        def __str__(self):
            return "\x1b[31m"

    raise Raw("a", "b", "c", "d")


def _hang(rng, folder):
    while True:
        time.sleep(0.01)


def _deaf(rng, folder):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGPROF])
    while True:
        time.sleep(0.01)


def _die(rng, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def _run(rng, folder):
    os.system("true")
    return "read"


def _fill(rng, folder):
    np.ones(2**34)
    return "read"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("case", "told"), [
    (_foreign, "KeyError"), (_raw, "a message of"), (_hang, "Hung"), (_deaf, "ended with"), (_die, "ended with -9"),
    (_run, "Executed: os.system"), (_fill, "Memory"),
])  # fmt: skip
def test_the_harness_notices(case, told, monkeypatch):
    monkeypatch.setattr(runner, "SECONDS", 0.2)
    tally = soak("mutant", case, 2)
    assert [number for number, _ in tally.failures] == [0, 1]
    assert all(told in failure for _, failure in tally.failures)
    assert soak("ours", _ours, 2).words == {"refused": 2}
