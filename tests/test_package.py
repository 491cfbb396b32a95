"""One wheel that works outside the checkout, with its templates and recordings inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
USE = """
import json, sys
from pathlib import Path
import derive, numeric, reports
from derive import models, scale_factors
from numeric.recordings import RECORDINGS, load_recording
from reports.document import Document, Equation, Paragraph, Section
from reports.mathtext import display
from reports.render import render
rho = scale_factors(models.linear_rnn())
body = (Paragraph("The scale factor is"), Equation(display(rho.proof.goal.left, rho.formula.expr), "eq:rho"))
done = render(Document("T", "A", (Section("S", body),), "w"), Path(sys.argv[1]))
print(json.dumps({"places": [m.__file__ for m in (derive, numeric, reports)], "tex": done.tex.read_text(),
                  "samples": [load_recording(name).samples for name in RECORDINGS]}))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    try:
        import hatchling  # noqa: F401
    except ImportError:
        pytest.skip("hatchling, the build backend, is not installed")
    done = subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_three_rooms_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    info = next(top for top in tops if top.endswith(".dist-info"))
    assert tops == {"derive", "numeric", "reports", info}
    for room in ("derive", "numeric", "reports"):
        assert f"{room}/py.typed" in names, room
        held = {str(path.relative_to(ROOT)) for path in (ROOT / room).rglob("*.py")}
        assert held <= set(names)
    templates = {f"reports/templates/{path.name}" for path in (ROOT / "templates").iterdir()}
    assert templates <= set(names)
    assert any(name.endswith("document.tex.j2") for name in templates)
    for name in ("daphnet_s06r02.npz", "er_fmri.npz", "LICENSE-aeon", "LICENSE-nitime", "README.md"):
        assert f"numeric/recordings/{name}" in names
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} >= {
        "LICENSE", "LICENSE-aeon", "LICENSE-nitime",
    }  # fmt: skip
    assert not [name for name in names if "__pycache__" in name or "test" in name.split("/")[-1].split("_")]


def test_its_metadata_names_command_extras_and_no_gpu(wheel):
    archive = zipfile.ZipFile(wheel)
    read = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "wideproof = reports.cli:main" in read["entry_points.txt"]
    needs = [line for line in read["METADATA"].splitlines() if line.startswith("Requires-Dist")]
    for extra, package in (("cuda12", "cupy-cuda12x"), ("cuda13", "cupy-cuda13x"), ("pdf", "typst")):
        assert any(package in line and f"extra == '{extra}'" in line for line in needs)
    assert not any("cupy" in line and "extra" not in line for line in needs)


def test_installed_elsewhere_it_derives_and_typesets(wheel, tmp_path):
    """Only the unpacked wheel and the dependencies are on the path: no checkout, no editable install."""
    home = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(home)
    site = sysconfig.get_paths()["purelib"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    code = f"import sys; sys.path[1:1] = [{str(home)!r}]; sys.path.append({site!r})\n{USE}"
    done = subprocess.run([sys.executable, "-S", "-P", "-c", code, str(tmp_path / "out")], cwd=tmp_path, env=env,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(place.startswith(str(home)) for place in found["places"])
    assert r"\label{eq:rho}" in found["tex"]
    assert all(samples > 100 for samples in found["samples"])
