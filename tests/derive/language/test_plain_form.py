"""A program goes out as plain data and comes back equal; what is no such data is refused and nothing is run."""

from __future__ import annotations

import json

import pytest
import sympy as sp

from wideproof.derive import Recursion, define, models
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.language.plain_form import program_data, program_of

GALLERY = {
    "linear-rnn": models.linear_rnn, "elman": models.elman, "lstm": models.lstm, "gru": models.gru,
    "bidirectional": models.bidirectional, "stacked": models.stacked, "amp": lambda: models.amp(3),
    "feed-forward": models.feed_forward,
}  # fmt: skip


HALF = ["Rational", "1", "2"]


def there_and_back(program):
    return program_of(json.loads(json.dumps(program_data(program))))


@pytest.mark.parametrize("name", GALLERY)
def test_a_model_comes_back_equal_with_equal_names(name):
    program = GALLERY[name]().program()
    found = there_and_back(program)
    assert found == program
    assert repr(found) == repr(program)
    assert found.symbols == program.symbols


def own(gain):
    rnn = Recursion("own")
    W, F, C = rnn.matrix("W", variance=gain), rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance=1)
    h = rnn.state("h", initial="nu_0", shared=True)
    wavy = define("wavy_1", "z * tanh(log(1 + exp(z)))")
    rnn.update(h, wavy(W @ h + F @ rnn.x) * sp.Symbol("alpha", real=True) + h / 2)
    rnn.output(C @ h)
    return rnn.program()


def test_declared_activations_roots_and_assumptions_come_back():
    program = own(sp.sqrt(sp.Symbol("a", positive=True)) / 3)
    assert there_and_back(program) == program
    assert there_and_back(program) != own(sp.sqrt(sp.Symbol("a", positive=True)) / 2)


def test_an_activation_of_the_same_name_and_another_function_is_refused():
    data = program_data(own("nu_W"))
    data["activations"]["wavy_1"][0] = ["tanh", ["Symbol", "z", {"real": True}]]
    with pytest.raises(DeriveError, match="wavy_1"):
        program_of(data)


@pytest.mark.parametrize("change", [
    lambda data: data.pop("program"),
    lambda data: data["program"].update(record="Popen"),
    lambda data: data["program"].update(output={"expression": ["system", ["Rational", "1", "1"]]}),
    lambda data: data["program"].update(output={"expression": ["Rational", "9" * 200, "1"]}),
    lambda data: data["program"].update(output={"expression": ["Symbol", "__import__('os')", {"colour": True}]}),
    lambda data: data["program"].update(output={"expression": ["Coordinate", "a\nimport os#12"]}),
    lambda data: data["program"].update(output={"expression": ["Phi", ["Symbol", "no such", {}], HALF, HALF]}),
    lambda data: data["program"]["states"][0].update(name="__import__('os')"),
    lambda data: data["program"].update(output={"expression": []}),
    lambda data: data["program"].update(output={"expression": _deep(1000)}),
])  # fmt: skip
def test_other_data_is_refused_by_our_error(change):
    data = program_data(models.elman().program())
    change(data)
    with pytest.raises(DeriveError):
        program_of(data)


def _deep(depth):
    tree = ["Rational", "1", "2"]
    for _ in range(depth):
        tree = ["tanh", tree]
    return tree
