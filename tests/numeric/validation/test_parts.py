"""Parts of runs put together: each piece in one of them, the bits of one place, and what lacks is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.runs.crew import ALONE
from wideproof.numeric.runs.folder import open_run, take_folder
from wideproof.numeric.runs.stages import DONE, silent, staged
from wideproof.numeric.runs.tasks import every
from wideproof.numeric.validation.parts import compare, lacking, merge

PLANS = [{"place": k} for k in range(7)]


def drawn(plan):
    return {"x": np.random.default_rng(plan["place"]).standard_normal(3)}


def twice(plan):
    return {"x": 2 * drawn(plan)["x"]}


def made(path, shard=None, inputs=None):
    """A run of two measurements, or a part of it; what it holds once it is done."""
    identity = {"command": "toy", "inputs": inputs or {}, "seed": 1, "shard": shard}
    folder = take_folder(path, identity, {"model": {"name": "toy", "text": []}, "stages": {}, "started_in": "/",
                                          "asked_engine": "auto"}, False)  # fmt: skip
    with staged(folder, ALONE, silent) as run:
        found = every([
            lambda: run.tasks.results(drawn, PLANS), lambda: run.tasks.results(twice, PLANS[:3]),
            lambda: [run.tasks.result("single", {}, lambda: {"x": np.arange(2.0)})],
        ])  # fmt: skip
        folder.update(results=[part["x"].tolist() for parts in found for part in parts])
        folder.end(DONE, verdict="holds")
    return folder


def kept(path):
    return sorted(file.name for file in path.rglob("*.nc"))


@pytest.fixture
def parts(tmp_path):
    for k in (1, 2, 3):
        made(tmp_path / str(k), (k, 3))
    return [tmp_path / str(k) for k in (1, 2, 3)]


def test_each_piece_is_in_one_part_and_the_whole_is_that_of_one_place(tmp_path, parts):
    made(tmp_path / "whole")
    shares = [kept(path) for path in parts]
    assert sorted(name for share in shares for name in share) == kept(tmp_path / "whole")
    assert min(map(len, shares)) == 3
    assert all(open_run(path).record["stage"] == "part drawn" for path in parts)
    found = merge(parts, tmp_path / "merged")
    assert (found.lacking, found.missing, found.environments) == ((), 0, 1)
    made(tmp_path / "merged")
    assert compare(tmp_path / "merged", tmp_path / "whole")["identical"] is True


def test_a_part_that_is_not_there_or_has_not_ended_is_named(tmp_path, parts):
    record = json.loads((parts[1] / "run.json").read_text())
    (parts[1] / "run.json").write_text(json.dumps(record | {"stage": "stopped"}))
    found = merge(parts[1:], tmp_path / "merged")
    assert found.lacking == ("part 1/3 is not among them", f"part 2/3 in {parts[1]} has not ended")
    made(tmp_path / "merged")
    assert lacking([open_run(tmp_path / "merged"), open_run(parts[0])]) == ()


def test_other_environments_are_counted_and_an_altered_piece_of_one_is_refused(tmp_path, parts):
    shutil.copytree(parts[0], tmp_path / "altered")
    (file, *_) = sorted((tmp_path / "altered" / "pieces").iterdir())
    foreign = next(iter(sorted((parts[1] / "pieces").iterdir())))
    (file.parent / f"{file.name.split('.')[0]}.{foreign.name.split('.')[1]}.nc").write_bytes(foreign.read_bytes())
    file.unlink()
    with pytest.raises(StoreError, match="a folder was altered"):
        merge([*parts, tmp_path / "altered"], tmp_path / "merged")
    record = json.loads((tmp_path / "altered" / "run.json").read_text())
    record["sessions"][0]["environment"]["processor"] = "another"
    (tmp_path / "altered" / "run.json").write_text(json.dumps(record))
    assert merge([*parts, tmp_path / "altered"], tmp_path / "mixed").environments == 2


def test_runs_of_other_inputs_or_commands_are_refused(tmp_path, parts):
    made(tmp_path / "other", (2, 3), {"quick": True})
    with pytest.raises(StoreError, match="the inputs of"):
        merge([parts[0], tmp_path / "other"], tmp_path / "merged")
    record = json.loads((parts[1] / "run.json").read_text())
    (parts[1] / "run.json").write_text(json.dumps(record | {"command": "validate"}))
    with pytest.raises(StoreError, match="a run of toy"):
        merge(parts, tmp_path / "merged")
    with pytest.raises(StoreError, match="a folder of its own"):
        merge(parts[:1], parts[0])
