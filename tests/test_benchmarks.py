"""Every benchmark starts: it says what it does, and makes its table of a small run."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("benchmarks/ is not there", allow_module_level=True)
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("[a-z]*.py"))


def run(name, arguments, monkeypatch):
    """Run a benchmark in this process as its file would be run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")


@pytest.mark.parametrize("name", SCRIPTS)
def test_says_what_it_does(name, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(name, ["--help"], monkeypatch)
    said = capsys.readouterr().out
    assert not ended.value.code and "usage:" in said and "--threads" in said


@pytest.mark.parametrize("name", SCRIPTS)
def test_is_in_the_how_to(name):
    assert f"`{name}.py`" in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_the_data_have_to_be_named(monkeypatch, capsys):
    monkeypatch.delenv("MVLATENT_DATA", raising=False)
    with pytest.raises(SystemExit):
        run("tcga", [], monkeypatch)
    assert "give --data, or set MVLATENT_DATA" in capsys.readouterr().err


def test_a_small_run_of_the_separation_makes_its_table(tmp_path, monkeypatch):
    chosen = ["--cells", "easy", "--n", "80", "--seeds", "1", "--methods", "mvlatent, start"]
    run("separation", [*chosen, "--out", tmp_path], monkeypatch)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table.startswith("# Separation") and "| mvlatent, start |" in table
    rows = (tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    run("separation", [*chosen, "--out", tmp_path], monkeypatch)  # nothing is made twice
    assert (tmp_path / "rows.jsonl").read_text(encoding="utf-8") == rows


def test_a_small_run_of_the_ablation_makes_its_table(tmp_path, monkeypatch):
    chosen = ["--cells", "easy", "--n", "80", "--seeds", "1", "--variants", "no sweeps"]
    run("ablation", [*chosen, "--out", tmp_path], monkeypatch)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table.startswith("# Ablation") and "| no sweeps |" in table
