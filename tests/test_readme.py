"""The README runs: every Python block in a process of its own, every command of a shell block exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command_line import CliRunner
from wideproof import derive
from wideproof.reports.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(README)
PYTHON = [(at, text) for at, (language, text) in enumerate(BLOCKS) if language in ("python", "py")]
SHELL = [text for language, text in BLOCKS if language in ("sh", "bash", "shell", "console")]
COMMANDS = [line for text in SHELL for line in text.splitlines() if line.strip() and not line.startswith("#")]


def following_text(at):
    """The output that the README prints under a block, if it does."""
    language, text = BLOCKS[at + 1] if at + 1 < len(BLOCKS) else ("", "")
    return text if language == "text" else ""


def words(line):
    """A command line without its comment and prompt."""
    return shlex.split(line.removeprefix("$ "), comments=True)


@pytest.mark.skipif(not PYTHON, reason="no Python block in the README")
@pytest.mark.parametrize("at", [at for at, _ in PYTHON])
def test_a_python_block_runs_and_prints_what_it_says(at, tmp_path):
    env = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", dict(PYTHON)[at]], cwd=tmp_path, env=env,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    if wanted := following_text(at):
        assert done.stdout.split() == wanted.split()


@pytest.mark.skipif(not COMMANDS, reason="no shell block in the README")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_exists(line):
    program, *rest = words(line)
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert next(word for word in rest if "=" not in word) in targets
    elif program == "wideproof":
        done = CliRunner().invoke(app, [*rest, "--help"], prog_name="wideproof")
        assert done.exit_code == 0, done.stderr
        verb = next(word for word in rest if not word.startswith("-"))
        assert f"wideproof {verb}" in done.stdout
        for option in (word.split("=")[0] for word in rest if word.startswith("--")):
            assert option in done.stdout or option.startswith("--nu-"), option
    else:
        assert program in ("pip", "git", "cd", "python", "apt-get"), line


def test_links_are_absolute_and_those_into_the_repository_lead_somewhere():
    """PyPI shows the README without the files beside it."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    own = urls["Repository"].removeprefix("https://github.com/")
    inside = [re.fullmatch(rf"https://\S+/{own}/(?:blob/)?main/(.+)", link) for link in links if own in link]
    assert len(inside) > 5
    assert [match for match in inside if match is None or not (ROOT / match[1]).exists()] == []


def test_every_function_and_extra_the_readme_names_exists():
    table = re.findall(r"^\| `(\w+)\(", README, re.MULTILINE)
    assert [name for name in table if not hasattr(derive, name)] == []
    extras = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"pip install 'wideproof\[(\w+)\]'", README)
    assert [name for name in named if f"{name} = [" not in extras] == []
