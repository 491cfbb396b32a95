"""One text, two namespaces; explicit streams only."""

from __future__ import annotations

import importlib.util

import array_api_strict
import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import backend, namespace, seed_sequence, stream, to_host


def test_equal_keys_give_equal_streams_and_different_keys_do_not():
    xp = backend("numpy")
    first, again, other = (stream(xp, seed_sequence(7, key)).normal(4) for key in (3, 3, 10**12))
    assert np.array_equal(first, again)
    assert not np.any(first == other)


@pytest.mark.parametrize("freedom", [1, 2, 30, 10**12])
def test_chi_squared_has_the_mean_and_variance_of_its_freedom(freedom):
    count = 40_000
    squares = stream(backend("numpy"), seed_sequence(1, freedom)).chi(freedom, count) ** 2
    assert abs(squares.mean() - freedom) < 5 * (2 * freedom / count) ** 0.5
    assert squares.var() == pytest.approx(2 * freedom, rel=5 * ((2 + 12 / freedom) / count) ** 0.5)


def test_a_stream_lives_in_its_namespace():
    drawn = stream(array_api_strict, seed_sequence(0)).chi(3, 2)
    assert namespace(drawn) is array_api_strict
    assert isinstance(to_host(drawn), np.ndarray)


@pytest.mark.parametrize(("name", "word"), [("torch", "numpy"), ("numpi", "cupy")])
def test_an_unknown_backend_names_the_known_ones(name, word):
    with pytest.raises(ParameterError) as error:
        backend(name)
    assert error.value.where == "backend"
    assert word in error.value.expected


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is here")
def test_a_missing_cupy_names_the_extra_to_install():
    with pytest.raises(ParameterError) as error:
        backend("cupy")
    assert "wideproof[cuda12]" in error.value.hint


def test_a_negative_seed_is_refused():
    with pytest.raises(ParameterError):
        seed_sequence(-1)
