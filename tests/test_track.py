"""A training loop of a user's own is tracked: what it logs is stored as it came, and judged like any run."""
# ruff: noqa: PT012 (what ends a loop with an error is the loop, not a single statement)

import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from curriculum import track
from curriculum.draw.plots.losses import logged
from curriculum.errors import InputError, InUseError, RunError
from curriculum.measure.comparison import compare
from curriculum.runner.track_state import decode, encode
from curriculum.runner.track_values import take
from curriculum.store import files
from curriculum.store.joining import join
from curriculum.store.reader import Run
from curriculum.store.verify import verify_run
from curriculum.train.scores import Score

SHEET = "STEP,PHASE,ACTION,lr,mix\n0,warm up,,0.01,0\n40,main,note,0.05,1\n99,,,0.001,\n"
LONG = "STEP,lr\n0,0.01\n1999,0.001\n"
METRICS = {"accuracy": "higher", "error": {"better": "lower", "smallest": 0.01}}


@pytest.fixture
def place(empty: Path) -> Path:
    """Work in a new folder with the sheets `a.csv` and `b.csv`."""
    (empty / "a.csv").write_text(SHEET)
    (empty / "b.csv").write_text(SHEET.replace("0.05", "0.02"))
    (empty / "long.csv").write_text(LONG)
    return empty


def train(seed: int, path: str = "runs/mine", sheet: str = "a.csv", better: float = 0.0, **more) -> None:
    """Track a loop whose accuracy is about 0.9, and `better` than that."""
    with track(path, sheet=sheet, seed=seed, metrics=METRICS, **more) as run:
        rng = np.random.default_rng(run.seed)
        base = 0.9 + 0.01 * rng.normal()
        for step, now in run.steps():
            run.log(loss=math.exp(-step * now["lr"]))
            if step % 20 == 19:
                run.log(accuracy=base + better + 0.001 * rng.normal(), error=1 - base)


def test_what_is_logged_is_stored_at_its_own_steps_and_seeds_fill_one_run(place):
    for seed in (3, 0):
        train(seed)
    run = Run(Path("runs/mine"))
    assert (run.status, run.seeds, run.trained_steps) == ("finished", (0, 3), 100)
    np.testing.assert_array_equal(run.traces["score.accuracy.logged.steps"], [19, 39, 59, 79, 99])
    assert run.traces["score.accuracy.logged"].shape == (5, 2)
    steps, losses = run.losses(1)
    np.testing.assert_array_equal(steps, range(100))
    expected = [math.exp(-step * run.schedule.at(step)["lr"]) for step in range(100)]
    np.testing.assert_array_equal(run.metrics[run.metrics["seed"] == 3]["total"], expected)
    np.testing.assert_allclose(losses["total"], expected, rtol=1e-6)
    assert [(event["event"], event["step"]) for event in run.events] == [("phase-start", 0), ("phase-start", 40), ("action", 40)]
    assert verify_run(run).problems == ()
    assert [block["seeds"] for block in run.manifest["blocks"]] == [[0], [3]]


def test_a_tracked_run_gets_a_verdict_a_video_and_a_check(place, here):
    for seed in range(8):
        train(seed)
        train(seed, "runs/other", "b.csv", better=-0.05)
    found = compare([Run(Path("runs/mine")), Run(Path("runs/other"))])
    sentences = [verdict.sentence(found.names) for verdict in found.verdicts]
    assert any(text.startswith("accuracy at the end: mine +5.0 points against other") and ": supported" in text for text in sentences)
    assert all(measure.id in ("accuracy", "error") for measure in found.measures)
    for command in (
        ("compare", "mine", "other"),
        ("compare", "mine", "other", "--full"),
        ("runs",),
        ("show", "mine"),
        ("verify", "mine"),
        ("animate", "mine", "other", "-o", "poster.png"),
    ):
        done = here(*command)
        assert done.code == 0, (command, done.err)
    pictures = {path.name for path in Path("runs/comparisons/mine-vs-other").glob("*.png")}
    assert pictures == {"bands.png", "effects.png", "losses.png", "schedules.png"}
    replayed = here("verify", "mine", "--replay", 5)
    assert replayed.code == 3
    assert "outside of this program" in replayed.err


def test_a_plain_loop_of_the_color_task_is_what_train_makes_of_it(place, here):
    """The schedule at every step, and the final error that a comparison finds."""
    from batches import batch_of
    from curriculum.measure.trace import final_error, scores_of
    from curriculum.runner.inputs import load_config
    from curriculum.sheet.parse import parse
    from curriculum.sheet.schedule import compile_sheet
    from curriculum.train.make import make_task

    text = (
        "STEP,PHASE,lr,loss-recon,reg-norm,data-hues,data-vibrancies\n"
        "0,Primary & secondary,0.001,1,0.1,0,0\n30,All hues,0.02,,0.02,0.5,1\n119,,0.001,,,1,\n"
    )
    Path("color.csv").write_text(text)
    trained = here("train", "-c", "ex-1.6", "-d", "color.csv", "--name", "trained", "--seeds", "5")
    assert trained.code == 0, trained.err
    task = make_task(load_config("ex-1.6"))
    schedule = compile_sheet(parse(text.encode(), "color.csv"))
    hues = next(probe for probe in task.probes() if probe.name == "hues").inputs
    seen = []
    with track("runs/tracked", sheet="color.csv", seed=5, metrics={"dex": "lower"}) as run:
        torch.manual_seed(run.seed)
        model = task.build()
        optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
        for step, now in run.steps():
            seen.append([now[name] for name in schedule.properties])
            with torch.no_grad():
                run.log(dex=math.log10(float((task.observe(model, hues).outputs - hues).square().mean())))
            for group in optimizer.param_groups:
                group["lr"] = now["lr"]
            drawn = {name: values[0, 0] for name, values in task.batches(schedule, range(step, step + 1), [run.seed]).items()}
            active = [name for name in task.terms if name in schedule.properties and now[name]]
            optimizer.zero_grad()
            terms = task.losses(model, batch_of(drawn, active))
            total = sum(now[name] * terms[name] for name in active)
            total.backward()
            optimizer.step()
            run.log(loss=total, **terms)
    ours, theirs = Run(Path("runs/tracked")), Run(Path("runs/trained"))
    np.testing.assert_allclose(seen, theirs.schedule.values, rtol=1e-12)
    (curve,) = scores_of(ours)
    assert curve.final(0) == pytest.approx(final_error(theirs, "hues", 0), abs=2e-4)
    np.testing.assert_allclose(ours.metrics["total"], theirs.metrics["total"], rtol=1e-3)


SCRIPT = textwrap.dedent(
    """
    import os, random, sys, time
    import numpy as np
    from curriculum import track

    class Model:
        def __init__(self):
            self.weight = np.zeros(3)
        def state_dict(self):
            return {"weight": self.weight}
        def load_state_dict(self, state):
            self.weight = state["weight"].copy()

    model = Model()
    with track("runs/mine", sheet="long.csv", seed=1, metrics={"error": "lower"}, checkpoint_every=50) as run:
        run.resume(model)
        for step, now in run.steps():
            if step == 0:
                random.seed(run.seed)
                np.random.seed(run.seed)
            model.weight = 0.99 * model.weight + now["lr"] * np.random.normal(size=3) + random.random()
            run.log(error=float(np.abs(model.weight).sum()))
            if step % 100 == 99:
                run.log(rare=step / 7)
            if run.due:
                run.checkpoint(model)
            if len(sys.argv) > 1:
                time.sleep(float(sys.argv[1]))
    """
)


def contents(path: Path) -> dict:
    """Read what was logged, but for times."""
    run = Run(path)
    assert run.status == "finished"
    return {"rows": run.metrics.to_dict("list"), "error": run.traces["score.error.logged"].tolist(), "steps": run.trained_steps}


def killed_at_random(folder: Path, kills: int, seed: int = 0) -> None:
    """Kill a tracked script at random instants; run it again until it ends, and compare with one that nobody killed."""
    rng = random.Random(seed)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "long.csv").write_text(LONG)
    subprocess.run([sys.executable, "script.py"], check=True, cwd=folder)
    whole = contents(folder / "runs" / "mine")
    (folder / "runs").rename(folder / "whole")
    path = folder / "runs" / "mine"
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "script.py", "0.0005"], cwd=folder, stderr=subprocess.DEVNULL)
        time.sleep(0.15 + rng.random() * 1.2)
        process.kill()
        process.wait()
        if path.exists():
            before = Run(path)
            block = path / "blocks" / "1"
            assert before.shown_status in ("killed", "finished")
            if block.exists() and Run(block).record is not None:
                assert len(Run(block).metrics) >= Run(block).trained_steps
            if before.status == "finished":
                break
    ended = subprocess.run([sys.executable, "script.py"], check=False, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert contents(path)["rows"] == whole["rows"] or str(contents(path)) == str(whole)
    assert verify_run(Run(path)).problems == ()


def test_a_script_killed_at_random_instants_resumes_to_the_same_numbers(place):
    killed_at_random(place, kills=2)


def test_a_script_killed_at_any_change_of_a_file_near_its_end_keeps_its_checkpoints(place):
    (place / "script.py").write_text(
        textwrap.dedent(
            """
            import os, sys
            import pandas, pyarrow.parquet, torch
            from curriculum import track

            model = torch.nn.Linear(1, 1)

            def train(name, left):
                def die(event, arguments):
                    nonlocal left
                    if event in ("os.rename", "os.remove", "os.truncate", "os.link"):
                        left -= 1
                        if left < 0:
                            os._exit(9)

                with track(f"runs/{name}", sheet="a.csv", seed=1, metrics={"error": "lower"}, checkpoint_every=20) as run:
                    run.resume(model)
                    for step, now in run.steps():
                        run.log(loss=now["lr"], error=1 / (step + 1))
                        if run.due:
                            run.checkpoint(model)
                        if step == 90:
                            sys.addaudithook(die)

            for changes in range(int(sys.argv[1])):
                if (child := os.fork()) == 0:
                    train(f"{changes}", changes)
                    os._exit(0)
                if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
                    break
            train("whole", 1000)
            """
        )
    )
    subprocess.run([sys.executable, "script.py", "200"], check=True, capture_output=True)
    whole = contents(Path("runs/whole"))
    killed = sorted(path for path in Path("runs").iterdir() if Run(path).shown_status == "killed")
    assert len(killed) > 10
    for path in killed:
        block = path / "blocks" / "1"
        if block.exists() and Run(block).record is not None:
            assert len(Run(block).metrics) == Run(block).trained_steps >= 80
        with track(path, sheet="a.csv", seed=1, metrics={"error": "lower"}, checkpoint_every=20) as run:
            assert run.done or run.resume(torch.nn.Linear(1, 1)) >= 80
            for step, now in run.steps():
                run.log(loss=now["lr"], error=1 / (step + 1))
        assert contents(path) == whole
        assert verify_run(Run(path)).problems == ()


@pytest.mark.parametrize("steps", [100, 60])
def test_a_seed_killed_between_its_last_checkpoint_and_its_end_is_finished_by_the_next_start(place, capsys, steps):
    script = """
    import os, torch
    from curriculum import track
    model = torch.nn.Linear(1, 1)
    with track("runs/mine", sheet="a.csv", seed=1, metrics={"error": "lower"}, checkpoint_every=20) as run:
        for step in range(run.resume(model), STEPS):
            now = run.at(step)
            run.log(loss=now["lr"] + now["mix"])
            if run.due:
                run.checkpoint(model)
        if not os.environ.get("AGAIN"):
            os._exit(9)
        run.log(error=0.5)
    """
    (place / "script.py").write_text(textwrap.dedent(script).replace("STEPS", str(steps)))
    assert subprocess.run([sys.executable, "script.py"], check=False).returncode == 9
    assert Run(Path("runs/mine")).shown_status == "killed"
    again = subprocess.run([sys.executable, "script.py"], check=True, env={**os.environ, "AGAIN": "1"}, capture_output=True, text=True)
    assert again.stderr.strip() == f"curriculum: runs/mine: seed 1 resumes from step {steps} of 100"
    run = Run(Path("runs/mine"))
    assert (run.status, run.trained_steps, len(run.losses()[0])) == ("finished", steps, steps)
    assert run.traces["score.error.logged"].tolist() == [[0.5]]
    assert verify_run(run).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_scripts_killed_fifty_times_lose_nothing(place, seed):
    killed_at_random(place, kills=5, seed=seed)


def test_many_processes_fill_one_run_at_once(place):
    (place / "script.py").write_text(SCRIPT.replace("seed=1, ", ""))
    running = [
        subprocess.Popen([sys.executable, "script.py"], env={**os.environ, "CURRICULUM_SEED": str(seed), "CURRICULUM_SHEET": "a.csv"})
        for seed in range(6)
    ]
    assert [process.wait() for process in running] == [0] * 6
    run = Run(Path("runs/mine"))
    assert run.seeds == tuple(range(6))
    assert run.manifest["sheet"] == "a.csv"
    assert verify_run(run).problems == ()
    assert run.open_blocks == ()


def test_nothing_is_imported_that_is_slow(place):
    code = "import sys; from curriculum import track\nwith track('runs/x', sheet='a.csv') as r:\n for s, n in r.steps(): r.log(loss=1.0)\n"
    code += "assert not {'torch', 'matplotlib', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_that_is_not_whole_says_so(place, here):
    train(0)
    other = track("runs/mine", sheet="a.csv", seed=1, metrics=METRICS)
    next(other.__enter__().steps())
    assert "1 of 2 seeds is still training (seed 1)" in here("runs").err
    with pytest.raises(InUseError, match=rf"seed 1 is being trained by another process \(process {os.getpid()} on"):
        track("runs/mine", sheet="a.csv", seed=1, metrics=METRICS)
    with pytest.raises(ValueError, match="mine"), other:
        raise ValueError("a mistake of mine")
    assert "1 of 2 seeds was stopped before its end (seed 1)" in here("show", "mine").err
    assert Run(Path("runs/mine")).seeds == (0,)
    train(1)
    assert Run(Path("runs/mine")).seeds == (0, 1)
    assert "seeds" not in here("runs").err


def test_a_seed_that_was_trained_has_no_steps_left(place, capfd):
    train(0)
    train(0)
    assert "seed 0 has been trained already: nothing to do" in capfd.readouterr().err
    with track("runs/mine", sheet="a.csv", seed=0, metrics=METRICS) as run:
        assert run.done
        assert list(run.steps()) == []
        run.log(loss=1.0)
        assert not run.due
    assert verify_run(Run(Path("runs/mine"))).problems == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.9", "'accuracy' is not a number: it is str '0.9'"),
        (np.zeros(3), r"it is an array of shape \[3\]"),
        (torch.zeros(2, 1), r"it is a tensor of shape \[2, 1\]; log its mean"),
        (None, "it is None"),
        ([0.5], "it is list"),
    ],
)
def test_what_is_no_number_is_refused(place, value, said):
    with pytest.raises(InputError, match=said), track("runs/mine", sheet="a.csv", metrics=METRICS) as run:
        for _ in run.steps():
            run.log(accuracy=value)


def test_numbers_of_any_kind_are_taken_as_they_are():
    weight = torch.tensor([0.25], requires_grad=True)
    assert [take("x", value) for value in (1, True, 0.5, np.float32(0.5), np.array([2]), weight, torch.tensor(3))] == [
        1,
        1,
        0.5,
        0.5,
        2,
        0.25,
        3,
    ]
    assert math.isnan(take("x", torch.tensor(float("nan"))))


def test_mistakes_are_said_with_what_to_do(place):
    with pytest.raises(InputError, match=r"no sheet is given: pass sheet=\.\.\., or set CURRICULUM_SHEET"):
        track("runs/mine")
    with pytest.raises(InputError, match="say whether 'higher' or 'lower' is better, not 'up'"):
        track("runs/mine", sheet="a.csv", metrics={"accuracy": "up"})
    with pytest.raises(InputError, match="unknown setting 'beter', did you mean 'better'"):
        track("runs/mine", sheet="a.csv", metrics={"accuracy": {"beter": "higher"}})
    train(0)
    with pytest.raises(InputError, match=r"the sheet b.csv differs, first at line 3\. Choose another folder"):
        track("runs/mine", sheet="b.csv", seed=1, metrics=METRICS)
    with pytest.raises(InputError, match="the metric 'error' is not declared, was better lower"):
        track("runs/mine", sheet="a.csv", seed=1, metrics={"accuracy": "higher"})
    with pytest.raises(InputError, match=r"equal modulo 2\^32"):
        track("runs/mine", sheet="a.csv", seed=2**32, metrics=METRICS)
    run = track("runs/mine", sheet="a.csv", seed=1, metrics=METRICS)
    with pytest.raises(InputError, match="log was called before the first step"):
        run.log(loss=1.0)
    with run:
        run.at(5)
        with pytest.raises(InputError, match="step 4 comes after step 5: steps cannot go backwards"):
            run.at(4)
        with pytest.raises(InputError, match="cannot be named 'step'"):
            run.log(step=3)
        run.log(accuracy=0.5, error=0.5)
    with pytest.raises(InputError, match="log was called after the end of the run"):
        run.log(loss=1.0)
    with (
        pytest.raises(InputError, match="the metric 'error' is declared, but was never logged"),
        track("runs/mine", sheet="a.csv", seed=2, metrics=METRICS) as run,
    ):
        for _ in run.steps():
            run.log(accuracy=0.5)


def test_a_loss_that_is_no_number_is_recorded_and_the_seed_counts_as_diverged(place):
    with track("runs/mine", sheet="a.csv", metrics={"error": "lower"}) as run:
        for step, _ in run.steps():
            run.log(loss=math.nan if step >= 60 else 1.0, error=0.5 if step == 10 else math.inf if step > 90 else 0.25)
    found = Run(Path("runs/mine"))
    assert found.diverged == {0: "loss at step 60"}
    rows = found.metrics
    assert rows["total"].isna().sum() == 40
    assert math.isinf(rows["error"].iloc[-1])
    assert verify_run(found).problems == ()


def test_a_disk_that_is_full_does_not_stop_training_but_is_said_at_once_and_at_the_end(place, monkeypatch, capfd):
    from curriculum.runner import track_recording

    monkeypatch.setattr(track_recording, "FLUSH_SECONDS", 0.0)
    real, broken = files.os.replace, {"now": False}

    def replace(source, target):
        if broken["now"] and "metrics-" in str(target):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    seen = []
    with pytest.raises(RunError, match=r"seed 0: NOT RECORDED: .*No space left on device"), track("runs/mine", sheet="a.csv") as run:
        for step, _ in run.steps():
            broken["now"] = step > 50
            run.log(loss=step)
            seen.append(step)
    assert seen == list(range(100))
    said = capfd.readouterr().err
    assert said.count("ERROR: runs/mine, seed 0: NOT RECORDED since step 5") == 1
    assert "Training goes on" in said
    broken["now"] = False
    with track("runs/mine", sheet="a.csv") as run:
        for step, _ in run.steps():
            broken["now"] = 20 < step < 60
            run.log(loss=step)
    assert "recording works again at step 60" in capfd.readouterr().err
    assert Run(Path("runs/mine")).metrics["total"].tolist() == list(range(100))


def test_states_of_any_kind_come_back_as_they_were(tmp_path):
    states = {
        "a": {
            "x": torch.arange(6).reshape(2, 3).to(torch.bfloat16),
            "n": None,
            3: (1, 2.5, "t", True),
            "l": [math.inf, {"k": np.int64(4)}],
        },
        "b": {"scalar": torch.tensor(2.0), "array": np.arange(3), "empty": []},
    }
    found = decode(encode(states))
    assert found["a"]["x"].dtype == torch.bfloat16
    assert torch.equal(found["a"]["x"], states["a"]["x"])
    assert found["a"][3] == (1, 2.5, "t", True)
    assert found["a"]["l"] == [math.inf, {"k": 4}]
    assert found["b"]["scalar"].shape == ()
    np.testing.assert_array_equal(found["b"]["array"], [0, 1, 2])
    with pytest.raises(InputError, match=r"cannot store a\.hook in a checkpoint: it is a function"):
        encode({"a": {"hook": lambda: None}})


def test_training_with_pytorch_resumes_exactly(place):
    def loop(path: str, stop: int | None = None) -> list[float]:
        torch.manual_seed(3)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
        losses = []
        with track(path, sheet="a.csv", seed=3, metrics={"loss": "lower"}, checkpoint_every=10) as run:
            run.resume(model, optimizer, scheduler=scheduler)
            for step, now in run.steps():
                if step == stop:
                    raise KeyboardInterrupt
                for group in optimizer.param_groups:
                    group["weight_decay"] = now["mix"]
                loss = (model(torch.randn(16, 4)) - 1).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                run.log(loss=loss)
                losses.append(loss.item())
                if run.due:
                    run.checkpoint()
        return losses

    whole = loop("runs/whole")
    with pytest.raises(KeyboardInterrupt):
        loop("runs/cut", stop=47)
    rest = loop("runs/cut")
    assert rest == whole[-len(rest) :]
    assert len(rest) == 60
    assert Run(Path("runs/cut")).metrics.equals(Run(Path("runs/whole")).metrics)
    assert not [path for path in Path("runs").rglob("*") if path.suffix in (".pt", ".pkl", ".pth")]


def test_a_checkpoint_that_is_not_asked_for_is_named(place, capfd):
    weights = torch.nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError), track("runs/mine", sheet="a.csv", checkpoint_every=5) as run:
        for step, _ in run.steps():
            if run.due:
                run.checkpoint(weights)
            assert 1 / (step < 20)
    with track("runs/mine", sheet="a.csv") as run:
        steps = [step for step, _ in run.steps()]
    assert steps[0] == 0
    assert "its checkpoint of step 20 is not used, because resume was not called" in capfd.readouterr().err
    (place / "other.csv").write_text(SHEET)
    with pytest.raises(ZeroDivisionError), track("runs/b", sheet="a.csv", checkpoint_every=5) as run:
        for step, _ in run.steps():
            if run.due:
                run.checkpoint(weights)
            assert 1 / (step < 20)
    with (
        pytest.raises(InputError, match=r"its checkpoint has 1 object\(s\), but resume was called with 2 object\(s\)"),
        track("runs/b", sheet="a.csv") as run,
    ):
        run.resume(weights, weights)


def test_what_was_looked_at_moves_in_the_video(place, here):
    for path in ("runs/mine", "runs/other"):
        with track(path, sheet="a.csv") as run:
            for step, _ in run.steps():
                run.log(loss=1 / (1 + step))
                if step % 25 == 0:
                    run.look(hidden=torch.full((4, 2), float(step)), labels=[0, 1, 2, 3])
    found = Run(Path("runs/mine"))
    np.testing.assert_array_equal(found.traces["look.hidden.steps"], [0, 25, 50, 75])
    assert found.traces["look.hidden"].shape == (4, 1, 4, 2)
    assert found.traces["look.hidden"][2, 0, 0, 0] == 50
    made = here("animate", "mine", "other", "-o", "x.png", "--at", "60")
    assert made.code == 0, made.err
    assert "showing the last earlier step" in made.err
    refused = here("animate", "mine", "-o", "y.png", "--dims", "0,2")
    assert refused.code == 2
    assert "'hidden' has no dimension 2: it has 0 to 1" in refused.err
    assert verify_run(found).problems == ()


def test_seeds_that_logged_at_other_steps_keep_their_own_last_values(place):
    for seed, every in ((0, 10), (1, 30)):
        with track("runs/mine", sheet="a.csv", seed=seed, metrics={"error": "lower"}) as run:
            for step, _ in run.steps():
                if step % every == 0:
                    run.log(error=step + seed / 2)
    from curriculum.measure.trace import scores_of

    (curve,) = scores_of(Run(Path("runs/mine")))
    assert [curve.final(0), curve.final(1)] == [90.0, 90.5]
    assert verify_run(Run(Path("runs/mine"))).problems == ()


def test_a_score_declares_a_metric_in_full(place):
    with track("runs/mine", sheet="a.csv", metrics={"miou": Score("higher", "points", 100.0, 0.5)}) as run:
        for _ in run.steps():
            run.log({"miou": 0.5})
    stored = json.loads(Path("runs/mine/run.json").read_text())["look"]["scores"]
    assert stored["miou"].items() >= {"better": "higher", "unit": "points", "scale": 100.0, "smallest": 0.5}.items()


def test_a_process_that_dies_before_it_joins_loses_nothing(place, here):
    train(0)
    (place / "script.py").write_text(
        "import os, signal\nfrom curriculum.runner import track as module\n"
        "module.join = lambda path: os.kill(os.getpid(), signal.SIGKILL)\nfrom test_track import train\ntrain(1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    died = subprocess.run([sys.executable, "script.py"], env=environment, check=False)
    assert died.returncode == -signal.SIGKILL
    assert "1 of 2 seeds has finished, but is not joined (seed 1): curriculum join runs/mine" in here("runs").err
    assert join(Path("runs/mine")).added == (1,)
    assert verify_run(Run(Path("runs/mine"))).problems == ()


def test_a_sheet_without_a_learning_rate_and_one_from_python_are_tracked(place, here, capfd):
    from curriculum import Schedule

    for seed in range(2):
        for path, high in (("runs/mine", 1.0), ("runs/other", 0.5)):
            schedule = Schedule.from_values({"mix": lambda step, high=high: high * min(step, 20) / 20, "unused": 3.0}, steps=60)
            with track(path, sheet=schedule, seed=seed, metrics={"error": "lower"}) as run:
                for step, now in run.steps():
                    run.log(error=now["mix"] + step)
                    if step == 30:
                        run.retarget("mix", 0.0, 10)
    assert "nothing has read unused of the sheet" in capfd.readouterr().err
    found = Run(Path("runs/mine"))
    assert found.schedule.column("mix")[20] == 1.0
    assert found.schedule.column("mix")[45] == 0.0
    assert found.traces["score.error.logged"][45].tolist() == [45.0, 45.0]
    for command in (("compare", "mine", "other", "--full"), ("animate", "mine", "other", "-o", "poster.png"), ("verify", "mine")):
        done = here(*command)
        assert done.code == 0, done.err


def test_now_sets_the_optimizer_and_says_what_has_come_up(place):
    weights = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(weights.parameters(), lr=1.0)
    rates, actions = [], []
    with track("runs/mine", sheet="a.csv", checkpoint_every=7) as run:
        for step, now in run.steps():
            now.apply(optimizer)
            now.apply(optimizer)
            rates.append(optimizer.param_groups[0]["lr"])
            actions += [(step, name) for name in now.actions]
            assert now["mix"] <= 1
            run.log(loss=1.0)
            if run.due:
                run.checkpoint(weights, optimizer)
    np.testing.assert_allclose(rates, run.schedule.column("lr"), rtol=1e-12)
    assert actions == [(40, "note")]


def test_a_loop_outside_the_with_block_is_refused_before_it_trains(place):
    run = track("runs/mine", sheet="a.csv", metrics={"accuracy": "higher"})
    with pytest.raises(InputError, match=r"outside its `with` block: write `with run:` around the loop"):
        next(run.steps())
    with run:
        for _ in run.steps():
            run.log(accuracy=0.5)
    assert Run(Path("runs/mine")).status == "finished"


def test_a_step_past_the_end_of_the_sheet_is_refused_and_damages_nothing(place):
    with (
        pytest.raises(InputError, match=r"step 100 is past the end of the sheet a\.csv, whose last step is 99: "),
        track("runs/mine", sheet="a.csv", metrics={"accuracy": "higher"}) as run,
    ):
        run.at(99)
        run.log(accuracy=0.5)
        run.at(100)
    assert Run(Path("runs/mine/blocks/0")).status == "failed"


def test_mistakes_in_arguments_are_said_in_words(place):
    with pytest.raises(InputError, match=r"metrics must be a mapping such as \{'accuracy': 'higher'\}, not list"):
        track("runs/mine", sheet="a.csv", metrics=["accuracy"])
    with track("runs/mine", sheet="a.csv") as run:
        run.at(0)
        with pytest.raises(InputError, match="look: nothing to record: pass latents by name"):
            run.look()
        with pytest.raises(InputError, match="the value must be a finite number, not 'x'"):
            run.retarget("lr", "x", 5)
        with pytest.raises(InputError, match="an object of type int cannot be stored in a checkpoint"):
            run.checkpoint(3)
        with pytest.raises(InputError, match="the metric 'x' is not a number: it is None"):
            run.log(x=None)
        with pytest.raises(InputError, match="apply needs an optimizer with param_groups, not Linear"):
            run.at(0).apply(torch.nn.Linear(1, 1))


def test_a_metric_whose_higher_side_is_better_is_not_drawn_among_the_losses(place):
    train(0)
    _, values = logged(Run(Path("runs/mine")), 0)
    assert set(values) == {"total", "error"}
    with track("runs/only", sheet="a.csv", metrics={"accuracy": "higher"}) as run:
        for _ in run.steps():
            run.log(accuracy=0.5)
    _, values = logged(Run(Path("runs/only")), 0)
    assert set(values) == {"accuracy"}  # else there is nothing to draw


@pytest.mark.parametrize("kept", [(), ("b",)])
def test_runs_that_logged_nothing_are_compared_without_a_figure_of_losses(place, here, kept):
    for name in ("a", "b"):
        with track(f"runs/{name}", sheet=f"{name}.csv", seed=0) as run:
            for _ in run.steps():
                if name in kept:
                    run.log(loss=1.0)
    compared = here("compare", "a", "b")
    assert compared.code == 0, compared.err
    assert Path("runs/comparisons/a-vs-b/losses.png").exists() == bool(kept)
    assert Path("runs/comparisons/a-vs-b/schedules.png").exists()


@pytest.mark.parametrize("name", [["a", "b"], ["a"]])
def test_where_the_median_seed_logged_nothing_the_report_has_no_figure_of_its_losses(place, here, name):
    for own in ("a", "b"):
        for seed in (0, 1, 2):
            with track(f"runs/{own}", sheet=f"{own}.csv", seed=seed) as run:
                for _ in run.steps():
                    if seed == 2:
                        run.log(loss=1.0)
    written = here("report", *name, "-o", "page.html")
    assert written.code == 0, written.err
    assert "<figcaption>Losses" not in Path("page.html").read_text()
