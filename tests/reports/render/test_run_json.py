import json
from pathlib import Path

import numpy as np
import pytest

from wideproof.derive.latex.text import DocumentError
from wideproof.numeric.core.files import write_atomically
from wideproof.reports.render.run_json import recordable


def test_results_are_said_in_the_types_of_json():
    inputs = {"n": np.int64(5), "nu": np.float32(0.5), "a": np.arange(3), "bad": float("nan"), "p": Path("x")}
    found = recordable(inputs | {"results": [(1, np.bool_(True))]})
    assert found == {"n": 5, "nu": 0.5, "a": [0, 1, 2], "bad": None, "p": "x", "results": [[1, True]]}
    assert json.loads(json.dumps(found)) == found


def test_a_value_without_a_form_is_refused_by_its_place():
    with pytest.raises(DocumentError) as caught:
        recordable({"f": [1, object()]})
    assert caught.value.where == "results.f[1]"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "a", "old")
    monkeypatch.setattr(Path, "replace", lambda *args: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
