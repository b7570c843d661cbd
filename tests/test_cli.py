"""The command line as a user types it: what it prints where, and what it writes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import typer
from matplotlib.image import imread

from curriculum.cli.app import app
from curriculum.measure.comparison import compare
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.lock import Lock
from curriculum.store.reader import Run

COMMAND = str(Path(sys.executable).with_name("curriculum"))
STEPS = 40
SMALL = ("--size", "320x180")
SHEET = """STEP,PHASE,ACTION,lr:log:cosine,loss-recon,reg-norm::step-end,data-hues,data-vibrancies
0,Primary & secondary,,1e-3,1,0.1,0,0
prev+4,,,0.01,,,,
50%,,,,,0.30000000000000004,,
10,All hues,anchor,,,,,
30,,,1e-4,0.5,0,1,
"""


def commands(group: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, inner in getattr(group, "commands", {}).items():
        found += commands(inner, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))
GROUPS = ((), ("dopesheet",), ("config",))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_examples_that_name_the_command(here, path):
    shown = here(*path, "--help")
    assert shown.code == 0
    assert shown.err == ""
    assert "Usage: curriculum" in shown.out
    examples = shown.out.partition("Examples:")[2]
    assert f"curriculum {' '.join(path)}".strip() in examples


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["dopesheet", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(args, tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, *args], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "curriculum.cli.app" in imported
    assert not imported & {"torch", "numpy", "pandas", "matplotlib", "scipy", "pyarrow"}


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch comes with GNU's OpenMP there")
@pytest.mark.parametrize(
    ("own", "policy", "spins"),
    [({}, "PASSIVE", "1000"), ({"GOMP_SPINCOUNT": "7"}, "PASSIVE", "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE", "30000000000")],
)
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(empty, own, policy, spins):
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")}
    command = [COMMAND, "train", "--dopesheet", "smooth.csv", "--steps", "1"]
    done = subprocess.run(command, env={**kept, "OMP_DISPLAY_ENV": "VERBOSE", **own}, capture_output=True, text=True, check=True)
    shown = dict(re.findall(r"(\w+) = '(\w*)'", done.stderr))  # by OpenMP, when it is loaded
    assert (shown["OMP_WAIT_POLICY"], shown["GOMP_SPINCOUNT"]) == (policy, spins)


def test_version_is_that_of_the_package(process, tmp_path):
    from importlib.metadata import version

    shown = process("--version", cwd=tmp_path)
    assert (shown.code, shown.out, shown.err) == (0, f"curriculum {version('curriculum')}\n", "")


# train


def test_train_compare_animate_as_processes(process, bench):
    made = process("train", "--dopesheet", "smooth.csv", "--name", "runA", "--steps", STEPS, cwd=bench)
    assert made.code == 0, made.err
    assert "runs/runA: 40 steps" in made.out
    assert "loss-recon" in made.out
    assert "step 40 of 40" in made.err
    assert "step 40 of 40" not in made.out
    run = Run(bench / "runs" / "runA")
    assert run.status == "finished"
    assert run.metrics["step"].tolist() == list(range(STEPS))
    assert {path.name for path in (run.path / "figures").iterdir()} == {"timeline.png", "losses.png", "latents.png"}

    compared = process("compare", "runA", "b", cwd=bench)
    assert compared.code == 0, compared.err
    assert all(line.startswith("measuring: ") for line in compared.err.splitlines())
    assert "runA / b" in compared.out
    assert "too few seeds to test" in compared.out

    shown = process("animate", "--stride", 20, *SMALL, cwd=bench)
    assert shown.code == 0, shown.err
    assert shown.out.startswith("runs/videos/")
    assert "frame 3 of 3" in shown.err
    assert (bench / shown.out.partition(":")[0]).is_file()


def test_train_prints_one_json_document(here, empty):
    made = here("train", "-d", "smooth", "--steps", 8, "--name", "j", "--json")
    document = json.loads(made.out)
    assert document["run"] == "j"
    assert document["status"] == "finished"
    assert document["seeds"] == [0]
    last = Run(Path(document["path"])).metrics.iloc[-1]
    assert document["losses"]["total"] == pytest.approx(last["total"])
    assert document["losses"]["loss-recon"] == pytest.approx(last["loss-recon"])


def test_a_run_without_a_name_is_named_after_its_sheet(here, empty):
    (empty / "mine.csv").write_text(SHEET)
    names = [json.loads(here("train", "-d", "mine.csv", "--steps", 2, "--json").out)["run"] for _ in range(3)]
    assert names == ["mine", "mine-2", "mine-3"]


@pytest.mark.parametrize("extra", [(), ("--json",)], ids=["text", "json"])
def test_dry_run_says_what_would_run_and_writes_nothing(here, empty, tree, extra):
    (empty / "mine.csv").write_text(SHEET)
    before = tree(empty)
    shown = here("train", "-d", "mine.csv", "--seed", "2:5", "--name", "later", "--dry-run", *extra)
    assert shown.code == 0, shown.err
    assert tree(empty) == before
    if extra:
        plan = json.loads(shown.out)
        assert (plan["run"], plan["steps"], plan["seeds"]) == ("later", 31, [2, 3, 4])
        phases = [{"name": "Primary & secondary", "start": 0, "end": 9}, {"name": "All hues", "start": 10, "end": 30}]
        assert plan["phases"] == phases
        assert plan["actions"] == [{"step": 10, "name": "anchor"}]
    else:
        for text in ("mine.csv", "runs/later", "31 steps", "3 seed", "'All hues' 10-30", "anchor at 10"):
            assert text in shown.out


def test_dry_run_refuses_what_train_would_refuse(here, bench, tree):
    before = tree(bench)
    assert here("train", "-d", "smooth", "--name", "a", "--dry-run").code == 1
    assert here("train", "-d", "smooth", "--set", "task.hiden=3", "--dry-run").code == 2
    assert tree(bench) == before


def test_set_and_seed_change_what_is_trained(here, empty):
    made = here("train", "-d", "smooth", "--steps", 3, "--name", "s", "--set", "task.hidden=8", "--set", "seeds=7", "--seed", "0:3")
    assert made.code == 0, made.err
    run = Run(empty / "runs" / "s")
    assert run.seeds == (0, 1, 2)
    assert len(run.metrics) == 9
    assert {shape[0] for name, shape in run.manifest["parameters"].items() if name.endswith("bias")} == {8, 4, 3}
    assert "hidden: 8" in run.config_text


def test_a_sheet_is_stored_byte_for_byte(here, empty):
    data = b"\xef\xbb\xbf" + SHEET.replace(",", ";").replace("\n", "\r\n").encode()
    (empty / "sheet.csv").write_bytes(data)
    assert here("train", "-d", "sheet.csv", "--steps", 2).code == 0
    assert (empty / "runs" / "sheet" / "dopesheet.csv").read_bytes() == data


def test_a_sheet_is_found_as_a_path_then_here_then_among_the_shipped(here, empty):
    def steps(reference):
        return json.loads(here("train", "-d", reference, "--dry-run", "--json").out)["steps"]

    assert steps("smooth") == steps("smooth.csv") == 10_001
    (empty / "dopesheets").mkdir()
    (empty / "dopesheets" / "smooth.csv").write_text(SHEET)
    assert steps("smooth") == steps("smooth.csv") == 31
    (empty / "smooth.csv").write_text(SHEET.replace("\n30,", "\n20,"))
    assert steps("smooth.csv") == 21
    assert steps(empty / "dopesheets" / "smooth.csv") == 31


def test_runs_may_live_elsewhere(here, empty, monkeypatch):
    assert here("train", "-d", "smooth", "--steps", 2, "--name", "x", "--runs", "there").code == 0
    monkeypatch.setenv("CURRICULUM_RUNS", "there")
    assert [run["name"] for run in json.loads(here("runs", "--json").out)] == ["x"]
    assert not (empty / "runs").exists()


def test_a_term_that_waits_for_an_action_is_warned_about(here, empty):
    (empty / "mine.csv").write_text("STEP,PHASE,lr,loss-recon,reg-anchor\n0,Primary & secondary,0.01,1,1\n3,,,,\n")
    made = here("train", "-d", "mine.csv")
    assert made.code == 0
    assert "warning: reg-anchor has a weight, but the action 'anchor' never fires" in made.err
    assert "warning" not in made.out
    assert "reg-anchor" not in made.out


# compare


def test_compare_stores_what_it_prints(here, bench):
    found = json.loads(here("compare", "a", "b", "--json").out)
    folder = Path(found.pop("folder"))
    stored = json.loads((folder / "compare.json").read_text())
    assert stored.pop("created")
    assert stored == found
    assert [run["name"] for run in found["runs"]] == ["a", "b"]
    for name in ("losses.png", "schedules.png"):
        assert min(imread(folder / name).shape[:2]) > 300


@pytest.mark.parametrize("command", ["compare", "report", "export", "power", "animate"])
def test_a_name_that_is_close_to_that_of_an_experiment_is_one_of_it(here, bench, command):
    shutil.copytree("runs", "gentle-vs-harsh")
    shutil.move("gentle-vs-harsh", "runs/gentle-vs-harsh")
    Path("runs/gentle-vs-harsh/experiment.json").write_text("{}")
    missed = here(command, "gentle-vs-harhs")
    assert (missed.code, missed.out) == (2, "")
    assert "there is no run 'gentle-vs-harhs', did you mean 'gentle-vs-harsh'?" in missed.err
    unnamed = here(command, "")
    assert (unnamed.code, unnamed.out, unnamed.err) == (2, "", "error: an empty name is not a run\n")


@pytest.mark.slow
def test_comparing_the_same_runs_again_updates_the_comparison(here, bench):
    first = Path(json.loads(here("compare", "a", "b", "--json").out)["folder"])
    created = json.loads((first / "compare.json").read_text())["created"]
    assert json.loads(here("compare", "a", "b", "--json").out)["folder"] == str(first)
    assert json.loads((first / "compare.json").read_text())["created"] > created
    assert [path.name for path in first.parent.iterdir()] == ["a-vs-b"]
    # Other pairs of these runs are another comparison, and so are other runs of these names.
    assert Path(json.loads(here("compare", "a", "b", "--baseline", "a", "--json").out)["folder"]).name == "a-vs-b-2"
    assert Path(json.loads(here("compare", "b", "a", "--json").out)["folder"]).name == "b-vs-a"
    (first / "notes.txt").write_text("mine")
    assert Path(json.loads(here("compare", "a", "b", "--json").out)["folder"]).name == "a-vs-b-3"
    assert (first / "notes.txt").read_text() == "mine"


def test_compare_takes_the_two_newest_finished_runs(here, bench):
    assert here("train", "-d", "smooth", "--steps", STEPS, "--name", "c").code == 0
    found = json.loads(here("compare", "--json").out)
    assert [run["name"] for run in found["runs"]] == ["b", "c"]
    assert not any("identical" in note or "different configs" in note for note in found["notes"])


def values_in(document) -> list:
    """What a comparison measured, without names and paths."""
    rows = [*document["final"], *document["measures"], *document["exploratory"]]
    parts = [[row[key] for row in rows] for key in ("values", "value")]
    return [*parts, document["pairs"], document["last_losses"], document["gates"]]


@pytest.mark.parametrize("command", ["compare", "report", "animate"])
def test_where_a_run_is_missing_because_it_is_damaged_that_is_said(here, bench, command):
    Path("runs/a/run.json").write_text("{")
    missed = here(command)
    assert (missed.code, missed.out) == (2, "")
    assert "found 1 finished run(s) in runs, but 2 are needed (1 is damaged: `curriculum runs` says how)" in missed.err


def test_runs_of_the_same_name_are_compared_like_any_others(here, bench):
    """The folders above them have the same name, too."""
    for name, parent in (("a", "one"), ("b", "two")):
        shutil.copytree(f"runs/{name}", f"{parent}/exp/smooth")
    alike = here("compare", "one/exp/smooth", "two/exp/smooth")
    assert alike.code == 0, alike.err
    assert "one/exp/smooth / two/exp/smooth" in alike.out
    found = json.loads(here("compare", "one/exp/smooth", "two/exp/smooth", "--json").out)
    assert [run["name"] for run in found["runs"]] == ["one/exp/smooth", "two/exp/smooth"]
    assert values_in(found) == values_in(json.loads(here("compare", "a", "b", "--json").out))
    assert found["final"][0]["value"] != 1
    assert Path(found["folder"]).name == "one-exp-smooth-vs-two-exp-smooth"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["runs/a", "again/a", "runs/b"], ["runs/a", "again/a", "b"]),
        (["x/exp/a", "y/exp/a", "x/a"], ["x/exp/a", "y/exp/a", "x/a"]),
        (["exp/a", "x/exp/a", "a"], ["{here}/exp/a", "x/exp/a", "{here}/a"]),
    ],
)
def test_runs_are_named_by_the_shortest_end_of_their_path(bench, paths, names):
    made = []
    for path in paths:
        if not Path(path).exists():
            shutil.copytree("runs/b", path)
        made.append(Run(Path(path)))
    assert list(compare(made).names) == [name.format(here=bench.name) for name in names]
    assert [run.name for run in made] == [path.rpartition("/")[2] for path in paths]


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_the_effect_of_one_seed_each_is_its_ratio_or_difference(here, bench):
    text = here("compare", "a", "b").out
    found = json.loads(here("compare", "a", "b", "--json").out)
    assert "Final error: value of the single seed, and effect" in text
    shown = {(row[0], row[2]): row[-1] for row in map(cells, text.splitlines()) if len(row) == 6}
    for row in found["final"]:
        ((first,), (other,)) = row["values"]
        assert row["value"] == pytest.approx(first / other)
        assert float(shown[row["title"], row["window"]].removeprefix("x")) == pytest.approx(first / other, rel=0.03)
    counts = next(row for row in found["exploratory"] if row["id"] == "E10")
    assert counts["value"] == counts["values"][0][0] - counts["values"][1][0]


@pytest.mark.parametrize("steps", [1, 5])
def test_runs_of_a_few_steps_can_be_compared(here, empty, steps):
    for name in ("a", "b"):
        assert here("train", "-d", "smooth", "--steps", steps, "--name", name).code == 0
    compared = here("compare", "a", "b")
    assert compared.code == 0, compared.err
    assert here("animate", "-o", "x.png", *SMALL).code == 0


def test_a_run_is_found_by_path_name_and_unique_beginning(here, bench):
    (bench / "runs" / "a").rename(bench / "runs" / "first-smooth")
    for reference in ("runs/first-smooth", bench / "runs" / "first-smooth", "first-smooth", "fir"):
        shown = here("show", reference, "--json")
        assert shown.code == 0, shown.err
        assert json.loads(shown.out)["sheet"] == "smooth.csv"
    (bench / "runs" / "b").rename(bench / "runs" / "first-stepped")
    refused = here("show", "first")
    assert refused.code == 2
    assert "first-smooth, first-stepped" in refused.err


# animate


def decode(path: Path) -> tuple[np.ndarray, str]:
    """Decode a video with ffmpeg: its frames `[N, H, W, 3]`, and what ffmpeg says of the stream."""
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    said = subprocess.run([exe, "-i", path], capture_output=True, text=True, check=False).stderr
    stream = next(line for line in said.splitlines() if "Video:" in line)
    size = re.search(r"(\d{3,4})x(\d{3,4})", stream)
    command = [exe, "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, int(size[2]), int(size[1]), 3), stream


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", r"h264 .*yuv420p\b.* 30 fps"), (".webm", r"vp9 .*yuv420p\b.* 30 fps"), (".gif", r"gif\b")]
)
def test_animate_writes_a_video(here, bench, tree, suffix, codec):
    before = set(tree(bench))
    made = here("animate", "a", "b", "-o", f"v{suffix}", "--stride", 10, *SMALL, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out) == {"path": f"v{suffix}", "frames": 5, "fps": 30, "runs": ["a", "b"], "last_step": 39}
    assert set(tree(bench)) - before == {f"v{suffix}"}
    frames, stream = decode(bench / f"v{suffix}")
    assert re.search(codec, stream)
    assert frames.shape == (5, 180, 320, 3)
    assert all((frames[i] != frames[i + 1]).any() for i in range(4))


def test_an_mp4_can_play_while_it_loads(here, bench):
    assert here("animate", "a", "-o", "v.mp4", "--stride", 20, "--fps", 12, *SMALL).code == 0
    data = (bench / "v.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert " 12 fps" in decode(bench / "v.mp4")[1]


@pytest.mark.slow
def test_a_poster_shows_the_step_dims_and_theme_asked_for(here, bench):
    looks = {
        "last": (),
        "last-again": ("--at", STEPS - 1),
        "first": ("--at", 0),
        "dims": ("--dims", "0,2"),
        "light": ("--theme", "light"),
    }
    pictures = {}
    for name, options in looks.items():
        made = here("animate", "a", "b", "-o", f"{name}.png", "--size", "480x270", *options)
        assert made.code == 0, made.err
        pictures[name] = (bench / f"{name}.png").read_bytes()
        assert imread(bench / f"{name}.png").shape[:2] == (270, 480)
    assert pictures["last"] == pictures["last-again"]
    assert len(set(pictures.values())) == 4
    assert imread(bench / "light.png").mean() > imread(bench / "last.png").mean() + 0.3


@pytest.mark.slow
def test_animate_takes_the_latest_comparison_else_the_newest_runs(here, bench):
    assert here("train", "-d", "smooth", "--steps", STEPS, "--name", "c").code == 0

    def chosen():
        made = here("animate", "-o", "p.png", "--force", *SMALL, "--json")
        assert made.code == 0, made.err
        return json.loads(made.out)["runs"]

    assert chosen() == ["b", "c"]
    assert here("compare", "b", "a").code == 0
    assert chosen() == ["b", "a"]
    assert here("compare", "a", "c", "b").code == 0
    assert chosen() == ["a", "c", "b"]
    # As earlier versions stored them, with values by name.
    document = json.loads((Path(__file__).parent / "data" / "version-0.1" / "compare.json").read_text())
    for run in document["runs"]:
        run["path"] = str(bench / "runs" / run["name"])
    (bench / "runs" / "comparisons" / "old").mkdir()
    (bench / "runs" / "comparisons" / "old" / "compare.json").write_text(json.dumps({"created": "9999", **document}))
    assert chosen() == ["a", "b"]


def test_videos_without_a_name_do_not_replace_each_other(here, bench):
    paths = [json.loads(here("animate", "a", "b", "--stride", 40, *SMALL, "--json").out)["path"] for _ in range(2)]
    assert paths == ["runs/videos/a-vs-b.mp4", "runs/videos/a-vs-b-2.mp4"]
    assert sorted(path.name for path in (bench / "runs" / "videos").iterdir()) == ["a-vs-b-2.mp4", "a-vs-b.mp4"]


def test_force_replaces_an_output(here, bench):
    (bench / "p.png").write_bytes(b"old")
    assert here("animate", "a", "-o", "p.png", "--force", *SMALL).code == 0
    assert imread(bench / "p.png").shape[:2] == (180, 320)


# dopesheet


def test_check_describes_each_sheet(here, empty):
    (empty / "mine.csv").write_text(SHEET)
    shown = here("dopesheet", "check", "mine.csv", "smooth.csv", "--config", "color")
    assert (shown.code, shown.err) == (0, "")
    mine, smooth = shown.out.splitlines()
    assert mine.startswith("mine.csv: 31 steps, 5 properties")
    assert "10,001 steps, 8 properties" in smooth


def test_show_resolves_the_steps(here, empty):
    (empty / "mine.csv").write_text(SHEET)
    rows = list(csv.DictReader(io.StringIO(here("dopesheet", "show", "mine.csv", "--format", "csv").out)))
    assert [row["STEP"] for row in rows] == ["0", "4", "5", "10", "30"]
    assert list(rows[0]) == SHEET.splitlines()[0].split(",")
    assert list(rows[0].values()) == ["0", "Primary & secondary", "", "0.001", "1.0", "0.1", "0.0", "0.0"]
    assert float(rows[2]["reg-norm::step-end"]) == 0.30000000000000004
    documents = json.loads(here("dopesheet", "show", "mine.csv", "--format", "json").out)
    assert [row["STEP"] for row in documents] == [0, 4, 5, 10, 30]
    assert documents[3]["ACTION"] == "anchor"
    assert documents[3]["lr:log:cosine"] is None
    table = here("dopesheet", "show", "mine.csv").out.splitlines()
    assert table[0].split()[:3] == ["STEP", "PHASE", "ACTION"]
    assert table[4].split()[0] == "10"


@pytest.mark.parametrize("format", ["csv", "json"])
def test_dense_shows_every_step_in_full_precision(here, empty, format):
    (empty / "mine.csv").write_text(SHEET)
    schedule = compile_sheet(parse(SHEET))
    text = here("dopesheet", "show", "mine.csv", "--dense", "--format", format).out
    rows = list(csv.DictReader(io.StringIO(text))) if format == "csv" else json.loads(text)
    assert list(rows[0]) == ["STEP", "PHASE", "ACTION", "lr", "loss-recon", "reg-norm", "data-hues", "data-vibrancies"]
    values = np.array([[float(row[name]) for name in schedule.properties] for row in rows])
    assert np.array_equal(values, schedule.values)
    assert [int(row["STEP"]) for row in rows] == list(range(31))
    assert [row["PHASE"] for row in rows] == ["Primary & secondary"] * 10 + ["All hues"] * 21
    assert [row["ACTION"] for row in rows] == [""] * 10 + ["anchor"] + [""] * 20


def test_plot_names_the_file_after_the_sheet(here, empty):
    (empty / "mine.csv").write_text(SHEET)
    assert here("dopesheet", "plot", "mine.csv").out == "mine.png\n"
    assert here("dopesheet", "plot", "mine.csv", "-o", "d.png", "--derivatives").code == 0
    plain, derivatives = imread(empty / "mine.png"), imread(empty / "d.png")
    assert plain.shape != derivatives.shape or (plain != derivatives).any()
    assert sorted(path.name for path in empty.iterdir()) == ["d.png", "mine.csv", "mine.png"]


def test_diff_says_what_moved(here, empty):
    (empty / "a.csv").write_text(SHEET)
    changed = SHEET.replace("prev+4,,,0.01", "prev+6,,,0.01").replace("reg-norm", "reg-planar").replace("30,,,1e-4,0.5", "30,,,2e-4,0.5")
    (empty / "b.csv").write_text(changed.replace("50%,,,,,", "80%,,,,,"))
    text = here("dopesheet", "diff", "a.csv", "b.csv")
    assert (text.code, text.err) == (0, "")
    for part in ("only in a.csv: reg-norm", "only in b.csv: reg-planar", "0.01 @ 4", "0.01 @ 6", "0.0001 @ 30", "0.0002 @ 30"):
        assert part in text.out
    document = json.loads(here("dopesheet", "diff", "a.csv", "b.csv", "--json").out)
    assert document["only_a"] == ["reg-norm"]
    assert not document["identical"]
    assert {curve["property"] for curve in document["curves"] if curve["area"] > 0} == {"lr"}
    assert "are equivalent" in here("dopesheet", "diff", "a.csv", "a.csv").out


# config, runs, show


def test_config_show_is_a_config(here, empty):
    shown = here("config", "show", "ex-1.6", "--set", "task.hidden=32", "--set", "seeds=0:3")
    (empty / "mine.yaml").write_text(shown.out)
    assert here("config", "show", "mine.yaml").out == shown.out
    document = json.loads(here("config", "show", "mine.yaml", "--json").out)
    assert document["task"]["hidden"] == 32
    assert document["task"]["sample_weighting"] == "sum"
    assert document["seeds"] == [0, 1, 2]
    assert json.loads(here("config", "show", "--json").out)["task"]["sample_weighting"] == "mean"


def test_config_schema_lists_every_setting(here):
    shown = here("config", "schema")
    assert shown.code == 0
    for setting in ("task.hidden", "task.sample_weighting", "optimizer.betas", "record.snapshot_every", "seeds", "hooks", "threads"):
        assert re.search(rf"^{re.escape(setting)}\s", shown.out, re.MULTILINE)
    document = json.loads(here("config", "schema", "--json").out)
    assert set(document["properties"]) == {
        "task",
        "seeds",
        "optimizer",
        "record",
        "device",
        "threads",
        "stack",
        "stack_memory",
        "compile",
        "hooks",
    }
    assert document["additionalProperties"] is False


def test_runs_lists_the_oldest_first(here, bench):
    documents = json.loads(here("runs", "--json").out)
    assert [(run["name"], run["status"], run["sheet"], run["steps"]) for run in documents] == [
        ("a", "finished", "smooth.csv", STEPS),
        ("b", "finished", "stepped.csv", STEPS),
    ]
    lines = here("runs").out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", "a", "b"]


def test_a_run_is_listed_once_however_many_links_lead_to_it(here, bench):
    runs = bench / "runs"
    (runs / "study").mkdir()
    (runs / "b").rename(runs / "study" / "b")
    shutil.copytree(runs / "a", bench / "elsewhere")
    links = {"0-newest": "a", "again": "study", "itself": ".", "above": "..", "round": "../runs", "study/up": "..", "out": "../elsewhere"}
    for name, target in links.items():
        (runs / name).symlink_to(target)
    (runs / "study" / "c").symlink_to("b")
    shown = here("runs", "--json")
    assert shown.code == 0, shown.err
    assert shown.err == ""
    assert sorted(run["name"] for run in json.loads(shown.out)) == ["a", "out", "study/b"]
    assert "(in runs: a, out, study/b)" in here("show", "nosuch").err
    assert here("show", "0-newest").code == 0


def test_a_run_that_is_trained_is_running_through_a_link_too(here, bench):
    (bench / "runs" / "link").symlink_to("a")
    with_status(bench / "runs" / "a", "running")
    assert json.loads(here("show", "link", "--json").out)["status"] == "killed"
    lock = Lock(bench / "runs" / "a")
    assert json.loads(here("show", "link", "--json").out)["status"] == "running"
    lock.release()


def with_status(run, status):
    manifest = {key: value for key, value in json.loads((run / "run.json").read_text()).items() if key != "sha256"}
    (run / "run.json").write_text(json.dumps({**manifest, "status": status}))


def test_no_runs_is_no_failure(here, empty):
    shown = here("runs")
    assert (shown.code, shown.out) == (0, "")
    assert "curriculum train" in shown.err
    assert json.loads(here("runs", "--json").out) == []


def test_show_tells_how_a_run_was_made_and_what_happened(here, bench):
    text = here("show", "a")
    assert (text.code, text.err) == (0, "")
    for part in ("finished", "smooth.csv", "phase-start", "Primary & secondary"):
        assert part in text.out
    document = json.loads(here("show", "a", "--json").out)
    assert document["status"] == "finished"
    assert document["events"][0]["event"] == "phase-start"
    assert document["versions"]["torch"]


# the terminal's side


def test_a_reader_that_stops_early_hears_no_complaint(tmp_path):
    command = [COMMAND, "dopesheet", "show", "smooth", "--dense", "--format", "csv"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().startswith("STEP,PHASE,ACTION,lr")
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(timeout=60) == 0


def test_names_from_files_cannot_steer_the_terminal(here, empty):
    (empty / "bad\x1b[31m.csv").write_text("")
    refused = here("dopesheet", "check", "bad\x1b[31m.csv")
    assert refused.code == 2
    assert "\x1b" not in refused.err


OWN_TASK = """
import numpy as np
import torch
from torch import nn

import curriculum

class Points(curriculum.Task):
    terms = ("loss",)

    def build(self):
        return nn.Linear(2, 1)

    def data(self):
        x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
        return {"train": (x, x.sum(1)), "test": (x, x.sum(1))}

    def losses(self, model, batch):
        return {"loss": ((model(batch.inputs)[:, 0] - batch.labels) ** 2).mean()}
"""


def test_sheets_are_checked_against_a_task_next_to_a_config_elsewhere(here, empty):
    (empty / "sub").mkdir()
    (empty / "sub" / "points.py").write_text(OWN_TASK)
    (empty / "sub" / "points.yaml").write_text("task: {name: ./points.py:Points}\noptimizer: {name: adamw}\n")
    (empty / "good.csv").write_text("STEP,lr,loss,weight-decay\n0,0.01,1,0.1\n9,,,\n")
    (empty / "bad.csv").write_text("STEP,lr,loss,smoothing\n0,0.01,1,0.1\n9,,,\n")
    good, bad = (here("dopesheet", "check", name, "--config", "sub/points.yaml") for name in ("good.csv", "bad.csv"))
    assert good.code == 0, good.err
    assert (bad.code, "bad.csv:1:4: unknown property 'smoothing'" in bad.err) == (2, True), bad.err


def test_debug_shows_where_an_error_comes_from(process, empty):
    shown = process("--debug", "dopesheet", "show", "nosuch.csv", cwd=empty)
    assert shown.code == 2
    assert "find_file.py" in shown.err


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in GROUPS], ids=" ".join)
def test_debug_is_an_option_of_every_command(here, path):
    assert "--debug" in here(*path, "--help").out


@pytest.mark.parametrize(
    "args", [("--debug", "show", "nosuch"), ("show", "--debug", "nosuch"), ("dopesheet", "show", "nosuch.csv", "--debug")], ids=" ".join
)
def test_debug_may_stand_before_or_after_the_command(here, empty, args):
    shown = here(*args)
    assert shown.code in (1, 2)
    assert "Traceback" in shown.err
    assert re.match("error: there is no (run|dopesheet) ", shown.err.splitlines()[-1])
    assert "Traceback" not in here("show", "nosuch").err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(process, empty, shell):
    words = {"COMP_WORDS": "curriculum ver", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "curriculum ver"}
    asked = {"_CURRICULUM_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "verify" in process(cwd=empty, env=words | asked).out


def test_completion_can_be_shown_and_installed(process, empty):
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(empty)}
    shown = process("--show-completion", "bash", cwd=empty, env=env)
    assert "_CURRICULUM_COMPLETE=complete_bash" in shown.out, shown
    installed = process("--install-completion", "bash", cwd=empty, env=env)
    assert installed.code == 0, installed
    assert "_CURRICULUM_COMPLETE=complete_bash" in (empty / ".bash_completions" / "curriculum.sh").read_text()
