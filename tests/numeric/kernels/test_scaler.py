"""Inputs on one scale: every form of sequences, in a pipeline, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from wideproof.derive import ParameterError, models
from wideproof.derive.language.errors import ShapeError
from wideproof.numeric import SequenceScaler, WideRegressor

RNG = np.random.default_rng(0)
X = 5.0 + RNG.standard_normal((8, 6, 2)) * [1.0, 100.0]


def test_every_form_gives_the_same_numbers():
    scaler = SequenceScaler().fit(X)
    scaled = scaler.transform(X)
    assert np.allclose(scaled.reshape(-1, 2).mean(0), 0.0)
    assert np.allclose(scaled.reshape(-1, 2).std(0), 1.0)
    for form in (list(X), [pd.DataFrame(x) for x in X], X.tolist()):
        assert np.array_equal(SequenceScaler().fit(form).transform(form), scaled)
    assert np.allclose(scaler.inverse_transform(scaled), X)
    features = SequenceScaler().fit_transform(X[:, 0])
    assert features.shape == (8, 2)


def test_sequences_of_different_lengths_stay_a_list():
    ragged = [x[: 3 + i % 3] for i, x in enumerate(X)]
    scaled = SequenceScaler().fit(ragged).transform(ragged)
    assert [x.shape for x in scaled] == [x.shape for x in ragged]
    assert np.allclose(np.concatenate(scaled).std(0), 1.0)


def test_an_input_that_never_changes_is_shifted_only():
    constant = np.full((3, 4, 1), 0.1)
    assert np.allclose(SequenceScaler().fit(constant).transform(constant), 0.0)
    assert np.array_equal(SequenceScaler(with_mean=False).fit(constant).transform(constant), constant)


def test_in_a_pipeline_units_do_not_matter():
    rnn, y = models.elman("erf"), X[:, -1, 0]
    found = [
        make_pipeline(SequenceScaler(), WideRegressor(rnn, nu_W=0.5)).fit(z, y).predict(z[:3]) for z in (X, 1e3 * X)
    ]
    assert np.allclose(*found)
    assert clone(SequenceScaler(with_mean=False)).with_mean is False


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="2 inputs"):
        SequenceScaler().fit(X).transform(X[:, :, :1])
    with pytest.raises(ParameterError, match="with_mean"):
        SequenceScaler(with_mean="yes").fit(X)
    with pytest.raises(ParameterError, match="finite"):
        SequenceScaler().fit(X * np.nan)
