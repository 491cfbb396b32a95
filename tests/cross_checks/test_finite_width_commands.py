"""Quantities at finite width from the command line."""

import json

import numpy as np
import pytest

from tests.reports.cli.test_app import run

UNIT = ("--nu-W", "1", "--nu-F", "1", "--nu-C", "1")


def test_second_moments_are_those_of_erratum_2_at_a_width():
    found = json.loads(
        run("eval", "linear-rnn", "second-moment", "--width", "4", "--lags", "6", *UNIT, "--json").stdout
    )
    assert found["values"] == [1.0, 1.0, 1.125, 1.6875, 3.375, 8.71875]


def test_a_variance_is_derived_at_a_lag_with_its_proof():
    found = json.loads(run("derive", "linear-rnn", "ntk-variance", "--lag", "1", "--json").stdout)["derivations"][0]
    assert found["quantity"] == "ntk-variance"
    assert found["verified"]
    assert "nu_C**2*nu_F**2*(4/n + 4/n**2)" in found["formula"]


def test_the_width_that_is_wide_enough_is_advised():
    found = json.loads(
        run(
            "eval", "linear-rnn", "ntk-width", "--lags", "2", "--tolerance", "1.5", "--failure", "0.3", *UNIT, "--json"
        ).stdout
    )
    assert found["bound"] <= 0.3 < found["narrower"]
    assert found["horizon"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("derive", "linear-rnn", "ntk-variance"), "--lag 3"),
        (("derive", "linear-rnn", "nngp", "--lag", "3"), "Leave --lag out"),
        (("eval", "linear-rnn", "second-moment", *UNIT), "--width 512"),
        (("eval", "linear-rnn", "scale-factors", "--width", "4", *UNIT), "Leave --width out"),
        (("eval", "linear-rnn", "ntk-deviation", "--width", "4", *UNIT), "--tolerance"),
        (("eval", "elman", "ntk-mean", "--width", "4", *UNIT), "linear"),
        (("derive", "linear-rnn", "ntk-varianc", "--lag", "3"), "ntk-variance"),
    ],
)
def test_what_is_missing_is_told(words, told):
    assert told in run(*words, code=2).stderr


def test_a_correction_of_order_1_over_n_is_derived_and_evaluated_at_a_step(tmp_path):
    derived = json.loads(run("derive", "elman", "nngp-correction", "--step", "1", "--json").stdout)["derivations"][0]
    assert (derived["quantity"], derived["verified"], derived["formula"]) == ("nngp-correction", True, None)
    numbers = ("--nu-W", "1", "--nu-F", "1", "--nu-C", "1", "--nu-b", "0.1", "--step", "1", "--json")
    same = json.loads(run("eval", "elman", "nngp-correction", "--X", "1", *numbers).stdout)
    np.save(tmp_path / "x.npy", np.ones((2, 1)))
    given = json.loads(run("eval", "elman", "nngp-correction", "--inputs", str(tmp_path / "x.npy"), *numbers).stdout)
    assert same == given
    assert same["errors"][0] < 1e-9 < abs(same["values"][0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("derive", "elman", "nngp", "--step", "1"), "Leave --step out"),
        (("derive", "linear-rnn", "ntk-variance", "--lag", "1", "--step", "1"), "Leave --step out"),
        (("eval", "elman", "nngp", "--step", "1"), "only nngp-correction"),
        (("eval", "elman", "nngp-correction", *UNIT, "--nu-b", "0"), "--X"),
        (("eval", "elman", "nngp-correction", "--lags", "2", *UNIT), "Write --step"),
        (("derive", "gru", "nngp-correction"), "Gaussian variables"),
    ],
)
def test_what_a_correction_takes_is_told(words, told):
    assert told in run(*words, code=2).stderr
