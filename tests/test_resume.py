"""Runs that were stopped, killed, damaged or forked end with the bits of one that was not; and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curriculum import Action, Retarget, on
from curriculum.errors import InputError, InUseError, OutputExistsError, RunError
from curriculum.runner.arms import run_study
from curriculum.runner.execute import execute, execute_all, train_stack
from curriculum.runner.experiment_file import plan_study
from curriculum.runner.opening import open_stack
from curriculum.runner.plan import plan
from curriculum.runner.signals import Signals
from curriculum.sheet.parse import parse
from curriculum.store.lock import Lock
from curriculum.store.reader import Run
from curriculum.train.events import Chunk, PhaseEnd, PhaseStart, PreStep
from curriculum.train.hooks import Hook

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,0.1,0,0,0
40,All hues,anchor,,,,0.5,0,0
150,,ease,,,,,1,1
{last},,,0.001,,,,,
"""
EVERY = ("record.checkpoint_every=70", "record.snapshot_every=7")


@on(Action, "ease")
def ease(event):
    return Retarget("reg-norm", 0.3, 60)


def planned(seeds="0:3", last=300, **options):
    return plan("ex-1.6", parse(SHEET.format(last=last)), seeds=seeds, hooks=[ease], overrides=EVERY, **options)


class StopAt(Signals):
    """Ask to stop once the weights of a step are looked at, as Ctrl-C would in that moment."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def look(self, event):
        if event.step == self.step:
            self._asked_to_stop(signal.SIGINT, None)


def stop_at(step, plans, paths):
    signals = StopAt(step)
    with pytest.raises(KeyboardInterrupt):
        train_stack(open_stack(plans, paths), signals=signals, watch=[Hook(PreStep, signals.look)], figures=False)


def go_on(plans, paths):
    return train_stack(open_stack(plans, paths), figures=False)


def happened(run):
    return [{key: value for key, value in event.items() if key != "time"} for event in run.events]


def assert_same(path, other):
    """Compare two finished runs: every file but those that tell the time."""
    run, reference = Run(path), Run(other)
    assert run.status == reference.status == "finished"
    for name in reference.manifest["files"]:
        if name != "events.jsonl":
            assert (path / name).read_bytes() == (other / name).read_bytes(), name
    assert happened(run) == happened(reference)
    assert not [file.name for file in path.iterdir() if file.name.startswith(".") or file.name.startswith("metrics-")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train one seed, and three, without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    for seeds in ("0", "0:3"):
        execute(planned(seeds), folder / seeds.replace(":", "-"), figures=False)
    return folder


@pytest.mark.parametrize("seeds", ["0", "0:3"])
@pytest.mark.parametrize("stops", [[0], [39, 40], [149, 150, 151], [69, 210, 298]], ids=str)
def test_a_run_that_was_stopped_ends_with_the_same_bits(whole, tmp_path, seeds, stops):
    for step in stops:
        stop_at(step, [planned(seeds)], [tmp_path / "run"])
        stopped = Run(tmp_path / "run")
        assert (stopped.status, stopped.trained_steps) == ("interrupted", step + 1)
        assert len(stopped.metrics) == (step + 1) * len(stopped.seeds)
    go_on([planned(seeds)], [tmp_path / "run"])
    assert_same(tmp_path / "run", whole / seeds.replace(":", "-"))
    segments = Run(tmp_path / "run").manifest["segments"]
    assert [(one["from"], one["to"]) for one in segments] == list(
        zip([0, *(step + 1 for step in stops)], [*(step + 1 for step in stops), 301], strict=True)
    )


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 299), min_size=1, max_size=4, unique=True).map(sorted))
def test_wherever_a_run_is_stopped_it_ends_with_the_same_bits(whole, tmp_path, stops):
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    for step in stops:
        stop_at(step, [planned("0")], [tmp_path / "run"])
    go_on([planned("0")], [tmp_path / "run"])
    assert_same(tmp_path / "run", whole / "0")


def test_checkpoints_change_no_number(whole, tmp_path):
    dense = plan("ex-1.6", parse(SHEET.format(last=300)), seeds="0:3", hooks=[ease], overrides=["record.checkpoint_every=1", EVERY[1]])
    execute(dense, tmp_path / "dense", figures=False)
    assert_same(tmp_path / "dense", whole / "0-3")


def test_training_that_was_stopped_before_it_was_closed_is_only_closed(whole, tmp_path, monkeypatch):
    from curriculum.runner.session import Session

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "close", interrupt)
        patch.setattr(Session, "abandon", lambda *args: None)
        with pytest.raises(KeyboardInterrupt):
            execute(planned(), tmp_path / "run", figures=False)
    assert Run(tmp_path / "run").shown_status == "killed"
    steps = []
    train_stack(open_stack([planned()], [tmp_path / "run"]), watch=[Hook(Chunk, lambda event: steps.append(event.step))], figures=False)
    assert not steps
    assert_same(tmp_path / "run", whole / "0-3")


def test_a_seed_that_diverged_before_the_stop_stays_dead(tmp_path):
    text = "STEP,PHASE,lr::step-end,loss-recon\n0,Primary & secondary,1.5,1\n20,,1,\n90,,0.001,\n140,,,\n"

    def wild():
        return plan("ex-1.6", parse(text), seeds="0:6", overrides=EVERY, hooks=[Hook(PreStep, poison)])

    def poison(event):
        if event.step == 30:
            event.flat[2] = 1e30

    execute(wild(), tmp_path / "whole", figures=False)
    assert list(Run(tmp_path / "whole").diverged) == [2]
    stop_at(60, [wild()], [tmp_path / "cut"])
    go_on([wild()], [tmp_path / "cut"])
    assert_same(tmp_path / "cut", tmp_path / "whole")
    assert Run(tmp_path / "cut").manifest["diverged"] == Run(tmp_path / "whole").manifest["diverged"]


# several arms as one stack


@pytest.fixture
def question(tmp_path):
    (tmp_path / "late.csv").write_text(SHEET.format(last=300).replace("ease", "").replace("150,", "100,"))
    (tmp_path / "early.csv").write_text(SHEET.format(last=300).replace("ease", "").replace("40,", "20,"))
    (tmp_path / "question.yaml").write_text(f"config: ex-1.6\nseeds: 0:2\narms: {{a: {tmp_path}/late.csv, b: {tmp_path}/early.csv}}\n")
    return lambda runs: plan_study(str(tmp_path / "question.yaml"), runs, overrides=EVERY)


def test_the_arms_of_an_experiment_go_on_as_one_stack(question, tmp_path):
    run_study(question(tmp_path / "whole"), execute_all)
    study = question(tmp_path / "cut")
    stop_at(200, study.plans, study.paths)
    # As if it had been killed between the checkpoints of the two.
    for file in study.paths[1].glob("checkpoint-000000201.*"):
        file.unlink()
    stacks = []

    def train(plans, paths):
        stacks.append([path.name for path in paths])
        stack = open_stack(plans, paths)
        assert stack.state.step == 140
        return train_stack(stack, figures=False)

    run_study(question(tmp_path / "cut"), train)
    assert stacks == [["a", "b"]]
    for arm in ("a", "b"):
        assert_same(tmp_path / "cut" / "question" / arm, tmp_path / "whole" / "question" / arm)
    assert question(tmp_path / "cut").done == (True, True)


def test_new_arms_do_not_throw_away_what_others_have_trained(question, tmp_path):
    study = question(tmp_path / "cut")
    stop_at(100, study.plans[:1], study.paths[:1])
    with pytest.raises(InputError, match="have already trained some steps"):
        open_stack(study.plans, study.paths)
    stacks = []
    run_study(question(tmp_path / "cut"), lambda plans, paths: stacks.append([path.name for path in paths]) or go_on(plans, paths))
    assert stacks == [["a"], ["b"]]


# what is refused


@pytest.fixture
def stopped(tmp_path):
    stop_at(100, [planned()], [tmp_path / "run"])
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: planned("0:4"), r"seeds = \[0, 1, 2, 3\], was \[0, 1, 2\]"),
        (lambda: planned(steps=200), "steps = 200, was 301"),
        (lambda: planned(last=301), "differs, first at line 5"),
        (
            lambda: plan("ex-1.6", parse(SHEET.format(last=300)), seeds="0:3", hooks=[ease], overrides=[*EVERY, "task.hidden=8"]),
            "task.hidden = 8, was 16",
        ),
    ],
    ids=["seeds", "steps", "sheet", "config"],
)
def test_a_run_goes_on_only_as_it_was_made(stopped, tree, change, message):
    before = tree(stopped)
    with pytest.raises(InputError, match=message):
        open_stack([change()], [stopped])
    assert tree(stopped) == before


@pytest.mark.parametrize("setting", ["checkpoint_every=20", "checkpoint_seconds=0.01"])
def test_when_checkpoints_are_stored_may_change(whole, stopped, setting):
    go_on([plan("ex-1.6", parse(SHEET.format(last=300)), seeds="0:3", hooks=[ease], overrides=[*EVERY, f"record.{setting}"])], [stopped])
    assert_same(stopped, whole / "0-3")


def test_what_a_run_stores_may_not_change(stopped):
    changed = plan("ex-1.6", parse(SHEET.format(last=300)), seeds="0:3", hooks=[ease], overrides=["record.snapshot_every=8"])
    with pytest.raises(InputError, match=r"record\.snapshot_every = 8, was 7"):
        open_stack([changed], [stopped])


# hooks


def with_hooks(*hooks):
    return plan("ex-1.6", parse(SHEET.format(last=300).replace("ease", "")), seeds=0, hooks=hooks, overrides=EVERY)


def made(value, version=1):
    if version == 1:

        def act(event):
            return Retarget("reg-norm", value, 60)
    else:

        def act(event):
            return Retarget("reg-norm", value, 60.0 // 1)

    return Hook(Action, act, "anchor")


class Act:
    def __init__(self):
        self.seen = []

    def __call__(self, event):
        self.seen.append(event.step)

    def method(self, event):
        self.seen.append(event.step)


def act(event, value=0.3):
    return Retarget("reg-norm", value, 60)


def counting():
    count = 0

    def act(event):
        nonlocal count
        count += 1

    return act


def test_a_run_lists_its_hooks(tmp_path):
    ours = "test_resume"
    hooks = {
        f"{ours}:ease": on(Action, "anchor")(ease.call),
        f"{ours}:made.<locals>.act": made(0.3),
        f"{ours}:act": Hook(PreStep, partial(act, value=0.3)),
        f"{ours}:Act": Hook(PreStep, Act()),
        f"{ours}:Act.method": Hook(PreStep, Act().method),
        f"{ours}:test_a_run_lists_its_hooks.<locals>.<lambda>": Hook(PreStep, lambda event: None),
        f"{ours}:counting.<locals>.act": Hook(PreStep, counting()),
        "builtins:list.append": Hook(Chunk, [].append),
    }
    open_stack([with_hooks(*hooks.values())], [tmp_path / "run"]).release()
    listed = Run(tmp_path / "run").manifest["hooks"]
    assert [one["call"] for one in listed] == list(hooks)
    assert [(one["event"], one["action"]) for one in listed[1:3]] == [("action", "anchor"), ("pre-step", None)]
    by_call = {one["call"]: one for one in listed}
    assert all(one["source"] for call, one in by_call.items() if call != "builtins:list.append")
    assert "source" in by_call["builtins:list.append"]["note"]
    assert by_call[f"{ours}:ease"]["note"] is None
    for call, text in (("Act", "attributes"), ("Act.method", "attributes"), ("counting.<locals>.act", "count")):
        assert text in by_call[f"{ours}:{call}"]["note"]


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [
        ([made(0.3)], [], ["the hook test_resume:made.<locals>.act on action:anchor is missing"]),
        ([], [made(0.3)], ["the hook test_resume:made.<locals>.act on action:anchor is new"]),
        ([made(0.3)], [made(0.3, version=2)], ["the source of the hook test_resume:made.<locals>.act on action:anchor differs"]),
        ([made(0.3)], [made(0.4)], ["the value of 'value' in the hook test_resume:made.<locals>.act on action:anchor differs"]),
        ([Hook(PhaseStart, partial(act, value=0.3))], [Hook(PhaseStart, partial(act, value=0.4))], ["the value of 'value' in the hook"]),
        ([Hook(PhaseStart, partial(act, value=0.3))], [Hook(PhaseEnd, partial(act, value=0.3))], ["is missing", "is new"]),
        ([made(0.3), made(0.4)], [made(0.4), made(0.3)], ["the order of the hooks on action:anchor differs"]),
        (
            [Hook(PreStep, lambda event: None)],
            [Hook(PreStep, lambda event: ())],
            ["the source of the hook test_resume:<lambda> on pre-step"],
        ),
    ],
    ids=["missing", "new", "source", "captured value", "argument", "event", "order", "lambda"],
)
def test_a_run_is_resumed_only_with_its_hooks(tmp_path, tree, before, after, messages):
    stop_at(100, [with_hooks(*before)], [tmp_path / "run"])
    stored = tree(tmp_path)
    with pytest.raises(InputError) as raised:
        open_stack([with_hooks(*after)], [tmp_path / "run"])
    for message in messages:
        assert message in str(raised.value)
    assert tree(tmp_path) == stored
    assert go_on([with_hooks(*before)], [tmp_path / "run"])[0].status == "finished"


def test_hooks_with_a_state_do_not_keep_a_run_from_being_resumed(tmp_path):
    """Even the same object again, in the state that it has come to."""
    checked = with_hooks(Hook(PreStep, Act()), Hook(PreStep, counting()), Hook(Chunk, [].append), Hook(PreStep, partial(Act().method)))
    stop_at(100, [checked], [tmp_path / "run"])
    stack = open_stack([checked], [tmp_path / "run"])
    # What cannot be compared is told of.
    for text in ("test_resume:Act on pre-step", "attributes", "'count'", "builtins:list.append on chunk"):
        assert any(text in note for note in stack.notes), text
    assert train_stack(stack, figures=False)[0].status == "finished"


def test_hooks_that_only_look_on_are_not_part_of_a_run(tmp_path):
    stop_at(100, [with_hooks()], [tmp_path / "run"])  # by a hook that looks on
    assert Run(tmp_path / "run").manifest["hooks"] == []
    assert go_on([with_hooks()], [tmp_path / "run"])[0].status == "finished"


def test_a_run_from_before_hooks_were_stored_is_resumed(stopped):
    manifest = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({key: value for key, value in manifest.items() if key not in ("hooks", "sha256")}))
    assert go_on([planned()], [stopped])[0].status == "finished"


def test_a_damaged_list_of_hooks_is_named(stopped):
    manifest = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({key: value for key, value in manifest.items() if key != "sha256"} | {"hooks": [3]}))
    with pytest.raises(RunError, match=r"run is damaged.*hooks"):
        open_stack([planned()], [stopped])


def test_a_run_with_hooks_from_python_is_resumed_from_python(here, tmp_path):
    stop_at(100, [with_hooks(made(0.3))], [tmp_path / "run"])
    refused = here("train", "--resume", "run", "--runs", tmp_path)
    assert refused.code == 2
    assert "made.<locals>.act on action:anchor is missing (pass hooks from Python again)" in refused.err


def test_a_forked_run_says_which_hooks_it_lacks(here, tmp_path):
    stop_at(100, [with_hooks(made(0.3))], [tmp_path / "run"])
    sheet = tmp_path / "run" / "dopesheet.csv"
    forked = here("train", "--fork", "run", "--at", 100, "-d", sheet, "--name", "forked", "--runs", tmp_path)
    assert forked.code == 0, forked.err
    assert "from there on its hooks differ: the hook test_resume:made.<locals>.act on action:anchor is missing" in forked.err
    assert Run(tmp_path / "forked").manifest["hooks"] == []
    assert here("verify", "forked", "--replay", 50, "--runs", tmp_path).code == 0


@pytest.mark.slow
def test_a_changed_hook_of_a_config_is_noticed(process, empty):
    body = "import os\n\ndef watch(event):\n    if os.path.exists('stop') and event.step == 60:\n        raise KeyboardInterrupt\n"
    (empty / "my_hooks.py").write_text(body)
    (empty / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: pre-step, call: 'my_hooks:watch'}\n")
    (empty / "short.csv").write_text("STEP,PHASE,lr,loss-recon\n0,Primary & secondary,0.01,1\n90,,,\n")
    (empty / "stop").touch()
    assert process("train", "-d", "short.csv", "-c", "hooks.yaml", "--name", "r", cwd=empty).code == 130
    (empty / "stop").unlink()
    (empty / "my_hooks.py").write_text(body.replace("60", "61"))
    refused = process("train", "--resume", "r", cwd=empty)
    assert (refused.code, "the source of the hook my_hooks:watch on pre-step differs" in refused.err) == (2, True), refused.err
    (empty / "my_hooks.py").write_text(f"# A line more elsewhere.\n{body}")
    resumed = process("train", "--resume", "r", cwd=empty)
    assert resumed.code == 0, resumed.err


@pytest.mark.slow
def test_a_hook_in_a_file_is_the_same_hook_in_another_folder(process, empty):
    body = "import os\n\ndef watch(event):\n    if os.path.exists('stop') and event.step == 60:\n        raise KeyboardInterrupt\n"
    (empty / "one").mkdir()
    (empty / "one" / "hooks.py").write_text(body)
    (empty / "one" / "hooks.yaml").write_text("task: {name: color}\nhooks:\n  - {on: pre-step, call: './hooks.py:watch'}\n")
    (empty / "one" / "short.csv").write_text("STEP,PHASE,lr,loss-recon\n0,Primary & secondary,0.01,1\n90,,,\n")
    (empty / "one" / "stop").touch()
    assert process("train", "-d", "short.csv", "-c", "hooks.yaml", "--name", "r", cwd=empty / "one").code == 130
    (empty / "one").rename(empty / "two")
    (empty / "two" / "stop").unlink()
    (empty / "two" / "hooks.py").write_text(body.replace("60", "61"))
    refused = process("train", "--resume", "r", cwd=empty / "two")
    assert (refused.code, "the source of the hook hooks.py:watch on pre-step differs" in refused.err) == (2, True), refused.err
    (empty / "two" / "hooks.py").write_text(body)
    assert process("train", "--resume", "r", cwd=empty / "two").code == 0


def test_another_version_of_the_task_is_refused(stopped, monkeypatch):
    from curriculum.tasks.color.task import ColorTask

    monkeypatch.setattr(ColorTask, "version", 99)
    with pytest.raises(InputError, match="task = color version 99, was color version"):
        open_stack([planned()], [stopped])


def test_a_finished_run_is_left_alone(whole, tree):
    before = tree(whole / "0")
    with pytest.raises(OutputExistsError, match="already exists"):
        open_stack([planned("0")], [whole / "0"])
    assert tree(whole / "0") == before


# damage


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["checkpoint-000000101.json", "checkpoint-000000101.safetensors", "metrics-000002.parquet"])
def test_from_a_damaged_checkpoint_one_falls_back_to_an_earlier_one(whole, stopped, name):
    damage(stopped / name)
    stack = open_stack([planned()], [stopped])
    assert stack.state.step == 70
    assert name in stack.notes[0]
    train_stack(stack, figures=False)
    assert_same(stopped, whole / "0-3")


@pytest.mark.parametrize("name", ["metrics-000001.parquet", "events.jsonl", "config.yaml", "dopesheet.csv", "run.json"])
def test_damage_to_what_all_checkpoints_need_is_an_error_and_nothing_is_dropped(stopped, tree, name):
    data = (stopped / name).read_bytes()
    damage(stopped / name) if name != "events.jsonl" else (stopped / name).write_bytes(b"x" + data[1:])
    before = tree(stopped)
    with pytest.raises(RunError, match=name):
        open_stack([planned()], [stopped])
    assert tree(stopped) == before
    (stopped / name).write_bytes(data)
    assert open_stack([planned()], [stopped]).state.step == 101


def test_half_written_files_of_a_killed_process_are_dropped(whole, stopped):
    (stopped / ".metrics-000003.parquet.1.tmp").write_bytes(b"PAR1")
    (stopped / "metrics-000003.parquet").write_bytes(b"PAR1 of a step that comes again")
    (stopped / "checkpoint-000000150.safetensors").write_bytes(b"without a record")
    with (stopped / "events.jsonl").open("ab") as log:
        log.write(b'{"event": "pha')
    go_on([planned()], [stopped])
    assert_same(stopped, whole / "0-3")


def test_a_failed_write_is_never_taken_for_stored(whole, tmp_path, monkeypatch):
    from curriculum.store.writer import RunFolder

    append = RunFolder.append_traces

    def fail(folder, arrays):
        if len(folder.parts["traces.safetensors"]) == 2:
            raise RunError("cannot write: no room")
        append(folder, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_traces", fail)
        with pytest.raises(RunError, match="no room"):
            execute(planned(), tmp_path / "run", figures=False)
    failed = Run(tmp_path / "run")
    assert failed.status == "failed"
    assert failed.trained_steps == 140
    assert len(failed.traces["loss.hues"]) == len(failed.metrics) // 3 == 140
    go_on([planned()], [tmp_path / "run"])
    assert_same(tmp_path / "run", whole / "0-3")


def test_the_event_log_is_on_disk_before_anything_counts_on_it(tmp_path, monkeypatch):
    """A loss of power cannot be seen otherwise: what is synced, and when a file that has the log's hash gets its name."""
    synced = {"events.jsonl": 0}
    counted = []
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor):
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        synced[name] = os.fstat(descriptor).st_size
        sync(descriptor)

    def watched_replace(source, target):
        if Path(target).name.startswith("checkpoint-") and Path(target).suffix == ".json":
            counted.append((Path(target).name, json.loads(Path(source).read_text())["events"]["size"], synced["events.jsonl"]))
        if Path(target).name == "run.json" and "files" in json.loads(Path(source).read_text()):
            counted.append(("run.json", (Path(target).parent / "events.jsonl").stat().st_size, synced["events.jsonl"]))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    execute(planned(), tmp_path / "run", figures=False)
    assert [name for name, _, _ in counted][-1] == "run.json"
    assert len(counted) >= 5
    for name, size, on_disk in counted:
        assert 0 < size <= on_disk, name
    assert {"config.yaml", "dopesheet.csv", "run.json"} <= set(synced)


# two at once


def test_a_run_is_trained_by_one_process_at_a_time(stopped):
    first = open_stack([planned()], [stopped])
    with pytest.raises(InUseError, match="is being trained by another process"):
        open_stack([planned()], [stopped])
    assert Run(stopped).shown_status == "running"
    first.release()
    assert Run(stopped).shown_status == "killed"
    open_stack([planned()], [stopped]).release()


def test_a_training_that_fails_before_its_first_step_lets_go_of_the_run(tmp_path):
    """Its first act is to log a warning of the plan, which fails like on a full disk."""
    checked = planned("0", steps=1000)
    assert checked.warnings
    interval = sys.getswitchinterval()
    stack = open_stack([checked], [tmp_path / "run"])
    (tmp_path / "run" / "events.jsonl").unlink()
    (tmp_path / "run" / "events.jsonl").mkdir()
    with pytest.raises(RunError, match=r"events\.jsonl"):
        train_stack(stack, figures=False)
    assert sys.getswitchinterval() == interval
    stored = Run(tmp_path / "run")
    assert stored.status == "failed"
    assert "events.jsonl" in stored.manifest["error"]
    (tmp_path / "run" / "events.jsonl").rmdir()
    (tmp_path / "run" / "events.jsonl").touch()
    assert execute(checked, tmp_path / "run", figures=False).status == "finished"


def test_a_run_is_not_resumed_through_a_link(stopped, tmp_path):
    (tmp_path / "link").symlink_to("run")
    with pytest.raises(RunError, match=r"link is a symbolic link: name the folder that it points to, .*/run$"):
        open_stack([planned()], [tmp_path / "link"])


def test_a_lock_ends_with_its_holder(tmp_path):
    code = "import sys, time; from pathlib import Path; from curriculum.store.lock import Lock\n"
    code += "lock = Lock(Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(InUseError):
            Lock(tmp_path)
        holder.kill()
    Lock(tmp_path).release()


def test_a_run_that_is_being_written_shows_a_prefix_of_itself(tmp_path):
    seen = []

    def read(event):
        run = Run(tmp_path / "run")
        if event.step % 9 == 0 and run.trained_steps:
            steps = run.trained_steps
            assert len(run.metrics) == 3 * steps
            assert run.snapshots.steps.tolist() == list(range(0, steps, 7))
            assert run.traces["loss.hues.steps"].tolist() == list(range(steps))
            assert len(run.schedule) == steps
            assert all(event["step"] <= steps for event in run.events)
            seen.append(steps)

    checked = planned()
    train_stack(open_stack([checked], [tmp_path / "run"]), watch=[Hook(PreStep, read)], figures=False)
    assert set(seen) >= {70, 210}


# the command line


@pytest.fixture
def files(empty):
    (empty / "s.csv").write_text(SHEET.format(last=4000).replace("ease", "").replace("150,", "2000,"))
    return empty


def started(*args, cwd, until):
    command = [str(Path(sys.executable).with_name("curriculum")), "train", "-d", "s.csv", "--seeds", "0:3", "--name", "r", *args]
    running = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not until() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return running


def test_killed_signalled_and_resumed_processes_come_to_the_same_result(here, files):
    assert here("train", "-d", "s.csv", "--seeds", "0:3", "--name", "whole").code == 0
    run = files / "runs" / "r"

    def checkpoints():
        return len(list(run.glob("checkpoint-*.json")))

    killed = started(cwd=files, until=run.is_dir)
    killed.send_signal(signal.SIGUSR1)
    while not checkpoints():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    before = checkpoints()
    assert {one["name"]: one["status"] for one in json.loads(here("runs", "--json").out)}["r"] == "killed"
    second = started(cwd=files, until=lambda: json.loads((run / "run.json").read_text())["status"] == "running" and checkpoints() >= before)
    second.send_signal(signal.SIGTERM)
    _, err = second.communicate(timeout=60)
    if second.returncode != 143:  # it may have been asked before it listened
        assert second.returncode == -signal.SIGTERM, err
    else:
        assert "to resume: curriculum train --resume r" in err.splitlines()[-1]
    outcome = here("train", "--resume", "r")
    assert outcome.code == 0, outcome.err
    assert "resuming runs/r from step " in outcome.err
    assert_same(run, files / "runs" / "whole")
    again = here("train", "--resume", "r")
    assert (again.code, again.out) == (2, "")
    assert "it has no steps left to train" in again.err


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ("train", "--dopesheet"),
        ("train --resume a --name b", "--name"),
        ("train --resume a --fork b --at 3", "--fork"),
        ("train -d smooth --fork a --at 3 --accept-changed-code", "--accept-changed-code is for runs that resume"),
        ("train -d smooth --fork a", "--at STEP"),
        ("train -d smooth --at 3", "--fork RUN"),
        ("train --resume aa", "did you mean 'a'?"),
        ("train --resume a", "it has no steps left to train"),
        ("train -d smooth --fork a --at 41", "it has trained only 40 steps"),
        ("train -d stepped --fork a --at 30", "at step 11 lr is"),
        ("train -d smooth --fork a --at 30 --set task.hidden=8", "task.hidden = 8, was 16"),
        ("verify aa", "did you mean 'a'?"),
    ],
)
def test_what_cannot_be_resumed_or_forked_is_refused(here, bench, tree, args, text):
    before = tree(bench)
    outcome = here(*args.split())
    assert (outcome.code, outcome.out) == (2, ""), outcome
    assert text in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert tree(bench) == before


@pytest.mark.parametrize("rest", ["300,,,0.002,,,,,", "300,,,0.002,,,,,\n420,,,,,,,,"], ids=["as long", "longer"])
def test_a_fork_is_what_its_sheet_gives_from_the_start(here, files, rest):
    until = SHEET.replace("ease", "").replace("{last},,,0.001", "200,,,0.005")
    (files / "old.csv").write_text(until + "300,,,0.001,,,,,\n")
    (files / "new.csv").write_text(until + rest + "\n")
    record = ("--set", "record.checkpoint_every=70", "--set", "record.snapshot_every=7")
    assert here("train", "-d", "old.csv", "--name", "old", *record).code == 0
    made = here("train", "--fork", "old", "--at", 200, "-d", "new.csv", "--name", "forked")
    assert made.code == 0, made.err
    assert here("train", "-d", "new.csv", "--name", "scratch", *record).code == 0
    assert_same(files / "runs" / "forked", files / "runs" / "scratch")
    fork = Run(files / "runs" / "forked").manifest["fork"]
    assert (fork["run"], fork["at"]) == ("old", 200)
    assert fork["from"] == 140


# verify


def test_a_good_run_is_verified_and_trained_again(here, whole):
    outcome = here("verify", "0-3", "--replay", "120", "--runs", whole)
    assert outcome.code == 0, outcome.err
    assert "steps 140 to 259 retrained" in outcome.out
    assert here("verify", "0", "--replay", "1000", "--runs", whole).code == 0


def test_a_change_to_any_stored_file_is_found(here, whole, tmp_path):
    for file in sorted(path for path in (whole / "0").iterdir() if path.is_file()):
        shutil.rmtree(tmp_path / "0", ignore_errors=True)
        shutil.copytree(whole / "0", tmp_path / "0")
        damage(tmp_path / "0" / file.name)
        outcome = here("verify", "0", "--runs", tmp_path)
        assert outcome.code == 3, file.name
        assert file.name in outcome.err


def test_numbers_that_training_does_not_give_are_found(here, whole, tmp_path):
    """They are stored with the right hashes, as a wrong machine would store them."""
    from curriculum.store.files import digest_file, read_safetensors, sealed, to_safetensors

    shutil.copytree(whole / "0-3", tmp_path / "0-3")
    path = tmp_path / "0-3"
    arrays = {name: value.copy() for name, value in read_safetensors(path / "traces.safetensors").items()}
    arrays["loss.hues"][200, 1] = np.nextafter(arrays["loss.hues"][200, 1], np.float32(1))
    (path / "traces.safetensors").write_bytes(to_safetensors(arrays))
    manifest = json.loads((path / "run.json").read_text())
    manifest["files"]["traces.safetensors"] = digest_file(path / "traces.safetensors")
    (path / "run.json").write_text(json.dumps(sealed(manifest)))
    assert here("verify", "0-3", "--runs", tmp_path).code == 0
    outcome = here("verify", "0-3", "--replay", "150", "--runs", tmp_path)
    assert outcome.code == 3
    assert "loss.hues differs at 1 places, first at step 200" in outcome.err


def test_the_arms_of_a_stack_are_verified_together(here, question, tmp_path):
    run_study(question(tmp_path / "runs"), execute_all)
    args = ("verify", "question/b", "--replay", "100", "--runs", tmp_path / "runs")
    assert here(*args).code == 0
    shutil.rmtree(tmp_path / "runs" / "question" / "a")
    outcome = here(*args)
    assert outcome.code == 1
    assert "as one stack with 'a'" in outcome.err


def test_a_stopped_run_is_verified_too(here, stopped):
    outcome = here("verify", "run", "--replay", "60", "--runs", stopped.parent)
    assert outcome.code == 0, outcome.err
    assert "303 rows of metrics: 101 steps of 3 seed(s)" in outcome.out


def test_checkpoints_are_thinned_and_the_newest_are_kept(tmp_path):
    from curriculum.store.checkpoint import MOST_KEPT, steps_in, store

    record = {"chunk": None, "trained": 0, "seconds": 0.0, "events": {"size": 0, "hash": ""}, "parts": {}, "diverged": {}}
    for step in range(10, 1010, 10):
        store(tmp_path, {**record, "step": step}, {"flat": torch.zeros(1, 2).numpy()})
    steps = steps_in(tmp_path)
    assert len(steps) == MOST_KEPT
    assert steps[-2:] == [990, 1000]
    assert max(np.diff([0, *steps])) <= 400
