"""What every task must keep to; a new file in `tasks/` is picked up by its name."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from batches import NO_KEYS, batch_of
from curriculum import plugins
from curriculum.config.settings import schema_of
from curriculum.errors import DivergedError
from curriculum.runner.execute import execute
from curriculum.runner.fork import make_fork
from curriculum.runner.inputs import check_sheet, load_config
from curriculum.runner.plan import plan
from curriculum.sheet.document import write
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import RATE, compile_sheet
from curriculum.store.manifest import skipped_updates
from curriculum.store.reader import Run
from curriculum.train import optimizers as optimizer
from curriculum.train.ensemble import Ensemble
from curriculum.train.events import PreStep
from curriculum.train.hooks import Hook
from curriculum.train.make import make_task, settings_of
from curriculum.train.stack import initial_parameters
from curriculum.train.task import Stacked

SEEDS = [3, 8]


def default(name):
    return make_task(schema_of(settings_of(name)).model_validate({"task": {"name": name}}))


@pytest.fixture(params=plugins.names("task"))
def task(request):
    return default(request.param)


def sheet_of(task, value):
    """A short sheet through all phases of the task's settings; `value` gives each column's from its bounds."""
    phases = list(getattr(task.settings, "phases", {"": None}))
    columns = [RATE, *task.terms, *task.controls]
    header = ",".join(["STEP", "PHASE", "ACTION", *columns])
    values = ",".join(repr(float(value(*task.bounds_of(name)))) for name in columns)
    rows = [f"{20 * k},{name},{task.actions[0] if task.actions and not k else ''},{values}" for k, name in enumerate(phases)]
    sheet = parse("\n".join([header, *rows, f"{20 * len(phases)},,," + "," * (len(columns) - 1)]))
    assert not check_sheet(sheet, task)
    assert not list(task.check(sheet))
    return sheet


@pytest.fixture
def schedule(task):
    """A short sheet in which every term has weight."""
    return compile_sheet(sheet_of(task, lambda low, high: min(max(0.5, 2 * low), high)))


def drawn(task, schedule, start):
    return {name: values[0] for name, values in task.batches(schedule, range(start, start + 1), SEEDS).items()}


def at_end(batch, active, references, schedule, **columns):
    """Make a batch with what the sheet says at its last step, or else `columns`."""
    said = {name: values[-1] for name, values in ((name, schedule.column(name)) for name in schedule.properties)}
    return batch_of(batch, active, references, len(SEEDS), **{**said, **columns})


def captured(task, ensemble, parameters):
    found = {}
    for action in task.actions:
        found |= ensemble.capture(action, parameters)
    return found


def test_the_shipped_config_of_a_task_bears_its_name(task):
    assert load_config(task.settings.name).task.name == task.settings.name


def test_columns_have_one_meaning(task):
    names = [RATE, *task.terms, *task.controls]
    assert len(set(names)) == len(names)
    assert set(task.needs) <= set(task.terms)
    assert set(task.needs.values()) <= set(task.actions)


@pytest.mark.parametrize("side", [0, 1], ids=["low", "high"])
def test_a_sheet_may_hold_every_column_at_its_bounds(task, side):
    assert all(low < high for low, high in map(task.bounds_of, [RATE, *task.terms, *task.controls]))
    schedule = compile_sheet(sheet_of(task, lambda *bounds: bounds[side] if math.isfinite(bounds[side]) else 1.0))
    for phase in schedule.phases:
        assert all(values.isfinite().all() for values in drawn(task, schedule, phase.end).values())


@pytest.mark.parametrize("side", [0, 1], ids=["low", "high"])
def test_a_sheet_may_not_hold_any_column_beyond_its_bounds(task, side):
    sheet = sheet_of(task, lambda *bounds: bounds[side] if math.isfinite(bounds[side]) else 1.0)
    beyond = {}
    for name in (RATE, *task.terms, *task.controls):
        bound = task.bounds_of(name)[side]
        if math.isfinite(bound):
            beyond[name] = math.nextafter(bound, math.inf if side else -math.inf)
    row = replace(sheet.rows[0], values={**sheet.rows[0].values, **beyond})
    found = check_sheet(replace(sheet, rows=(row, *sheet.rows[1:])), task)
    assert [problem.message.partition(":")[0] for problem in found] == list(beyond)
    assert {problem.line for problem in found} <= {row.line}


def test_batches_are_a_pure_function_of_steps_and_seeds(task, schedule):
    for phase in schedule.phases:
        steps = range(phase.start, phase.end + 1)
        whole, again = task.batches(schedule, steps, SEEDS), task.batches(schedule, steps, SEEDS)
        part = task.batches(schedule, steps[3:7], SEEDS[1:])
        for name, values in whole.items():
            assert values.shape[:2] == (len(steps), len(SEEDS))
            assert torch.equal(values, again[name])
            assert torch.equal(values[3:7, 1:], part[name])


def test_every_term_is_finite_and_moves_some_weight(task, schedule):
    ensemble = Ensemble(task)
    layout, flat = initial_parameters(task, SEEDS)
    parameters = layout.views(flat + 0.05)
    batch, references = drawn(task, schedule, schedule.last_step), captured(task, ensemble, layout.views(flat))
    for term in task.terms:
        found = ensemble.gradients(parameters, at_end(batch, [term], references, schedule), torch.ones(len(SEEDS), 1), NO_KEYS[:2])
        assert found.terms.shape == (len(SEEDS), 1)
        assert found.terms.isfinite().all()
        assert found.gradient.shape == (len(SEEDS), layout.trained)
        assert found.gradient.abs().max() > 0, term


def test_faster_ways_give_what_mapping_one_model_gives(task, schedule):
    if not isinstance(task, Stacked):
        pytest.skip("the task has no faster ways")
    ensemble = Ensemble(task)
    layout, flat = initial_parameters(task, SEEDS)
    # Away from where the references were captured, so that no term and no gradient is 0.
    batch, references = drawn(task, schedule, schedule.last_step), captured(task, ensemble, layout.views(flat))
    parameters = layout.views(flat + 0.05)
    for active in (task.terms, *([term] for term in task.terms)):
        weights = (torch.rand(len(active), generator=torch.Generator().manual_seed(0)) + 0.5).expand(len(SEEDS), -1)
        step = at_end(batch, active, references, schedule, **dict(zip(active, weights[0].tolist(), strict=True)))
        step = replace(step, on=dict.fromkeys(task.switches, (0, 1)))
        found, gradients = task.stacked_gradients(parameters, step, weights)
        expected = ensemble.differentiate(parameters, step, weights, NO_KEYS[:2])
        torch.testing.assert_close(found, expected.terms, rtol=1e-3, atol=1e-6)
        own, largest = torch.cat([part.flatten(1) for part in gradients], 1), float(expected.gradient.abs().max())
        assert torch.allclose(own, expected.gradient, rtol=1e-3, atol=1e-5 * largest), active
    inputs = task.probes()[0].inputs
    fast, slow = task.stacked_observe(parameters, inputs), ensemble.observe_each(parameters, inputs)
    torch.testing.assert_close(fast.outputs, slow.outputs)
    torch.testing.assert_close(fast.latents, slow.latents)


def test_probes_are_fixed_and_each_use_has_one(task):
    probes = task.probes()
    assert all(torch.equal(own.inputs, again.inputs) for own, again in zip(probes, task.probes(), strict=True))
    for use in ("loss", "motion"):
        assert sum(use in probe.uses for probe in probes) == 1
    assert any("final" in probe.uses for probe in probes)
    layout, flat = initial_parameters(task, SEEDS)
    for probe in probes:
        seen = Ensemble(task).observe(layout.views(flat), probe.inputs)
        assert seen.latents.shape[:2] == (len(SEEDS), len(probe.inputs))
        assert task.probe_loss(seen, probe).shape == (len(SEEDS),)


def test_pictures_have_a_color_for_each_point(task, schedule):
    inputs = task.picture().inputs
    colors = task.point_colors(inputs)
    assert colors.shape == (len(inputs), 3)
    assert np.all((colors >= 0) & (colors <= 1))
    for phase in schedule.phases:
        assert len(task.point_colors(task.validation(phase))) == len(task.validation(phase))


def test_on_another_device_everything_that_trains_is_there(task, schedule):
    """The meta device stands for a GPU: it has no numbers, but an operation that mixes devices is an error there too."""
    layout, flat = initial_parameters(task, SEEDS)
    batch = drawn(task, schedule, schedule.last_step)
    references = captured(task, Ensemble(task), layout.views(flat))
    away = torch.device("meta")
    ensemble = Ensemble(task.to(away))
    flat = flat.to(away)
    batch, references = ({name: value.to(away) for name, value in tensors.items()} for tensors in (batch, references))
    weights = torch.ones(len(SEEDS), len(task.terms), device=away)
    for compute in (ensemble.gradients, ensemble.differentiate):
        found = compute(layout.views(flat), at_end(batch, task.terms, references, schedule), weights, NO_KEYS[:2].to(away))
        assert {found.terms.device, found.gradient.device} == {away}
    settings = load_config(task.settings.name).optimizer
    optimizer.update(flat, found.gradient, optimizer.init(settings, flat), weights[:, :1], 1, settings)
    for probe in task.probes():
        seen = ensemble.observe(layout.views(flat), probe.inputs)
        assert task.probe_loss(seen, probe).device == away
    assert all(value.device == away for value in ensemble.examine(layout.views(flat)).values())


# What holds of a whole training, whatever the task


LONG = ("e2c",)  # what it exhibits at the end takes longer than all else here


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in plugins.names("task")])
def written(request, tmp_path):
    """A config of a task and a sheet of all its columns, each in a file."""
    task = default(request.param)
    sheet = sheet_of(task, lambda low, high: min(max(0.5, 2 * low), high))
    rates = [replace(row, values={**row.values, RATE: 1e-3} if row.values else row.values) for row in sheet.rows]
    (tmp_path / "a.csv").write_text(write(replace(sheet, rows=tuple(rates))))
    (tmp_path / "a.yaml").write_text(f"task: {{name: {task.settings.name}}}\nseeds: 0:2\nrecord: {{checkpoint_every: 5}}\n")
    return tmp_path / "a.yaml", tmp_path / "a.csv"


def test_a_run_that_is_stopped_resumes_with_the_same_bits_is_verified_and_forks(written, tmp_path, here):
    runs = tmp_path / "runs"
    execute(plan(*written, steps=14), runs / "whole", figures=False)

    def stop(event):
        if event.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(plan(*written, steps=14), runs / "again", watch=[Hook(PreStep, stop)], figures=False)
    execute(plan(*written, steps=14), runs / "again", figures=False)
    whole, again = Run(runs / "whole"), Run(runs / "again")
    for name, values in {**whole.model, **whole.traces}.items():
        assert np.array_equal(values, {**again.model, **again.traces}[name], equal_nan=True), name
    for name in ("whole", "again"):
        found = here("verify", "--runs", runs, "--replay", 12, name)
        assert found.code == 0, found.err
    forked = here("train", "--runs", runs, "--fork", "whole", "--at", 10, "--name", "fork", "--steps", 14, "--dopesheet", written[1])
    assert forked.code == 0, forked.err
    for name, values in Run(runs / "fork").model.items():
        assert np.array_equal(values, whole.model[name]), name


def test_a_seed_trains_in_a_stack_as_it_does_alone(written):
    stacked = execute(plan(*written, steps=12), None)
    for seed in range(2):
        alone = execute(plan(*written, steps=12, seeds=seed), None)
        for name, values in stacked.parameters.items():
            torch.testing.assert_close(values[seed], alone.parameters[name][0], rtol=1e-2, atol=5e-4)


def test_a_training_that_diverges_keeps_the_last_finite_weights(written, tmp_path):
    sheet = parse(written[1].read_text())
    wild = replace(sheet, rows=tuple(replace(row, values={**row.values, RATE: 1e35} if row.values else row.values) for row in sheet.rows))
    with pytest.raises(DivergedError, match="is not finite at step"):
        execute(plan(written[0], wild, steps=14), tmp_path / "runs" / "a", figures=False)
    stored = Run(tmp_path / "runs" / "a")
    assert stored.status == "diverged"
    assert set(stored.diverged) == {0, 1}
    assert all(np.isfinite(values).all() for values in stored.model.values())


def test_a_training_that_skips_updates_resumes_with_the_same_bits_is_verified_and_forks(written, tmp_path, here):
    """One update at a rate of 1e35, after which no other is finite: all of them are skipped and counted, in every part of the run."""
    runs, skip = tmp_path / "runs", ["optimizer.on_nonfinite=skip"]
    rows = parse(written[1].read_text()).rows
    wild = tuple(replace(row, values={**row.values, RATE: 1e35} if row.values else row.values) for row in rows)
    written[1].write_text(write(replace(parse(written[1].read_text()), rows=wild)))
    checked = plan(*written, steps=14, overrides=skip)
    whole = execute(checked, runs / "whole", figures=False)

    def stop(event):
        if event.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(checked, runs / "again", watch=[Hook(PreStep, stop)], figures=False)
    again = execute(checked, runs / "again", figures=False)
    make_fork(Run(runs / "whole"), 10, checked, runs / "fork", [])
    assert execute(checked, runs / "fork", figures=False).skipped == whole.skipped
    assert whole.skipped == again.skipped
    assert {own.updates for own in whole.skipped.values()} <= {12, 13}
    for name in ("whole", "again", "fork"):
        stored = Run(runs / name)
        assert (stored.status, stored.manifest["diverged"]) == ("finished", {})
        assert skipped_updates(stored.manifest) == whole.skipped
        for key, values in stored.model.items():
            assert np.array_equal(values, whole.parameters[key].numpy()), (name, key)
        found = here("verify", "--runs", runs, "--replay", 12, name)
        assert found.code == 0, found.err
