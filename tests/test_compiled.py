"""Compiled training: the same numbers up to rounding, the same bits after an interruption, and what is said where it is impossible."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from curriculum import Retarget, on, run
from curriculum.compiled import cache, stretches
from curriculum.compiled.stretches import Compiling
from curriculum.errors import InputError, RunError
from curriculum.runner.execute import execute, execute_all, train_stack
from curriculum.runner.opening import open_stack
from curriculum.runner.plan import plan
from curriculum.runner.signals import Signals
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run
from curriculum.store.writer import to_json
from curriculum.train.events import Chunk, PhaseEnd, PreStep, StepMetrics
from curriculum.train.hooks import Hook

OWN = Path(__file__).with_name("own") / "variants.py"
SHEET = "STEP,PHASE,lr,loss\n0,first,0.02,1\n70,second,0.01,1\n100,,0.01,1\n"
needs_compiler = pytest.mark.skipif(not stretches.has_compiler(), reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def shared_cache(monkeypatch, tmp_path_factory):
    """Keep what is built for all tests, whichever process runs them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "compiled-steps"
    monkeypatch.setenv(cache.FOLDER, str(folder))
    return folder


def config(tmp_path: Path, kind: str, more: str = "") -> Path:
    path = tmp_path / f"{kind}.yaml"
    path.write_text(f"task: {{name: {OWN}:{kind}}}\nseeds: 0:3\nrecord: {{checkpoint_every: 20}}\n{more}\n")
    return path


def losses(path):
    table = Run(path).metrics.sort_values(["step", "seed"])
    return table["total"].to_numpy().reshape(-1, 3)


class Stop(Signals):
    """Asks to stop once so many steps are trained, as Ctrl-C would in that moment."""

    def __init__(self, step):
        super().__init__()
        self.hook = Hook(Chunk, self.look)
        self.step = step

    def look(self, event):
        if event.step + 1 >= self.step:
            self._stop = signal.SIGINT


@needs_compiler
def test_compiled_steps_give_the_same_numbers_and_the_same_bits_after_an_interruption(tmp_path, here, monkeypatch):
    path, runs = config(tmp_path, "Plain"), tmp_path / "runs"
    (tmp_path / "a.csv").write_text(SHEET)
    where = ["--runs", runs, "--config", path, "--dopesheet", tmp_path / "a.csv"]
    begun = here("train", *where, "--name", "whole", "--compile", "on")
    assert begun.code == 0, begun.err
    assert here("train", *where, "--name", "plain", "--compile", "off").code == 0
    whole, plain = Run(runs / "whole"), Run(runs / "plain")
    assert (whole.manifest["compile"], plain.manifest["compile"]) == ("on", "off")
    first, second = losses(whole.path), losses(plain.path)
    np.testing.assert_allclose(first, second, rtol=1e-5)
    assert not np.array_equal(first, second)  # else nothing was compiled
    monkeypatch.setattr(cache, "_build", None)  # everything is built
    checked = plan(path, tmp_path / "a.csv", overrides=["compile=on"])
    stop = Stop(35)
    with pytest.raises(KeyboardInterrupt):
        train_stack(open_stack([checked], [runs / "again"]), watch=[stop.hook], signals=stop)
    assert 35 <= Run(runs / "again").trained_steps < 101
    resumed = here("train", "--runs", runs, "--resume", "again")
    assert resumed.code == 0, resumed.err
    again = Run(runs / "again")
    for name in ("metrics.parquet", "model.safetensors", "traces.safetensors"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    for name in ("whole", "again"):
        found = here("verify", "--runs", runs, "--replay", 50, name)
        assert found.code == 0, found.err


@needs_compiler
def test_a_retarget_in_a_compiled_run_is_trained_and_replayed(tmp_path, here):
    @on(PhaseEnd)
    def ease(event):
        return Retarget("lr", 0.001, 20) if event.phase.name == "first" else None

    path = config(tmp_path, "Plain")
    ended = {}
    for way in ("on", "off"):
        checked = plan(path, parse(SHEET), hooks=[ease], overrides=[f"compile={way}"])
        ended[way] = execute(checked, tmp_path / "runs" / way)
    np.testing.assert_allclose(losses(tmp_path / "runs" / "on"), losses(tmp_path / "runs" / "off"), rtol=1e-4)
    found = here("verify", "--runs", tmp_path / "runs", "--replay", 90, "on")
    assert found.code == 0, found.err


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        *((kind, "{name: adamw, weight_decay: 0.1}") for kind in ("Dropping", "Noisy", "Conv", "Normed", "Surgery")),
        ("Plain", "{name: sgd, momentum: 0.8, nesterov: true}"),
        ("Plain", "{name: adam, on_nonfinite: skip}"),
        ("Plain", "{name: adam, eps_placement: keras}"),
    ],
)
def test_any_task_and_optimizer_gives_the_same_numbers_compiled(tmp_path, kind, optimizer):
    terms, weights = ("left,right", "1,1") if kind == "Surgery" else ("loss", "1")
    sheet = parse(f"STEP,lr,{terms}\n0,0.02,{weights}\n60,0.01,{weights}\n")
    said, found = [], {}
    for way in ("on", "off"):
        checked = plan(config(tmp_path, kind, f"optimizer: {optimizer}"), sheet, overrides=[f"compile={way}"])
        (found[way],) = train_stack(open_stack([checked], [tmp_path / "runs" / way]), figures=False, tell=said.append)
    assert [line for line in said if "cannot" in line] == []
    np.testing.assert_allclose(losses(tmp_path / "runs" / "on"), losses(tmp_path / "runs" / "off"), rtol=2e-4)
    for name, values in found["off"].parameters.items():
        torch.testing.assert_close(found["on"].parameters[name], values, rtol=1e-2, atol=1e-3)


@needs_compiler
@pytest.mark.slow
def test_arms_with_other_terms_and_a_capture_are_trained_compiled(tmp_path):
    sheets = {
        "a": "0,Primary & secondary,,0.01,1,0.1,0,1,0.5\n60,All hues,anchor,,,,0.5,,\n160,,,,1,,,,\n",
        "b": "0,Primary & secondary,,0.01,1,0,0,1,0.5\n60,All hues,anchor,,,,0.1,,\n160,,,,1,,,,\n",
    }
    columns = "STEP,PHASE,ACTION,lr,loss-recon,reg-norm,reg-anchor,data-hues,data-vibrancies\n"
    folders = {}
    for way in ("on", "off"):
        plans = [plan("ex-1.6", parse(columns + sheet), seeds="0:3", overrides=[f"compile={way}"]) for sheet in sheets.values()]
        folders[way] = [tmp_path / way / name for name in sheets]
        execute_all(plans, folders[way], figures=False)
    for first, second in zip(*folders.values(), strict=True):
        np.testing.assert_allclose(losses(first)[:100], losses(second)[:100], rtol=1e-3)
        assert not np.array_equal(losses(first), losses(second))


@needs_compiler
def test_a_seed_that_diverges_is_frozen_and_named_in_compiled_steps_as_in_others(tmp_path, shared_cache):
    sheet = parse(SHEET.replace("0,first,0.02", "0,first,1e38"))
    ended = {}
    for way in ("on", "off"):
        with pytest.raises(Exception, match="not finite at step") as error:
            run(config(tmp_path, "Plain"), sheet, overrides=[f"compile={way}"], folder=tmp_path / way)
        ended[way] = str(error.value)
    assert ended["on"] == ended["off"]


# What cannot be compiled, or is not worth it


def told(tmp_path, kind, more="", hooks=(), way="on", folder=None):
    said = []
    checked = plan(config(tmp_path, kind, more), parse(SHEET), overrides=[f"compile={way}"], hooks=hooks)
    train_stack(open_stack([checked], [folder]), tell=said.append)
    return said


def test_what_cannot_be_compiled_is_said_in_one_line_and_trained(tmp_path):
    (line,) = told(tmp_path, "Branching", "stack: off")
    assert line.startswith("the training step cannot be compiled, and is trained as it is: with stack: off")


def test_a_step_that_gives_other_numbers_once_compiled_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(stretches, "MOVED_APART", -1.0)
    monkeypatch.setattr(stretches, "_BUILT", {})
    (line,) = [line for line in told(tmp_path, "Plain", folder=tmp_path / "run") if "cannot" in line]
    assert line.endswith("it gives other numbers once it is compiled")


@pytest.mark.slow
def test_a_library_that_cannot_be_built_is_said_with_the_reason_and_where_to_read_on(tmp_path, monkeypatch, shared_cache):
    monkeypatch.setattr(cache, "_machine", lambda: "another machine")
    monkeypatch.setenv("CXX", "/bin/false")
    line = told(tmp_path, "Plain")[-1]
    assert "cannot be compiled" in line
    log = Path(line.rpartition("all of it: ")[2].rstrip(")"))
    assert log.name == "build.log"
    written = log.stat().st_mtime_ns
    assert told(tmp_path, "Plain")[-1] == line
    assert log.stat().st_mtime_ns == written  # what failed is not tried anew by every run
    shutil.rmtree(log.parent)


EXPONENTIAL = """
import torch
from variants import Plain


class Exponential(Plain):
    def losses(self, model, batch):
        found = super().losses(model, batch)
        weight = model[0].weight
        return {**found, "loss": found["loss"] + torch.linalg.matrix_exp(weight @ weight.T).mean() / 1000}
"""


@needs_compiler
@pytest.mark.slow
def test_an_operation_that_has_no_compiled_form_is_said_and_trained_as_it_is(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(OWN.parent))
    (tmp_path / "exponential.py").write_text(EXPONENTIAL)
    path = tmp_path / "exponential.yaml"
    path.write_text(f"task: {{name: {tmp_path}/exponential.py:Exponential}}\nseeds: 0:3\ncompile: on\n")
    said = []
    (result,) = train_stack(open_stack([plan(path, parse(SHEET))], [None]), tell=said.append)
    assert result.status == "finished"
    assert "it uses an operation that has no compiled form" in said[-1]


def test_a_hook_that_looks_at_each_step_is_asked_at_each_step_and_the_run_is_replayed_as_it_was_trained(tmp_path, here):
    for kind in (PreStep, StepMetrics):
        seen, runs = [], tmp_path / kind.kind
        hooks = [Hook(kind, lambda event, seen=seen: seen.append(event.step))]
        assert told(tmp_path, "Plain", hooks=hooks, folder=runs / "a") == []
        assert seen == list(range(101))
        assert Run(runs / "a").manifest["compile"] == "off"
        found = here("verify", "--runs", runs, "--replay", 50, "a")
        assert found.code == 0, found.err


def test_a_short_training_is_not_even_traced_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(stretches, "trace", None)
    assert told(tmp_path, "Plain", way="auto") == []


def test_auto_compiles_what_is_long_enough_whatever_the_clock_says(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Compiling, "_leave", lambda self, why: seen.append(why))
    monkeypatch.setattr(stretches, "found_or_built", _no_library)
    monkeypatch.setattr(stretches, "FEWEST", 10)
    assert told(tmp_path, "Plain", way="auto", folder=tmp_path / "run") == []
    assert set(seen) == {stretches.NOT_WORTH_IT} == set(Run(tmp_path / "run").manifest["compiled"].values())
    seen.clear()
    monkeypatch.setattr(stretches, "BUILDING", 0.0)
    monkeypatch.setattr(stretches, "CALL_BUILDS", 0.0)
    told(tmp_path, "Plain", way="auto")
    assert set(seen) == {"no library here"}


def _no_library(text, described, before, meanwhile):
    raise cache.UnbuiltError("no library here")


def cut_off(path, step=20):
    """Begin a run that is to be compiled, and stop it."""
    stop = Stop(step)
    checked = plan(config(path.parent, "Plain"), parse(SHEET), overrides=["compile=on"])
    with pytest.raises(KeyboardInterrupt):
        train_stack(open_stack([checked], [path]), watch=[stop.hook], signals=stop)
    return checked


def test_what_could_not_be_compiled_stays_so_when_a_run_is_resumed_and_replayed_where_it_can(tmp_path, monkeypatch, here):
    monkeypatch.setattr(stretches, "_BUILT", {})
    with monkeypatch.context() as patched:
        patched.setattr(stretches, "found_or_built", _no_library)
        patched.setattr(stretches, "has_compiler", lambda: True)
        cut_off(tmp_path / "one")
        execute(plan(config(tmp_path, "Plain"), parse(SHEET), overrides=["compile=on"]), tmp_path / "whole")
    assert set(Run(tmp_path / "one").manifest["compiled"].values()) == {"no library here"}
    monkeypatch.setattr(stretches, "found_or_built", None)  # which would be called now
    monkeypatch.setattr(stretches, "has_compiler", lambda: False)
    resumed = here("train", "--runs", tmp_path, "--resume", "one")
    assert resumed.code == 0, resumed.err
    assert "is trained as it is: no library here" in resumed.err
    for name in ("metrics.parquet", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert here("verify", "--runs", tmp_path, "--replay", 50, "one").code == 0


@needs_compiler
def test_a_run_that_was_begun_compiled_is_not_gone_on_with_where_its_step_cannot_be(tmp_path, monkeypatch, here):
    cut_off(tmp_path / "one")
    assert set(Run(tmp_path / "one").manifest["compiled"].values()) == {True}
    with monkeypatch.context() as patched:
        patched.setattr(stretches, "_BUILT", {})
        patched.setattr(stretches, "found_or_built", _no_library)
        before = Run(tmp_path / "one").trained_steps
        refused = here("train", "--runs", tmp_path, "--resume", "one")
        assert refused.code == 2
        assert "was begun by compiled code, but here its step cannot be compiled: no library here; go on where it was begun" in refused.err
        assert Run(tmp_path / "one").trained_steps == before
    # It has lost nothing. Its code is not compared again, amid a training in which rounding may have grown.
    monkeypatch.setattr(stretches, "_BUILT", {})
    monkeypatch.setattr(stretches, "_agree", lambda *given: False)
    assert here("train", "--runs", tmp_path, "--resume", "one").code == 0


@needs_compiler
@pytest.mark.parametrize("way", ["on", "auto"])
def test_a_fork_is_trained_as_its_run_was(tmp_path, monkeypatch, here, way):
    (tmp_path / "a.csv").write_text(SHEET)
    where = ["--runs", tmp_path, "--config", config(tmp_path, "Plain"), "--dopesheet", tmp_path / "a.csv", "--compile", way]
    with monkeypatch.context() as patched:
        patched.setattr(stretches, "FEWEST", 10)
        patched.setattr(stretches, "MARGIN", 0.0)
        assert here("train", *where, "--name", "whole").code == 0
    assert set(Run(tmp_path / "whole").manifest["compiled"].values()) == {True}
    # As if the fork's sheet had so few steps that it is no longer worth it.
    forked = here("train", *where, "--fork", "whole", "--at", 50, "--name", "forked")
    assert forked.code == 0, forked.err
    for name in ("metrics.parquet", "model.safetensors"):
        assert (tmp_path / "forked" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert Run(tmp_path / "forked").manifest["compiled"] == Run(tmp_path / "whole").manifest["compiled"]


@needs_compiler
def test_a_phase_that_is_too_short_to_be_compiled_is_replayed_and_forked_as_it_was_where_a_later_one_is_long(tmp_path, monkeypatch, here):
    (tmp_path / "a.csv").write_text(SHEET.replace("70,", "30,"))
    where = ["--runs", tmp_path, "--config", config(tmp_path, "Plain"), "--dopesheet", tmp_path / "a.csv", "--compile", "auto"]
    with monkeypatch.context() as patched:
        patched.setattr(stretches, "FEWEST", 50)
        patched.setattr(stretches, "MARGIN", 0.0)
        assert here("train", *where, "--name", "whole").code == 0
        assert len(Run(tmp_path / "whole").manifest["compiled"]) == 1
        patched.setattr(stretches, "FEWEST", 10)  # as if a fork's first phase were longer
        assert here("train", *where, "--fork", "whole", "--at", 25, "--name", "forked").code == 0
    assert Run(tmp_path / "forked").manifest["compile"] == "held"
    for name in ("metrics.parquet", "model.safetensors"):
        assert (tmp_path / "forked" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for name in ("whole", "forked"):
        found = here("verify", "--runs", tmp_path, "--replay", 95, name)
        assert found.code == 0, found.err


@needs_compiler
def test_a_hook_on_each_step_is_refused_where_a_run_was_begun_compiled(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(stretches, "FEWEST", 10)
        patched.setattr(stretches, "MARGIN", 0.0)
        stop = Stop(20)
        checked = plan(config(tmp_path, "Plain"), parse(SHEET), overrides=["compile=auto"])
        with pytest.raises(KeyboardInterrupt):
            train_stack(open_stack([checked], [tmp_path / "one"]), watch=[stop.hook], signals=stop)
    with pytest.raises(InputError, match="begun by compiled steps"):
        train_stack(open_stack([checked], [tmp_path / "one"]), watch=[Hook(PreStep, lambda event: None)])
    assert Run(tmp_path / "one").manifest["compile"] == "auto"


@needs_compiler
def test_what_one_arm_was_told_holds_for_its_stack(tmp_path):
    plans = [plan(config(tmp_path, "Plain"), parse(SHEET), overrides=["compile=on"]) for _ in range(2)]
    stop = Stop(20)
    with pytest.raises(KeyboardInterrupt):
        train_stack(open_stack(plans, [tmp_path / "a", tmp_path / "b"]), watch=[stop.hook], signals=stop)
    decided = Run(tmp_path / "a").manifest["compiled"]
    change(tmp_path / "a" / "run.json", compiled={})  # as a kill between the two leaves it
    stack = open_stack(plans, [tmp_path / "a", tmp_path / "b"])
    stack.release()
    assert stack.decided == decided == Run(tmp_path / "a").manifest["compiled"]
    change(tmp_path / "a" / "run.json", compiled=dict.fromkeys(decided, "no library"))
    with pytest.raises(RunError, match="is damaged: whether its steps were compiled"):
        open_stack(plans, [tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(("name", "value"), [("compile", "maybe"), ("compiled", [1]), ("at_once", "x"), ("flush_denormals", "yes")])
def test_how_a_run_was_trained_is_checked_when_it_is_read(tmp_path, name, value):
    told(tmp_path, "Plain", way="off", folder=tmp_path / "run")
    change(tmp_path / "run" / "run.json", **{name: value})
    with pytest.raises(RunError, match=f"run.json: {name}"):
        Run(tmp_path / "run")


def change(path: Path, **more):
    path.write_text(to_json({**json.loads(path.read_text()), **more}))


def test_without_a_compiler_a_run_is_begun_as_it_is_and_a_compiled_one_is_not_resumed(tmp_path, monkeypatch, here):
    runs, path = tmp_path / "runs", config(tmp_path, "Plain")
    monkeypatch.setattr(stretches, "has_compiler", lambda: True)
    runs.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Compiling, "find", lambda *given: None)  # one whose compiled phase is still to come
        cut_off(runs / "one")
    monkeypatch.setattr(stretches, "has_compiler", lambda: False)
    before = json.loads((runs / "one" / "run.json").read_text())
    refused = here("train", "--runs", runs, "--resume", "one")
    assert refused.code == 2
    assert "no C++ compiler was found: install g++" in refused.err
    assert json.loads((runs / "one" / "run.json").read_text())["trained"] == before["trained"]
    execute(plan(path, parse(SHEET), overrides=["compile=on"]), runs / "two")
    assert Run(runs / "two").manifest["compile"] == "off"


def test_arms_of_one_stack_are_compiled_together_or_not_at_all(tmp_path):
    plans = [plan(config(tmp_path, "Plain"), parse(SHEET), overrides=[f"compile={way}"]) for way in ("on", "off")]
    with pytest.raises(InputError, match="compile"):
        open_stack(plans, [tmp_path / "a", tmp_path / "b"])


@needs_compiler
def test_ctrl_c_ends_the_compiler_and_the_next_run_builds_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(stretches, "_BUILT", {})
    stop = Signals()
    path, tried = config(tmp_path, "Plain"), []

    def press(message):
        tried.append(message)
        stop._asked_to_stop(signal.SIGINT, None)

    checked = plan(path, parse(SHEET), overrides=["compile=on"])
    with pytest.raises(KeyboardInterrupt, match="while a training step was being compiled"):
        train_stack(open_stack([checked], [tmp_path / "runs" / "a"]), tell=press, signals=stop)
    assert Run(tmp_path / "runs" / "a").status == "interrupted"
    (folder,) = cache.cache_folder().iterdir()
    assert not (folder / "loop.so").exists()
    assert not (folder / "failed").exists()
    monkeypatch.setattr(cache, "_check_failed", None)
    with pytest.raises(TypeError):  # it would build again
        train_stack(open_stack([checked], [tmp_path / "runs" / "a"]))
    assert len(tried) == 1


def test_a_folder_for_libraries_that_cannot_be_written_is_named(tmp_path, monkeypatch, here):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "file"))
    (tmp_path / "a.csv").write_text(SHEET)
    monkeypatch.setattr(stretches, "has_compiler", lambda: True)
    monkeypatch.setattr(stretches, "_BUILT", {})
    path = config(tmp_path, "Plain")
    refused = here("train", "--runs", tmp_path / "runs", "--config", path, "--dopesheet", tmp_path / "a.csv", "--compile", "on")
    assert refused.code == 2
    assert "cannot write to" in refused.err
    assert "--compile off" in refused.err


@needs_compiler
def test_a_compiler_that_is_killed_stops_the_training_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(stretches, "_BUILT", {})
    shell = tmp_path / "python"
    shell.write_text("#!/bin/sh\nkill -9 $$\n")
    shell.chmod(0o755)
    monkeypatch.setattr(cache.sys, "executable", str(shell))
    with pytest.raises(InputError, match="the compiler was killed by signal 9"):
        run(config(tmp_path, "Plain"), parse(SHEET), overrides=["compile=on"], folder=tmp_path / "runs")
    (folder,) = cache.cache_folder().iterdir()
    assert not (folder / "loop.so").exists()
    assert not (folder / "failed").exists()
