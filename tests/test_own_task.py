"""A task of a user's own: what it may be, that it trains as it should, and what a mistake in it says."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.legend import Legend
from torch.nn import functional as F

from curriculum import run
from curriculum.config.settings import SGD, Adam, AdamW
from curriculum.draw.plots import latents
from curriculum.errors import InputError
from curriculum.runner.execute import execute
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run
from curriculum.train import optimizers
from curriculum.train.ensemble import Ensemble
from curriculum.train.noise import Noise, keys
from curriculum.train.samples import in_epochs

OWN = Path(__file__).with_name("own") / "variants.py"
SHEET = "STEP,lr,loss,smoothing\n0,0.02,1,0.1\n60,0.01,1,0\n"
LAYERS = ["Plain", "Dropping", "Noisy", "Conv", "Normed"]


def config(tmp_path: Path, kind: str, more: str = "") -> Path:
    path = tmp_path / f"{kind}.yaml"
    path.write_text(f"task: {{name: {OWN}:{kind}}}\n{more}\n")
    return path


def train(tmp_path, kind, *, sheet=SHEET, more="", **options):
    return run(config(tmp_path, kind, more), parse(sheet), **options)


# What trains


@pytest.mark.parametrize("kind", LAYERS)
def test_a_seed_trains_in_a_stack_as_it_does_alone_and_one_after_the_other(tmp_path, kind):
    stacked = train(tmp_path, kind, seeds="0:3")
    alone = train(tmp_path, kind, seeds=1)
    in_turn = train(tmp_path, kind, seeds="0:3", more="stack: off")
    for name, values in stacked.parameters.items():
        torch.testing.assert_close(values[1], alone.parameters[name][0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(values, in_turn.parameters[name], rtol=1e-3, atol=1e-4)
    assert not torch.equal(stacked.parameters["0.weight"][0], stacked.parameters["0.weight"][1])


@pytest.mark.parametrize("kind", ["Branching", "Recurrent"])
def test_what_cannot_be_stacked_trains_with_stack_off_and_is_refused_otherwise_before_step_0(tmp_path, kind):
    with pytest.raises(InputError, match=r"variants\.py:\d+: .*`stack: off`.*tried before training"):
        train(tmp_path, kind, seeds="0:2", folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    ended = train(tmp_path, kind, seeds="0:2", more="stack: off")
    assert ended.status == "finished"
    assert float(ended.losses["loss"].max()) < 0.8


def test_running_statistics_are_those_of_a_model_trained_by_itself(tmp_path):
    ended = train(tmp_path, "Normed", seeds="0:2", sheet="STEP,lr,loss\n0,0.02,1\n30,0.02,1\n")
    task = plan(config(tmp_path, "Normed"), parse("STEP,lr,loss\n0,0.02,1\n30,0.02,1\n")).task
    torch.manual_seed(1)
    model = task.build()
    before = model[0].bias.clone()
    inputs, labels = task.splits["train"]
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], lr=0.02)
    for indices in in_epochs([1], range(31), 16, 64)[:, 0]:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[indices]), labels[indices]).backward()
        optimizer.step()
    for name, value in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        torch.testing.assert_close(ended.parameters[name][1], value.float(), rtol=1e-3, atol=1e-4)
    assert torch.equal(ended.parameters["0.bias"][1], before)
    assert int(ended.parameters["1.num_batches_tracked"][1]) == 31


@pytest.mark.parametrize(
    ("optimizer", "more"), [("adamw", "weight_decay: 0.1"), ("sgd", "momentum: 0.8, nesterov: true, weight_decay: 0.01")]
)
def test_a_run_with_another_optimizer_is_that_of_pytorch(tmp_path, optimizer, more):
    sheet = "STEP,lr,loss,weight-decay,momentum\n0,0.02,1,0.1,0.5\n40,0.005,1,0.3,0.9\n"
    chosen = f"optimizer: {{name: {optimizer}, {more}}}"
    ended = train(tmp_path, "Plain", sheet=sheet, more=chosen, seeds=3)
    checked = plan(config(tmp_path, "Plain", chosen), parse(sheet))
    torch.manual_seed(3)
    model = checked.task.build()
    inputs, labels = checked.task.splits["train"]
    theirs = (
        torch.optim.AdamW(model.parameters()) if optimizer == "adamw" else torch.optim.SGD(model.parameters(), momentum=0.5, nesterov=True)
    )
    for step, indices in enumerate(in_epochs([3], range(41), 16, 64)[:, 0]):
        now = checked.schedule.at(step)
        group = theirs.param_groups[0]
        group.update(lr=now["lr"], weight_decay=now["weight-decay"])
        group.update(betas=(now["momentum"], 0.999)) if optimizer == "adamw" else group.update(momentum=now["momentum"])
        theirs.zero_grad()
        F.cross_entropy(model(inputs[indices]), labels[indices]).backward()
        theirs.step()
    for name, value in model.named_parameters():
        torch.testing.assert_close(ended.parameters[name][0], value.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("settings_", "theirs"),
    [
        (Adam(betas=(0.8, 0.95), eps=1e-6), lambda p: torch.optim.Adam(p, betas=(0.8, 0.95), eps=1e-6)),
        (AdamW(weight_decay=0.1), lambda p: torch.optim.AdamW(p, weight_decay=0.1)),
        (SGD(momentum=0.9, weight_decay=0.1), lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.1)),
        (SGD(momentum=0.7, nesterov=True), lambda p: torch.optim.SGD(p, lr=1, momentum=0.7, nesterov=True)),
        (SGD(momentum=0), lambda p: torch.optim.SGD(p, lr=1)),
    ],
    ids=["adam", "adamw", "sgd", "nesterov", "plain-sgd"],
)
@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("told", [False, True], ids=["", "told-its-bias"])
def test_every_optimizer_is_pytorchs_step_by_step(settings_, theirs, moving, told):
    torch.manual_seed(0)
    parameters = torch.randn(2, 9)
    rows = [torch.nn.Parameter(row.clone()) for row in parameters]
    each = [theirs([row]) for row in rows]
    state = optimizers.init(settings_, parameters)
    for step in range(1, 25):
        gradient, rates = torch.randn(2, 9), torch.rand(2, 1)
        names = optimizers.columns(settings_) if moving else ()
        moved = {name: torch.rand(2, 1) * 0.9 for name in names if name != "momentum" or getattr(settings_, "momentum", 1)}
        bias = optimizers.bias_correction(settings_, step, moved) if told and not isinstance(settings_, SGD) else None
        optimizers.update(parameters, gradient, state, rates, torch.tensor(math.nan) if bias else step, settings_, moved, bias)
        for row, optimizer in enumerate(each):
            group = optimizer.param_groups[0]
            group["lr"] = rates[row].item()
            if "weight-decay" in moved:
                group["weight_decay"] = moved["weight-decay"][row].item()
            if "beta2" in moved:
                group["betas"] = (moved["momentum"][row].item(), moved["beta2"][row].item())
            elif "momentum" in moved:
                group["momentum"] = moved["momentum"][row].item()
            rows[row].grad = gradient[row].clone()
            optimizer.step()
        torch.testing.assert_close(parameters, torch.stack([row.detach() for row in rows]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_eps_can_stand_where_keras_puts_it(kind):
    """Keras: w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps). An eps of the gradient's size shows where it stands."""
    given = kind(eps=0.5, eps_placement="keras")
    place, gradient = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.3, -0.02]])
    expected, mean, square = place.double(), torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    state = optimizers.init(given, place)
    for step in range(1, 6):
        optimizers.update(place, gradient, state, torch.full((1, 1), 0.1), step, given)
        mean, square = 0.9 * mean + 0.1 * gradient.double(), 0.999 * square + 0.001 * gradient.double() ** 2
        expected = expected * (1 - 0.1 * getattr(given, "weight_decay", 0))
        expected = expected - 0.1 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step) * mean / (square.sqrt() + 0.5)
    torch.testing.assert_close(place.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_column_that_the_optimizer_does_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"1:\d+: unknown property 'beta2'"):
        train(tmp_path, "Plain", sheet="STEP,lr,loss,beta2\n0,0.1,1,0.9\n9,,,\n", more="optimizer: {name: sgd}")
    with pytest.raises(InputError, match=r"momentum: 1 is outside its bounds"):
        train(tmp_path, "Plain", sheet="STEP,lr,loss,momentum\n0,0.1,1,1\n9,,,\n")
    with pytest.raises(InputError, match=r"unknown optimizer 'adamm', did you mean 'adam'"):
        train(tmp_path, "Plain", more="optimizer: {name: adamm}")


def test_a_task_without_labels_is_compared_with_its_inputs(tmp_path):
    sheet = "STEP,lr,loss,size,width\n0,0.02,1,0.01,0\n60,0.02,1,0.01,1\n"
    ended = train(tmp_path, "Coder", sheet=sheet, seeds="0:2", folder=tmp_path / "runs", name="a")
    curves = ended.run.traces
    assert set(curves) == {"loss.test", "loss.test.steps"}
    model = [{name: value[row] for name, value in ended.parameters.items()} for row in range(2)]
    inputs = plan(config(tmp_path, "Coder"), parse(sheet)).task.splits["test"][0]
    hidden = inputs @ model[0]["0.weight"].T + model[0]["0.bias"]
    error = (hidden @ model[0]["1.weight"].T + model[0]["1.bias"] - inputs).square().mean()
    assert curves["loss.test"][-1, 0] == pytest.approx(float(error), rel=0.1)
    assert set(ended.losses) == {"total", "loss", "size"}


def test_the_scores_of_a_run_are_those_of_its_models(tmp_path):
    ended = train(tmp_path, "Plain", seeds="0:2", folder=tmp_path / "runs", name="a")
    accuracy, steps = ended.run.traces["score.accuracy.test"], ended.run.traces["score.accuracy.test.steps"]
    assert steps.tolist() == list(range(0, 61, 10))
    assert accuracy.shape == (7, 2)
    assert accuracy[-1].min() > 0.8 > accuracy[0].max()


def test_a_curriculum_of_the_data_sees_only_the_samples_it_chooses(tmp_path):
    sheet = "STEP,lr,loss,share\n0,0.02,1,0.1\n30,0.02,1,1\n"
    checked = plan(config(tmp_path, "Easy"), parse(sheet), seeds="0:2")
    drawn = checked.task.batches(checked.schedule, range(31), [0, 1])["index"]
    assert drawn.shape == (31, 2, 16)
    assert int(drawn[0].max()) < 7
    assert int(drawn[-1].max()) > 40
    assert torch.equal(checked.task.batches(checked.schedule, range(5, 9), [1])["index"][:, 0], drawn[5:9, 1])


@pytest.mark.parametrize("more", ["", "stack: off"])
def test_a_task_may_make_the_direction_of_its_gradients(tmp_path, more):
    sheet = "STEP,lr,left,right\n0,0.05,1,1\n0,0.05,1,1\n".replace("\n0,0.05,1,1\n0", "\n0,0.05,1,1\n1")
    optimizer = "optimizer: {name: sgd, momentum: 0}\n"
    ended = train(tmp_path, "Surgery", sheet=sheet, seeds="0:2", steps=1, more=optimizer + more)
    task = plan(config(tmp_path, "Surgery"), parse(sheet)).task
    torch.manual_seed(1)
    model = task.build()
    inputs, labels = task.splits["train"]
    indices = in_epochs([1], range(1), 16, 64)[0, 0]
    each = F.cross_entropy(model(inputs[indices]), labels[indices], reduction="none")
    grads = [torch.autograd.grad(part, model.parameters(), retain_graph=True) for part in (each[:8].mean(), each[8:].mean())]
    left, right = (torch.cat([part.flatten() for part in own]) for own in grads)
    direction = left + right
    if torch.dot(left, right) < 0:
        direction = left - torch.dot(left, right) / right.dot(right) * right + right - torch.dot(left, right) / left.dot(left) * left
    expected = torch.nn.utils.parameters_to_vector(model.parameters()) - 0.05 * direction
    found = torch.cat([ended.parameters[name][1].flatten() for name, _ in model.named_parameters()])
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("more", ["stack: on", "stack: off"])
def test_a_switch_that_is_off_for_all_is_left_out_and_changes_at_the_step_that_the_sheet_says(tmp_path, more):
    sheet = "STEP,lr,left,right,project::step-end\n0,0.05,1,1,0\n4,,,,1\n7,,,,0\n9,,,,0\n"
    checked = plan(config(tmp_path, "Switched", more), parse(sheet), seeds="0:2")
    seen = type(checked.task).seen
    seen.clear()
    switched = execute(checked, None)
    calls = 2 if more == "stack: off" else 1  # one for each seed, or one for all
    on = {"project": (0,) if calls == 2 else (0, 1)}
    assert seen == [{}] * 4 * calls + [on] * 3 * calls + [{}] * 3 * calls
    assert switched.status == "finished"


# Batches and noise


@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 200), st.integers(1, 30), st.integers(0, 2**62))
@settings(deadline=None)
def test_each_seed_goes_through_all_samples_in_every_epoch(count, size, first, length, seed):
    size = min(size, count)
    drawn = in_epochs([seed, 5], range(first + length), size, count)
    assert torch.equal(in_epochs([seed], range(first, first + length), size, count)[:, 0], drawn[first:, 0])
    order = drawn[:, 0].flatten()
    for epoch in range(len(order) // count):
        assert sorted(order[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))


def test_a_chunk_takes_no_more_memory_where_samples_are_larger(tmp_path):
    sizes = []
    for kind in ("Plain", "Conv"):
        checked = plan(config(tmp_path, kind), parse(SHEET))
        drawn = checked.task.batches(checked.schedule, range(50), [0, 1])
        sizes.append(sum(values.nbytes for values in drawn.values()))
    assert sizes[0] == sizes[1] == 50 * 2 * 16 * 8


def test_noise_is_a_function_of_seed_step_and_call_and_has_the_right_law():
    own = keys([0, 7], range(3, 5))
    assert torch.equal(keys([7], range(4, 5))[0, 0], own[1, 1])

    def drawn(key):
        with Noise(key):
            return torch.rand(50_000), torch.randn(50_000), F.dropout(torch.ones(50_000), 0.3), torch.randint(2, 9, (50_000,))

    both = torch.vmap(drawn)(own[1])
    for stacked, alone in zip(both, drawn(own[1, 1]), strict=True):
        assert torch.equal(stacked[1], alone)
    uniform, normal, dropped, whole = (values[0].double() for values in both)
    from scipy import stats

    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.numpy(), "norm").pvalue > 1e-3
    assert float((dropped == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
    assert whole.unique().tolist() == list(range(2, 9))
    for one, other in ((both[0][0], both[0][1]), (uniform, dropped), (uniform[:-1], uniform[1:])):
        assert abs(np.corrcoef(one.double().numpy(), other.double().numpy())[0, 1]) < 0.02


def test_dropout_is_off_where_a_model_is_looked_at(tmp_path):
    checked = plan(config(tmp_path, "Dropping"), parse(SHEET))
    from curriculum.train.stack import initial_parameters

    layout, flat = initial_parameters(checked.task, [0])
    seen = [Ensemble(checked.task).observe(layout.views(flat), checked.task.splits["test"][0]).outputs for _ in range(2)]
    assert torch.equal(*seen)


# Stored, resumed, verified


@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        *((kind, "adamw") for kind in (*LAYERS, "Branching", "Surgery")),
        *((kind, "sgd") for kind in ("Plain", "Normed")),
        *(pytest.param("Million", optimizer, marks=pytest.mark.slow) for optimizer in ("adamw", "sgd")),
    ],
)
def test_a_killed_run_resumes_with_the_same_bits_and_is_verified(tmp_path, kind, optimizer, here):
    terms = "left,right" if kind == "Surgery" else "loss"
    weights = "1,1" if kind == "Surgery" else "1"
    (tmp_path / "a.csv").write_text(f"STEP,lr,{terms}\n0,0.02,{weights}\n60,0.01,{weights}\n")
    more = "record: {checkpoint_every: 20}\nseeds: 0:3\noptimizer: {name: " + optimizer + "}\n"
    path = config(tmp_path, kind, more + ("stack: off\n" if kind == "Branching" else ""))
    where = ["--runs", tmp_path / "runs", "--config", path, "--dopesheet", tmp_path / "a.csv"]
    assert here("train", *where, "--name", "whole").code == 0
    killed = Interrupted(45)
    with pytest.raises(KeyboardInterrupt):
        execute(plan(path, tmp_path / "a.csv"), tmp_path / "runs" / "again", watch=[killed.hook])
    assert Run(tmp_path / "runs" / "again").status == "interrupted"
    assert here("train", "--runs", tmp_path / "runs", "--resume", "again").code == 0
    whole, again = (Run(tmp_path / "runs" / name) for name in ("whole", "again"))
    for name, values in whole.model.items():
        assert np.array_equal(values, again.model[name]), name
    for name, values in whole.traces.items():
        assert np.array_equal(values, again.traces[name]), name
    for name in ("whole", "again"):
        found = here("verify", "--runs", tmp_path / "runs", "--replay", 30, name)
        assert found.code == 0, found.err
    assert not (whole.path / "snapshots.safetensors").exists()


class Interrupted:
    """A hook by which the user stops at a step."""

    def __init__(self, step):
        from curriculum.train.events import PreStep
        from curriculum.train.hooks import Hook

        self.step = step
        self.hook = Hook(PreStep, self)

    def __call__(self, event):
        if event.step == self.step:
            raise KeyboardInterrupt


def test_other_data_are_noticed_and_hooks_are_found_next_to_the_config(empty, monkeypatch, here):
    (empty / "study").mkdir()
    source = GOOD.replace("np.random.default_rng(0)", "np.random.default_rng(int(np.loadtxt(__file__[:-7] + 'seed')))")
    write(empty / "study", source, hooks="[{on: phase-end, call: ./hooks.py:note}]")
    (empty / "study" / "hooks.py").write_text("def note(event):\n    print('noted', event.step)\n")
    (empty / "study" / "seed").write_text("0")
    command = ("train", "--config", "study/mine.yaml", "--dopesheet", "study/a.csv", "--name", "a")
    assert "noted 60" in here(*command).out
    (empty / "study" / "seed").write_text("1")
    found = here("verify", "--replay", "9", "a")
    assert found.code != 0
    assert "the data of its task have changed" in found.err


@pytest.mark.slow
def test_a_run_is_found_from_anywhere_and_changed_code_is_named_and_refused(empty, monkeypatch, here, process):
    for folder in ("work", "elsewhere"):
        (empty / folder).mkdir()
    work, own = empty / "work", empty / "work" / "own.py"
    own.write_text(OWN.read_text())
    (work / "own.yaml").write_text("task: {name: ./own.py:Plain}\nrecord: {checkpoint_every: 20}\n")
    (work / "a.csv").write_text(SHEET)
    monkeypatch.chdir(work)
    with pytest.raises(KeyboardInterrupt):
        execute(plan("own.yaml", "a.csv"), Path("runs/a"), watch=[Interrupted(45).hook])
    assert Run(Path("runs/a")).manifest["task"]["name"] == "own.py:Plain"
    monkeypatch.chdir(empty / "elsewhere")
    assert here("verify", "--replay", "9", work / "runs" / "a").code == 0
    own.write_text(OWN.read_text().replace("0.5 * rng", "0.6 * rng"))
    for command, said in ((("verify", "--replay", "9"), "cannot retrain"), (("train", "--resume"), "cannot resume")):
        found = process(*command, work / "runs" / "a", cwd=empty / "elsewhere")
        assert found.code in (1, 2)
        assert re.search(rf"{said} .*the code of (its|the) task in .*own\.py has changed", found.err)
    assert "or resume it all the same with --accept-changed-code" in found.err


@pytest.mark.slow
def test_changed_code_is_accepted_where_it_is_asked_for_and_then_said(empty, monkeypatch, here, process):
    (empty / "own.py").write_text(OWN.read_text())
    (empty / "own.yaml").write_text("task: {name: ./own.py:Plain}\nrecord: {checkpoint_every: 20}\n")
    (empty / "a.csv").write_text(SHEET)
    with pytest.raises(KeyboardInterrupt):
        execute(plan("own.yaml", "a.csv"), Path("runs/a"), watch=[Interrupted(45).hook])
    (empty / "own.py").write_text(OWN.read_text() + "\n# A comment.\n")
    found = process("train", "--resume", "a", "--accept-changed-code", cwd=empty)
    assert found.code == 0, found.err
    assert "warning: runs/a: the code of the task in" in found.err
    assert "own.py has changed, and is accepted" in found.err
    first, last = Run(Path("runs/a")).manifest["segments"]
    assert "task" not in first
    assert last["from"] in (40, 45)
    assert last["task"]["source"] != Run(Path("runs/a")).manifest["task"]["source"]
    assert process("train", "--config", "own.yaml", "--dopesheet", "a.csv", "--name", "b", cwd=empty).code == 0
    compared = process("compare", "a", "b", cwd=empty)
    assert f"note: a was trained by other code of the task from step {last['from']} on than before" in compared.out
    # Seeds of one run are trained alike: none are added by other code.
    grown = process(
        "train", "--config", "own.yaml", "--dopesheet", "a.csv", "--name", "a", "--seeds", "0:3", "--accept-changed-code", cwd=empty
    )
    assert grown.code != 0
    assert "no seeds can be added to runs/a: the code of the task in" in grown.err


# Mistakes

GOOD = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
import curriculum


class Mine(curriculum.Task):
    terms = ("loss",)
    controls = {"smoothing": (0, 1)}
    scores = {"accuracy": "higher"}
    batch_size = 8

    def build(self):
        return nn.Linear(4, 3)

    def data(self):
        x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
        y = x[:, :3].argmax(1)
        return {"train": (x[:40], y[:40]), "test": (x[40:], y[40:])}

    def losses(self, model, batch):
        outputs = model(batch.inputs)
        loss = F.cross_entropy(outputs, batch.labels)
        return {"loss": loss * (1 - batch.sheet["smoothing"])}
"""
SCORE = """
    def score(self, outputs, labels):
        return {"accuracy": %s}
"""


def write(folder, source, sheet=SHEET, **settings_):
    """Write a task, a config of it and a sheet into a folder."""
    (folder / "mine.py").write_text(source.strip() + "\n")
    (folder / "a.csv").write_text(sheet)
    (folder / "mine.yaml").write_text("\n".join(["task: {name: ./mine.py:Mine}", *(f"{key}: {value}" for key, value in settings_.items())]))


def place(folder, at):
    """Give the file and line in which something first stands."""
    lines = (folder / "mine.py").read_text().splitlines()
    return f"mine.py:{next(number for number, line in enumerate(lines, 1) if at in line)}"


@pytest.mark.parametrize(
    ("before", "after", "at", "says"),
    [
        ('batch.sheet["smoothing"]', 'batch.sheet["smoothin"]', "batch.sheet", "unknown column 'smoothin', did you mean 'smoothing'?"),
        ('"smoothing": (0, 1)', '"smoothing": (1, 0)', "class Mine", "the smallest value 1 is not below the largest, 0"),
        ('"smoothing": (0, 1)', '"smoothing": 1', "class Mine", "controls['smoothing'] must be (smallest, largest)"),
        ('terms = ("loss",)', 'terms = "loss"', "class Mine", "terms = ('loss',)"),
        ('"accuracy": "higher"', '"accuracy": "high"', "class Mine", "must be 'higher' or 'lower'"),
        ('"accuracy": "higher"', '"auc": "higher"', "class Mine", "the score 'auc' is computed nowhere"),
        ("batch.labels)", "batch.labels, reduction='none')", "def losses", "'loss' must be a scalar tensor, such as a mean over the batch"),
        ('return {"loss": loss', 'return {"lost": loss', "def losses", "'loss' is missing from what it returned (lost)"),
        ('return {"loss": loss', 'return {"other": loss, "loss": loss', "def losses", "unknown term 'other'"),
        ('return {"loss": ', "return ", "return loss", "SyntaxError"),
        ("outputs = model", "outputs = modle", "modle", "NameError: name 'modle' is not defined"),
        ("y[:40])", "y[:39])", "def data", "the train data has 40 inputs, but 39 labels"),
        ('"test": (x[40:], y[40:])', '"tset": 3', "def data", "the tset inputs hold no samples"),
        (', "test": (x[40:], y[40:])', "", "def data", "return a dict with 'train' and 'test'"),
        ("x[:40],", "x[:40] * np.nan,", "def data", "the train inputs hold a number that is not finite, first in sample 0"),
        ("nn.Linear(4, 3)", "nn.Linear(5, 3)", "outputs = model", "mat1 and mat2 shapes cannot be multiplied"),
        ("nn.Linear(4, 3)", "nn.Linear(4, 3).double()", "def build", "the parameter 'weight' is float64"),
        ("nn.Linear(4, 3)", "3", "def build", "return a model (torch.nn.Module), not int"),
        ("def losses", "def loses", "class Mine", "has no method 'losses' (did you mean it by 'loses'?)"),
        ("def data", "def dta", "class Mine", "has no data"),
        ("def build(self):", "def build(self):\n        raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("outputs = model(batch.inputs)", "outputs = model(batch['images'])", "images", "unknown tensor of the batch 'images'"),
        ("loss = F", "loss = torch.multinomial(outputs.exp(), 1).float().mean() + F", "multinomial", "this random function cannot differ"),
    ],
)
def test_a_mistake_in_a_task_is_named_with_its_line_and_nothing_is_written(empty, before, after, at, says, here):
    assert before in GOOD
    write(empty, GOOD.replace(before, after), seeds="0:2")
    found = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv")
    assert found.code == 2, found
    assert says in found.err
    assert f"{place(empty, at)}: " in found.err
    assert "Traceback" not in found.err
    assert "bug in curriculum" not in found.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("value", "says"), [("float('nan')", "'accuracy' is nan on the test data"), ("'high'", "'accuracy' must be one number")]
)
def test_a_score_that_is_no_number_is_refused_before_training(empty, value, says, here):
    write(empty, GOOD + SCORE % value)
    found = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv")
    assert found.code == 2
    assert f"{place(empty, 'def score')}: score: {says}" in found.err
    assert not Path("runs").exists()


LATE = """        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 30:
            return {"loss": batch.oops}
        outputs = model"""


def test_a_fault_that_shows_late_is_named_with_its_line_and_step_and_keeps_what_was_trained(empty, here):
    write(empty, GOOD.replace("        outputs = model", LATE), record="{checkpoint_every: 10}")
    found = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv", "--name", "a")
    assert found.code == 1
    assert f"{place(empty, 'oops')}: AttributeError: 'Batch' object has no attribute 'oops' (in losses, at step " in found.err
    stored = Run(Path("runs/a"))
    assert stored.status == "failed"
    assert len(stored.metrics) > 10


def test_a_sheet_without_a_column_that_the_losses_read_is_refused_unless_it_has_a_default(empty, here):
    write(empty, GOOD, sheet="STEP,lr,loss\n0,0.1,1\n9,,\n")
    found = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv", "--dry-run")
    assert found.code == 2
    assert f"{place(empty, 'batch.sheet')}: the sheet has no column 'smoothing': add it, or declare a default" in found.err
    (empty / "mine.py").unlink()
    (empty / "other.py").write_text(GOOD.replace("(0, 1)", "(0, 1, 0.5)"))
    (empty / "mine.yaml").write_text("task: {name: ./other.py:Mine}\n")
    assert here("train", "--config", "mine.yaml", "--dopesheet", "a.csv", "--dry-run").code == 0


def test_a_batch_says_what_columns_and_tensors_there_are():
    from curriculum.train.batch import Batch, SheetRow

    batch = Batch({"inputs": torch.zeros(3)}, SheetRow(("lr", "loss"), torch.tensor([0.1, 2.0]), ("width",)))
    assert dict(batch.sheet) == {"lr": torch.tensor(0.1), "loss": torch.tensor(2.0)}
    with pytest.raises(InputError, match="unknown column 'los', did you mean 'loss'"):
        _ = batch.sheet["los"]
    with pytest.raises(InputError, match="has no column 'width': add it, or declare a default"):
        _ = batch.sheet["width"]
    with pytest.raises(InputError, match="unknown tensor of the batch 'labels'"):
        _ = batch.labels


# Measures and figures of the user's own

EXTRAS = """
from curriculum import Metric


def slowest(trace, window):
    reached = trace.steps[window[trace.steps] & (trace.y < -0.05)]
    return float(reached[0]) if len(reached) else float("nan")


SPEED = Metric(id="speed", title="step at which the error is low", unit="steps", compute=slowest, needs="an error below 0.89")


def confusion(run, seed):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot(run.traces["score.accuracy.test"][:, seed])
    return figure


class Measured(Mine):
    measures = (*Mine.measures, SPEED)
    plots = (confusion,)
    hypotheses = {"fast": ("faster learning", ("speed", "accuracy"))}
"""


MEASURED = ("--config", "mine.yaml", "--dopesheet", "a.csv", "--set", "task.name=./mine.py:Measured")


def test_measures_and_figures_of_a_users_own_are_stored_and_looked_at_without_their_code(empty, here):
    for name, rate in (("slow", 0.01), ("quick", 0.1)):
        write(empty, GOOD + EXTRAS, sheet=f"STEP,lr,loss,smoothing\n0,{rate},1,0\n120,{rate},1,0\n", seeds="0:8")
        assert (
            here("train", "--config", "mine.yaml", "--dopesheet", "a.csv", "--name", name, "--set", "task.name=./mine.py:Measured").code
            == 0
        )
        assert (empty / "runs" / name / "figures" / "confusion.png").is_file()
    for path in (empty / "mine.py", empty / "mine.yaml"):
        path.unlink()
    stored = {name: Run(empty / "runs" / name) for name in ("slow", "quick")}
    values = {name: run_.exhibits["measure.speed"] for name, run_ in stored.items()}
    assert (values["quick"] <= values["slow"]).all()
    compared = here("compare", "quick", "slow")
    assert compared.code == 0, compared.err
    assert re.search(r"fast faster learning: ", compared.out)
    assert re.search(r"speed step at which the error is low: quick x[01]\.\d+ of slow .* 8 pairs, p = ", compared.out)


def test_a_fault_in_a_users_measure_is_named_and_the_run_is_stored(empty, here):
    broken = EXTRAS.replace("return float(reached[0])", "return float(reeched[0])").replace("-0.05", "9")
    write(empty, GOOD + broken)
    found = here("train", *MEASURED, "--name", "a")
    assert found.code == 1
    assert "the measure 'speed' of runs/a has no values: mine.py:" in found.err
    assert "NameError: name 'reeched' is not defined (in slowest)" in found.err
    assert Run(Path("runs/a")).status == "finished"
    assert here("verify", "a").code == 0


def test_two_measures_of_one_id_are_refused(empty, here):
    write(empty, GOOD + EXTRAS.replace('id="speed"', 'id="accuracy"'))
    found = here("train", *MEASURED)
    assert found.code == 2
    assert "two measures have the id 'accuracy'" in found.err
    assert not Path("runs").exists()


# Configs and experiments


STUDY = "task: {name: ./mine.py:Mine}\noptimizer: {name: adamw}\nseeds: 0:2\narms: {one: a.csv, two: b.csv}\n"


@pytest.fixture
def elsewhere(empty, monkeypatch):
    """Work next to a folder `study` with a task, two sheets and an experiment that holds its config."""
    (empty / "study").mkdir()
    (empty / "cwd").mkdir()
    write(empty / "study", GOOD)
    (empty / "study" / "b.csv").write_text(SHEET.replace("0.02", "0.05"))
    (empty / "study" / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(empty / "cwd")
    return empty / "study"


def test_an_experiment_holds_its_config_and_its_files_are_next_to_it(elsewhere, here):
    found = here("experiment", "../study/study.yaml", "--steps", 12, "--set", "task.batch_size=4")
    assert found.code == 0, found.err
    runs = {name: Run(Path("runs/study") / name) for name in ("one", "two")}
    for stored in runs.values():
        assert "name: adamw" in stored.config_text
        assert "batch_size: 4" in stored.config_text
        assert stored.manifest["stack"] == ["one", "two"]
    again = here("experiment", "../study/study.yaml", "--steps", 12, "--set", "task.batch_size=4")
    assert again.err.count("is already finished") == 2


def test_a_config_and_an_experiment_are_not_taken_for_each_other(elsewhere, here):
    found = here("train", "--config", "../study/study.yaml", "--dopesheet", "../study/a.csv")
    assert found.code == 2
    assert "study.yaml:4:1: this is an experiment, not a config: run it with curriculum experiment" in found.err
    found = here("experiment", "../study/mine.yaml")
    assert "this is a config, not an experiment: train it with curriculum train --config" in found.err
    (elsewhere / "study.yaml").write_text("config: mine.yaml\n" + STUDY)
    found = here("experiment", "../study/study.yaml")
    assert "study.yaml:2:1: set 'task' in the config that the experiment names, or remove 'config'" in found.err
    (elsewhere / "study.yaml").write_text(STUDY.replace("task: {name: ./mine.py:Mine}\n", ""))
    found = here("experiment", "../study/study.yaml")
    assert found.code == 2
    assert "the task has no name" in found.err
    (elsewhere / "study.yaml").write_text(STUDY.replace("arms", "optimiser: {name: sgd}\narms"))
    found = here("experiment", "../study/study.yaml")
    assert "study.yaml:4:1: unknown setting 'optimiser', did you mean 'optimizer'?" in found.err
    assert not Path("runs").exists()


def test_commands_that_read_a_config_know_a_task_from_outside(elsewhere, here):
    assert "batch_size" in here("config", "schema", "../study/mine.py:Mine", "--optimizer", "sgd").out
    assert "nesterov" in here("config", "schema", "../study/mine.py:Mine", "--optimizer", "sgd").out
    assert here("config", "show", "../study/mine.yaml").code == 0
    assert here("dopesheet", "check", "../study/a.csv", "--config", "../study/mine.yaml").code == 0
    (elsewhere / "a.csv").write_text(SHEET.replace("smoothing", "smoothin"))
    found = here("dopesheet", "check", "../study/a.csv", "--config", "../study/mine.yaml")
    assert found.code == 2
    assert "unknown property 'smoothin', did you mean 'smoothing'?" in found.err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./nine.py:Mine", "there is no file './nine.py', did you mean 'mine.py'?"),
        ("./mine.py:Nine", "there is no 'Nine' in mine.py, did you mean 'Mine'?"),
        ("./mine.py", "write ./mine.py:NAME (tasks in it: Mine)"),
        ("mine", "for the one in mine.py, write ./mine.py:NAME"),
        ("./mine.py:np", "np in mine.py is not a subclass of curriculum.Task"),
    ],
)
def test_a_task_that_is_not_there_is_named_with_what_is(empty, here, name, says):
    write(empty, GOOD)
    (empty / "mine.yaml").write_text(f"task: {{name: {name}}}\n")
    found = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv")
    assert found.code == 2
    assert found.err.startswith("error: mine.yaml:1:8: ")
    assert says in found.err
    assert not Path("runs").exists()


PICTURE = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 2), nn.Linear(2, 3)

    def forward(self, x):
        return self.outer(self.inner(x))


class Pictured(Mine):
    measures = ("draw_up", "path_length")

    def build(self):
        return Net()

    def observe(self, model, inputs):
        latents = model.inner(inputs)
        return curriculum.Observation(model.outer(latents), latents)

    def probes(self):
        (inputs, labels) = self.splits["test"]
        return (curriculum.Probe("test", "the test data", inputs, frozenset({"loss", "final", "motion"}), 5, labels),)

    def picture(self):
        return curriculum.Picture(self.splits["test"][0], probe="test")
"""


def test_a_task_of_a_users_own_may_have_latents_and_a_picture(empty, here):
    write(empty, GOOD + PICTURE, sheet="STEP,PHASE,lr,loss,smoothing\n0,One,0.1,1,0\n100,Two,0.1,,\n300,,0.01,1,0\n", seeds="0:2")
    (empty / "mine.yaml").write_text((empty / "mine.yaml").read_text().replace(":Mine", ":Pictured"))
    for name in ("a", "b"):
        made = here("train", "--config", "mine.yaml", "--dopesheet", "a.csv", "--name", name)
        assert made.code == 0, made.err
    stored = Run(Path("runs/a"))
    assert stored.traces["latents.test"].shape == (61, 2, 20, 2)
    assert stored.phase_ends["1.latents"].shape == (2, 20, 2)
    assert (stored.path / "figures" / "latents.png").is_file()
    # Points of a task that does not color them have the colors of their classes.
    labels = stored.phase_ends["1.labels"]
    assert labels.tolist() == plan("mine.yaml", "a.csv").task.splits["test"][1].tolist()
    figure = latents.draw(stored)
    (legend,) = [found for found in figure.findobj(Legend) if found.get_texts()]
    assert [text.get_text() for text in legend.get_texts()] == [f"class {labels.min()}", *map(str, sorted({*labels.tolist()})[1:])]
    compared = here("compare", "a", "b", "--full")
    assert compared.code == 0, compared.err
    assert "E4 path length of the drift" in compared.out
    shown = here("animate", "a", "b")
    assert shown.code == 2
    assert "'a' cannot be animated: a video needs the code of its task, 'mine.py:Pictured'" in shown.err
