"""Sheets, configs and run folders from a stranger: read, or refused with a sentence; nothing is executed or left, nothing is huge.

`FUZZ_EXAMPLES` says how many inputs each target is tried with.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curriculum import plugins
from curriculum.config import yaml as configs
from curriculum.errors import CurriculumError
from curriculum.sheet.lines import decode
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.files import digest, sealed, to_safetensors
from curriculum.store.reader import Run
from curriculum.store.shelf import latest_comparison
from curriculum.store.verify import verify_run
from curriculum.train.make import settings_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
often = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

HEADS = ["STEP", "PHASE", "ACTION", "lr", "lr:log", "loss-recon::linear", "x:linear:minjerk", "x::", ":", "a" * 300, "é\u202e", "#"]
CELLS = [
    "",
    "0",
    "+1",
    "-1",
    "40%",
    "+0.5",
    "prev+3",
    "1e-8",
    "1e308",
    "-1e308",
    "nan",
    "9" * 19,
    "0x1",
    "\uff11",
    "a,b",
    '"',
    "\x1b[2J",
    "\0",
]
cell = st.sampled_from(CELLS) | st.text(max_size=8) | st.integers(-5, 3000).map(str) | st.floats().map(str)
line = st.lists(cell, max_size=7).map(",".join)
head = st.lists(st.sampled_from(HEADS) | st.text(max_size=6), max_size=7).map(",".join)
sheets = st.builds(lambda first, rest: "\n".join([first, *rest]), head, st.lists(line, max_size=8)).map(str.encode)


@often
@given(sheets | st.binary(max_size=200))
@example(b"STEP,lr\n0,1\n10000000,2\n")
def test_any_sheet_is_read_or_refused(data):
    with suppress(CurriculumError):
        sheet = parse(decode(data, "sheet.csv"), "sheet.csv")
        if sheet.last_step < 20_000:
            assert np.isfinite(compile_sheet(sheet).values).all()


def test_a_sheet_too_large_for_memory_is_refused():
    wide = ",".join(f"p{index}" for index in range(2000))
    with pytest.raises(CurriculumError, match="too many"):
        parse(f"STEP,{wide}\n0{',1' * 2000}\n10000000{',' * 2000}\n")


scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
scalar |= st.sampled_from(["color", "0:4", "0:99999999", "~", "*a"])
tree = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=12
)
task = st.fixed_dictionaries({"name": st.sampled_from(["color", "colr"])}, optional={"hidden": tree, "phases": tree, "latent_dim": tree})
known = st.fixed_dictionaries(
    {"task": task}, optional=dict.fromkeys(("seeds", "optimizer", "record", "threads", "hooks", "device", "x"), tree)
)
EVIL = "!!python/object/apply:os.system [x]\n"
PIECES = ["task: {name: color}\n", "seeds: ", "&a ", "*a", "<<: *a\n", EVIL, "- ", "? ", "{", "[" * 40, "|\n", "\t", "%YAML 9\n---\n"]
yamls = known.map(json.dumps) | st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=9).map("".join)


@often
@given(yamls, st.lists(st.sampled_from(["task.hidden=3", "seeds=0:3", "record.x=1", "a.b.c={", "=", "task=*a"]), max_size=2))
@example("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\n", [])
@example("[" * 5000, [])
@example("seeds: " + "9" * 5000 + "\ntask: {name: color}\n", [])
def test_any_config_is_read_or_refused(text, overrides):
    with suppress(CurriculumError):
        configs.load(text, "config.yaml", settings_of, plugins.names("task"), overrides)


@pytest.fixture(scope="module")
def stranger(trained, tmp_path_factory):
    """A run's files, to be changed: the finished run, and its manifest as it would stand while the run goes on."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(trained / "runs" / "a", folder / "a")
    return folder / "a"


def bomb() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"step": pa.array(["x" * 1000] * 50_000)}), sink, use_dictionary=True)
    return sink.getvalue().to_pybytes()


def huge_header() -> bytes:
    header = json.dumps({"steps": {"dtype": "I64", "shape": [2**40], "data_offsets": [0, 2**43]}}).encode()
    return len(header).to_bytes(8, "little") + header


NAMES = [
    "run.json", "config.yaml", "dopesheet.csv", "events.jsonl", "metrics.parquet", "snapshots.safetensors", "traces.safetensors",
    "phase-ends.safetensors", "model.safetensors", "exhibits.safetensors", "checkpoint-000000040.json", "checkpoint-000000040.safetensors",
]  # fmt: skip
values = st.sampled_from([None, -1, 10**30, 1e300, "x", "../../etc/passwd", "\x1b[2J", [], {}, [[]], {"a": None}, [0] * 50, True])
KEYS = ["seeds", "steps", "trained", "status", "task", "probes", "parameters", "hashes", "diverged", "files", "segments", "stack", "look"]


@often
@given(
    st.sampled_from(NAMES),
    st.sampled_from(["bytes", "cut", "flip", "json", "bomb", "header", "empty", "link", "gone"]),
    st.binary(max_size=60),
    st.floats(0, 1, exclude_max=True),
    st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=3),
    st.booleans(),
)
def test_any_run_folder_is_read_or_refused(stranger, name, how, junk, place, changes, running):
    path = stranger / name
    before = {file: (stranger / file).read_bytes() for file in {name, "run.json"}}
    manifest = json.loads(before["run.json"])
    try:
        data, at = before[name], int(place * len(before[name]))
        if running:
            manifest = {key: value for key, value in manifest.items() if key != "files"} | {"status": "running"}
        (stranger / "run.json").write_text(json.dumps(sealed({**manifest, **(changes if how == "json" else {})})))
        if how == "link":
            path.unlink()
            path.symlink_to("/etc/passwd")
        elif how == "gone":
            path.unlink()
        elif how != "json":
            flipped = data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :]
            made = {"bytes": junk, "cut": data[:at], "flip": flipped, "bomb": bomb(), "header": huge_header()}
            path.write_bytes(made.get(how, b""))
        with suppress(CurriculumError):
            run = Run(stranger)
            assert run.shown_status
            verify_run(run)
            _ = run.schedule, run.losses()
    finally:
        path.unlink(missing_ok=True)
        for file, data in before.items():
            (stranger / file).write_bytes(data)


# what a stranger may want


@contextmanager
def memory_limit(size: int):
    with Path("/proc/self/statm").open() as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def many_rows() -> bytes:
    """A Parquet file of some kilobytes whose column is one number, two hundred million times."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, pa.schema([("step", pa.int64())]), compression="zstd") as writer:
        part = pa.table({"step": np.zeros(4_000_000, np.int64)})
        for _ in range(50):
            writer.write_table(part)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "make"), [("metrics.parquet", bomb), ("snapshots.safetensors", huge_header), ("traces.safetensors", huge_header)]
)
def test_a_header_that_claims_a_huge_shape_takes_no_memory(stranger, tmp_path, name, make):
    shutil.copytree(stranger, tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(make())
    manifest = json.loads((tmp_path / "a" / "run.json").read_text())
    manifest["files"][name] = digest(make())
    (tmp_path / "a" / "run.json").write_text(json.dumps(sealed(manifest)))
    run = Run(tmp_path / "a")
    with memory_limit(512 * 2**20), pytest.raises(CurriculumError, match=name):
        getattr(run, name.partition(".")[0])


def test_more_rows_than_fit_into_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    from curriculum.store.files import read_parquet

    (tmp_path / "metrics.parquet").write_bytes(many_rows())
    assert (tmp_path / "metrics.parquet").stat().st_size < 2**20
    monkeypatch.setattr(os, "sysconf", lambda name: 2**15)
    with pytest.raises(CurriculumError, match="memory allows"):
        read_parquet(tmp_path / "metrics.parquet")


def seal_anew(run: Path, name: str, data: bytes) -> None:
    """Put a file into a run as its author could: with the right hash."""
    (run / name).write_bytes(data)
    manifest = json.loads((run / "run.json").read_text())
    manifest["files"][name] = digest(data)
    (run / "run.json").write_text(json.dumps(sealed(manifest)))


def test_more_rows_than_a_run_has_steps_and_seeds_are_refused_before_they_are_read(stranger, tmp_path):
    shutil.copytree(stranger, tmp_path / "a")
    seal_anew(tmp_path / "a", "metrics.parquet", many_rows())
    with memory_limit(512 * 2**20), pytest.raises(CurriculumError, match="200,000,000 rows for 40 steps of 1 seed"):
        _ = Run(tmp_path / "a").metrics


def test_rows_are_counted_as_they_would_be_read(tmp_path):
    """The file says that it has fewer rows than its columns have."""
    from curriculum.store.files import rows_of

    def number(value: int) -> bytes:
        """Write an integer as the file's metadata has it: twice its value, seven bits to a byte."""
        bits = [(2 * value >> shift) & 127 for shift in range(0, 28, 7)]
        return bytes([bit | 128 for bit in bits[:-1]] + bits[-1:])

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"step": np.zeros(4_000_000, np.int64)}), sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    metadata = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    place = data.index(number(4_000_000), metadata)
    path = tmp_path / "metrics.parquet"
    path.write_bytes(data[:place] + number(1_100_000) + data[place + 4 :])
    assert pq.ParquetFile(path).metadata.num_rows == 1_100_000
    with pytest.raises(CurriculumError, match="do not have the number of rows"):
        rows_of(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"step": pa.array([0.5] * 40), "seed": pa.array([0] * 40), "total": pa.array([1.0] * 40)}, "its column step"),
        ({"step": pa.array([None, *range(39)]), "seed": pa.array([0] * 40), "total": pa.array([1.0] * 40)}, "its column step"),
        ({"step": pa.array(range(40)), "total": pa.array([1.0] * 40)}, "it lacks the columns"),
    ],
    ids=["half steps", "a missing step", "no seeds"],
)
def test_rows_of_other_columns_are_refused(here, bench, columns, message):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    seal_anew(bench / "runs" / "a", "metrics.parquet", sink.getvalue().to_pybytes())
    outcome = here("compare", "a", "b")
    assert outcome.code == 1, outcome
    assert f"runs/a is damaged: runs/a/metrics.parquet: {message}" in outcome.err


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("snapshots", lambda arrays: {name: np.repeat(array, 2, axis=0) for name, array in arrays.items()}, "80 entries for a run of 40"),
        ("snapshots", lambda arrays: {**arrays, "steps": arrays["steps"][:, None]}, "it does not say of which steps"),
        ("snapshots", lambda arrays: {**arrays, "more": np.zeros((40, 10**5))}, "not those of this run's model"),
        ("traces", lambda arrays: {name: np.repeat(array, 2, axis=0) for name, array in arrays.items()}, "80 entries for a run of 40"),
        ("traces", lambda arrays: {**arrays, "loss.hues": np.zeros((40, 9))}, "loss.hues does not fit"),
        ("traces", lambda arrays: {**arrays, "loss.hues": np.zeros(())}, "loss.hues has another shape"),
        ("model", lambda arrays: {name: np.repeat(array, 2, axis=-1) for name, array in arrays.items()}, "its shapes are not those"),
        ("phase-ends", lambda arrays: {**arrays, "0.x": np.zeros(())}, "0.x has another shape"),
    ],
)
def test_arrays_that_do_not_fit_the_manifest_are_refused(stranger, tmp_path, name, change, message):
    from safetensors.numpy import load_file, save_file

    run = tmp_path / "a"
    shutil.copytree(stranger, run)
    file = f"{name}.safetensors"
    save_file(change(load_file(run / file)), tmp_path / "changed")
    seal_anew(run, file, (tmp_path / "changed").read_bytes())
    with pytest.raises(CurriculumError, match=message):
        getattr(Run(run), name.replace("-", "_"))


def test_parts_that_do_not_go_together_are_refused(here, bench):
    """Parts of a run that was killed before its first checkpoint have no hashes."""
    run = bench / "runs" / "a"
    manifest = {key: value for key, value in json.loads((run / "run.json").read_text()).items() if key not in ("files", "sha256")}
    (run / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    for path in run.glob("checkpoint-*"):
        path.unlink()
    for name in ("phase-ends.safetensors", "traces.safetensors"):
        (run / name).rename(run / name.replace(".", "-000001."))
    (run / "phase-ends-000002.safetensors").write_bytes(to_safetensors({"0.latents": np.zeros((1, 1), np.float32)}))
    for number, kind in enumerate((np.float32, np.int64), start=1):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"step": [number], "seed": [0], "total": np.ones(1, kind)}), sink)
        (run / f"metrics-{number:06d}.parquet").write_bytes(sink.getvalue().to_pybytes())
    opened = Run(run)
    with pytest.raises(CurriculumError, match=r"phase-ends.safetensors: 0.latents has another shape"):
        _ = opened.phase_ends
    with pytest.raises(CurriculumError, match=r"metrics.parquet: "):
        _ = opened.metrics


def test_a_checkpoint_whose_arrays_are_none_is_passed_over(stranger, tmp_path):
    from curriculum.store import checkpoint

    run = tmp_path / "a"
    shutil.copytree(stranger, run)
    (step,) = checkpoint.steps_in(run)[-1:]
    record, arrays = checkpoint.files_of(run, step)
    arrays.write_bytes(b"no arrays at all")
    document = json.loads(record.read_text())
    record.write_text(json.dumps(sealed({**document, "arrays": digest(b"no arrays at all")})))
    with pytest.raises(CurriculumError, match=r"checkpoint.*safetensors is damaged"):
        checkpoint.read(run, step)
    assert checkpoint.usable(run, lambda record: None)[1]


def test_a_link_where_a_temporary_file_is_written_is_not_followed(here, bench):
    run, mine = bench / "runs" / "a", bench / "mine"
    mine.write_bytes(b"mine")
    with_manifest(run, lambda manifest: (manifest.update(status="interrupted"), manifest.pop("files")))
    for path in run.glob("checkpoint-*"):
        path.unlink()  # it begins anew
    for name in ("run.json", "model.safetensors"):
        (run / f".{name}.{os.getpid()}.tmp").symlink_to(mine)
    resumed = here("train", "--resume", "a")
    assert resumed.code == 0, resumed.err
    assert Run(run).status == "finished"
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "line", ['{"event": "phase-start"}', '{"step": 0}', '{"event": "x", "step": "3"}', '{"event": "x", "step": true}', "[]", "{", "5"]
)
def test_events_without_kind_and_step_are_refused(here, bench, line):
    run = bench / "runs" / "a"
    seal_anew(run, "events.jsonl", (run / "events.jsonl").read_bytes() + line.encode() + b"\n")
    count = len((run / "events.jsonl").read_bytes().splitlines())
    for command in ("show", "verify"):
        outcome = here(command, "a")
        assert outcome.code in (1, 3), outcome
        assert f"runs/a/events.jsonl: line {count} " in outcome.err


def with_manifest(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest as its author could."""
    manifest = json.loads((run / "run.json").read_text())
    change(manifest)
    (run / "run.json").write_text(json.dumps(sealed(manifest)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["look"].update(measures=["draw_up"] * 50), "look.measures: 'draw_up' is named 50 times"),
        (lambda m: m["look"].update(measures=[f"x{n}" for n in range(500)]), "look.measures: "),
        (lambda m: m["look"].update(plots=["a", "b", "a"]), "look.plots: 'a' is named 2 times"),
        (lambda m: m["look"].update(hypotheses={f"H{n}": "?" for n in range(500)}), "look.hypotheses: "),
        (lambda m: m["look"].update(circles=[1.0] * 500), "look.circles: "),
        (lambda m: m.update(probes=m["probes"] * 2), "probes: 'hues' is named 2 times"),
        (lambda m: m.update(seeds=[0, 1, 0]), "seeds: 0 is named 2 times"),
        (lambda m: m.update(seeds=list(range(5000))), "seeds: "),
        (lambda m: m.update(seeds=[2**63]), "seeds.0: "),
        (lambda m: m.update(stack=["a", "a"]), "stack: 'a' is named 2 times"),
        (lambda m: m.update(trained=41), "trained: 41 of 40 steps"),
        (lambda m: m.update(diverged={"x": "loss"}), "diverged: 'x' is not one of its seeds"),
        (lambda m: m.update(diverged={"7": "loss"}), "diverged: '7' is not one of its seeds"),
        (lambda m: m.update(versions=5), "versions: "),
        (lambda m: m.update(sheet_steps="x"), "sheet_steps: "),
        (lambda m: m.update(argv=["x" * 17 * 2**20]), "at most 16,777,216 are read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_manifest_that_no_run_has_is_refused(here, bench, change, message):
    with_manifest(bench / "runs" / "a", change)
    for args in (("compare", "a", "b"), ("show", "a"), ("train", "--resume", "a")):
        outcome = here(*args)
        assert outcome.code == 1, outcome
        assert outcome.err.startswith("error: the run runs/a is damaged: runs/a/run.json: ")
        assert message in outcome.err
        assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "is not a retarget"),
        ({"value": []}, "is not a retarget"),
        ({"value": 10**30}, "a retarget in it cannot be read"),
        ({"duration": "10"}, "is not a retarget"),
        ({"duration": 1e308}, "a retarget in it cannot be read"),
        ({"name": "reg-nrom"}, "did you mean 'reg-norm'?"),
    ],
    ids=str,
)
def test_retargets_that_are_none_are_refused(here, bench, change, message):
    run = bench / "runs" / "a"
    event = {"event": "retarget", "step": 5, "time": 1.0, "name": "lr", "value": 0.1, "duration": 10, **change}
    first, _, rest = (run / "events.jsonl").read_bytes().partition(b"\n")
    seal_anew(run, "events.jsonl", first + b"\n" + json.dumps(event).encode() + b"\n" + rest)
    for args, code in ((("compare", "a", "b"), 1), (("verify", "a"), 3)):
        outcome = here(*args)
        assert outcome.code == code, outcome
        assert outcome.err.startswith("error: the run runs/a is damaged: runs/a/events.jsonl: ")
        assert message in outcome.err


def test_an_event_log_whose_events_do_not_fit_into_memory_is_not_read(stranger, tmp_path, monkeypatch):
    shutil.copytree(stranger, tmp_path / "a")
    seal_anew(tmp_path / "a", "events.jsonl", b'{"event":"","step":0}\n' * 1_300_000)
    monkeypatch.setattr(os, "sysconf", lambda name: 2**15)
    with pytest.raises(CurriculumError, match="memory allows"):
        _ = Run(tmp_path / "a").events


def test_links_out_of_a_run_folder_are_not_followed(here, bench):
    secret = bench / "secret.csv"
    secret.write_text("STEP,lr\n0,1\n")
    sheet = bench / "runs" / "a" / "dopesheet.csv"
    sheet.unlink()
    sheet.symlink_to(secret)
    outcome = here("compare", "a", "b")
    assert outcome.code == 1
    assert "leads out of the run's folder" in outcome.err


def test_a_comparison_from_a_stranger_opens_no_run_elsewhere(here, bench):
    shutil.copytree(bench / "runs" / "a", bench / "elsewhere")
    (bench / "runs" / "comparisons" / "x").mkdir(parents=True)
    paths = [str(bench / "elsewhere"), "runs/../elsewhere"]
    document = {"created": "9999", "runs": [{"name": "a", "path": path, "seeds": [0]} for path in paths]}
    (bench / "runs" / "comparisons" / "x" / "compare.json").write_text(json.dumps(document))
    outcome = here("animate", "-o", "p.png", "--size", "320x180")
    assert outcome.code == 2
    assert "outside the folder" in outcome.err
    assert not (bench / "p.png").exists()


@pytest.mark.parametrize(
    "document", ['{"created": 5, "runs": 3}', "[" * 100_000, '{"created": "9", "runs": [{"path": "a\\u0000b"}]}'], ids=len
)
def test_a_comparison_that_is_none_is_passed_over(tmp_path, document):
    (tmp_path / "comparisons" / "x").mkdir(parents=True)
    (tmp_path / "comparisons" / "x" / "compare.json").write_text(document)
    assert latest_comparison(tmp_path) is None


def test_hooks_that_a_strangers_config_names_are_not_imported(here, bench, monkeypatch):
    monkeypatch.syspath_prepend(str(bench))
    (bench / "strangers_hook.py").write_text("from pathlib import Path\nPath('executed').touch()\ndef call(event): ...\n")
    run = bench / "runs" / "a"
    text = (run / "config.yaml").read_text().replace("hooks: []", "hooks: [{on: run-end, call: 'strangers_hook:call'}]")
    assert "strangers_hook" in text
    (run / "config.yaml").write_text(text)
    manifest = json.loads((run / "run.json").read_text())
    manifest["hashes"]["config"] = digest(text.encode())
    (run / "run.json").write_text(json.dumps(sealed(manifest)))
    for args in ("show a", "compare a b", "animate a -o p.png --size 320x180", "verify a --replay 10", "runs"):
        assert here(*args.split()).code == 0, args
    assert "strangers_hook" not in sys.modules
    assert not (bench / "executed").exists()


def test_texts_of_a_stranger_do_not_steer_the_terminal(here, bench):
    file = bench / "runs" / "a" / "run.json"
    manifest = json.loads(file.read_text())
    manifest.update(sheet="\x1b[2Jevil", host="\x9b31m", created="2026-01-01T00:00:00\x07")
    file.write_text(json.dumps(sealed(manifest)))
    for args in (("show", "a"), ("runs",), ("compare", "a", "b")):
        outcome = here(*args)
        assert not {"\x1b", "\x9b", "\x07"} & set(outcome.out + outcome.err), args


def test_pickles_are_no_arrays(tmp_path):
    import pickle

    from curriculum.store.files import read_safetensors

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "x.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(Exception, match="header"):
        read_safetensors(tmp_path / "x.safetensors")
    assert not (tmp_path / "executed").exists()
    assert to_safetensors({"a": np.zeros(1)})
