import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from wideproof.derive.latex.text import DocumentError
from wideproof.numeric.core.files import write_atomically
from wideproof.reports.render.run_json import write_run


def test_the_record_says_what_ran(tmp_path):
    inputs = {"n": np.int64(5), "nu": np.float32(0.5), "a": np.arange(3), "bad": float("nan"), "p": Path("x")}
    record = json.loads(write_run(tmp_path / "run.json", inputs, 7, results=[(1, np.bool_(True))]).read_text())
    assert record["inputs"] == {"n": 5, "nu": 0.5, "a": [0, 1, 2], "bad": None, "p": "x"}
    assert record["seed"] == 7
    assert record["results"] == [[1, True]]
    assert {"python", "numpy", "sympy", "typst", "platform"} <= set(record["versions"])
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert "commit" in record
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_value_without_a_form_is_refused_by_its_place(tmp_path):
    with pytest.raises(DocumentError) as caught:
        write_run(tmp_path / "run.json", {"f": [1, object()]}, None)
    assert caught.value.where == "run.inputs.f[1]"
    assert not (tmp_path / "run.json").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "a", "old")
    monkeypatch.setattr(Path, "replace", lambda *args: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
