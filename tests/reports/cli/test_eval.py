"""Kernels of sequences on the command line: the numbers of `Kernel`, their errors, and what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

import wideproof as wp
from tests.command_line import CliRunner
from wideproof.reports.cli.app import app

NU = ("--nu-W", "0.5", "--nu-F", "1", "--nu-b", "0.1", "--nu-C", "1")
AT = {"nu_W": 0.5, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}
X = np.random.default_rng(1).standard_normal((3, 4, 2))


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.savez("lengths.npz", a=X[0], b=X[1, :2])
    np.savetxt("x.csv", X[2], delimiter=",", header="u,v", comments="")


def run(*words, code=0):
    result = CliRunner().invoke(app, ["eval", *words], prog_name="wideproof")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
@pytest.mark.parametrize("readout", ["all", "last", "average"])
def test_a_kernel_is_that_of_python_with_its_errors(quantity, readout):
    found = json.loads(run("elman", quantity, *NU, "--inputs", "x.npy", "--readout", readout, "--json").stdout)
    want = wp.Kernel(wp.models.elman(), readout=readout, **AT).evaluate(quantity, X)
    np.testing.assert_array_equal(found["values"], want.value)
    np.testing.assert_array_equal(found["errors"], want.error)
    assert found["shape"] == list(want.value.shape)
    assert (found["stderr"], found["method"], found["readout"]) == (None, want.method, readout)


def test_all_steps_are_the_default_as_in_python():
    found = json.loads(run("elman", "nngp", *NU, "--inputs", "x.csv", "--json").stdout)
    np.testing.assert_array_equal(found["values"], wp.Kernel(wp.models.elman(), **AT).nngp(X[2:]))


def test_a_sampled_kernel_says_its_standard_error():
    np.save("long.npy", np.random.default_rng(2).standard_normal((1, 9, 2)))
    words = ("gru", "nngp", *NU, "--inputs", "long.npy", "--readout", "last", "--json")
    found = json.loads(run(*words).stdout)
    assert np.shape(found["stderr"]) == np.shape(found["values"]) == (1, 1)
    assert 0 < found["stderr"][0][0] < found["errors"][0][0]


def test_the_table_has_a_row_for_each_sequence_or_step():
    text = run("elman", "ntk", *NU, "--inputs", "lengths.npz", "--inputs", "x.csv", "--readout", "last").stdout
    want = wp.Kernel(wp.models.elman(), readout="last", **AT).ntk([X[0], X[1, :2], X[2]])
    rows = [line.split()[1:] for line in text.splitlines() if line.split()[:1] in (["0"], ["1"], ["2"])]
    np.testing.assert_allclose(np.array(rows, dtype=float), want, rtol=1e-7)
    assert "errors of the entries: up to" in text
    assert "estimated; method: derived recursion" in text
    wide = run("elman", "ntk", *NU, "--inputs", "x.npy").stdout
    assert "the first 8 of 12 rows and columns; --json prints all, of shape (3, 4, 3, 4)" in wide


@pytest.mark.parametrize(("words", "said"), [
    (("elman", "ntk", *NU), "--inputs FILE"),
    (("elman", "memory", *NU, "--inputs", "x.npy"), "expected nngp or ntk"),
    (("elman", "memory", *NU, "--readout", "last"), "Leave --readout out"),
    (("elman", "ntk", *NU, "--readout", "last"), "Add --inputs FILE"),
    (("amp", "corrections", "--inputs", "x.npy"), "nngp or ntk of a Recursion"),
    (("amp", "ntk", "--inputs", "x.npy"), "of an alternating program: corrections, state-evolution"),
    (("amp", "corrections", "--step", "1"), "only nngp-correction, ntk-correction are of one step"),
    (("elman", "ntk", *NU, "--inputs", "x.npy", "--lags", "3"), "Leave --lags 3 out"),
    (("elman", "ntk", *NU[2:], "--inputs", "x.npy"), "no --nu-W"),
    (("elman", "ntk", *NU, "--inputs", "lengths.npz"), "lengths [2, 4]"),
    (("elman", "ntk", *NU, "--inputs", "missing.npy"), "No such file"),
    (("elman", "ntk", *NU, "--inputs", "x.npy", "--readout", "first"), "--readout"),
    (("elman", "nkt", *NU, "--inputs", "x.npy"), "Did you mean ntk"),
])  # fmt: skip
def test_what_does_not_fit_is_told(words, said):
    assert said in run(*words, code=2).stderr
