"""What every task must keep to; a new file in `tasks/` is picked up by its name."""

import numpy as np
import pytest
import torch

from curriculum import plugins
from curriculum.config.settings import schema_of
from curriculum.runner.inputs import load_config
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import RATE, compile_sheet
from curriculum.train import optimizers as optimizer
from curriculum.train.stack import Ensemble, initial_parameters
from curriculum.train.task import Stacked, make_task, settings_of

SEEDS = [3, 8]
VALUES = {"max-step": 2.5, "horizon": 2}  # of columns in which 0.5 makes no sense


@pytest.fixture(params=plugins.names("task"))
def task(request):
    config = schema_of(settings_of(request.param)).model_validate({"task": {"name": request.param}})
    return make_task(config)


@pytest.fixture
def schedule(task):
    """A short sheet in which every term has weight, through all phases of the task's settings."""
    phases = list(getattr(task.settings, "phases", {"": None}))
    columns = [RATE, *task.terms, *task.controls]
    header = ",".join(["STEP", "PHASE", "ACTION", *columns])
    rows = [
        f"{20 * k},{name},{task.actions[0] if task.actions and not k else ''}," + ",".join(str(VALUES.get(name, 0.5)) for name in columns)
        for k, name in enumerate(phases)
    ]
    sheet = parse("\n".join([header, *rows, f"{20 * len(phases)},,," + "," * (len(columns) - 1)]))
    assert not task.check(sheet)
    return compile_sheet(sheet)


def drawn(task, schedule, start):
    return {name: values[0] for name, values in task.batches(schedule, range(start, start + 1), SEEDS).items()}


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
        terms, gradients = ensemble.gradients(parameters, batch, references, [term], torch.ones(len(SEEDS), 1))
        assert terms.shape == (len(SEEDS), 1)
        assert terms.isfinite().all()
        assert any(gradient.abs().max() > 0 for gradient in gradients), term
        assert [gradient.shape for gradient in gradients] == [value.shape for value in parameters.values()]


def test_faster_ways_give_what_mapping_one_model_gives(task, schedule):
    if not isinstance(task, Stacked):
        pytest.skip("the task has no faster ways")
    ensemble = Ensemble(task)
    layout, flat = initial_parameters(task, SEEDS)
    parameters = layout.views(flat)
    batch, references = drawn(task, schedule, schedule.last_step), captured(task, ensemble, parameters)
    weights = torch.full((len(SEEDS), len(task.terms)), 0.3)
    found, expected = (
        compute(parameters, batch, references, task.terms, weights) for compute in (task.stacked_gradients, ensemble.differentiate)
    )
    torch.testing.assert_close(found[0], expected[0], rtol=1e-3, atol=1e-6)
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
        assert task.probe_loss(seen, probe.inputs).shape == (len(SEEDS),)


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
        terms, gradients = compute(layout.views(flat), batch, references, task.terms, weights)
        assert {terms.device, *(gradient.device for gradient in gradients)} == {away}
    gradient = torch.cat([part.flatten(1) for part in gradients], 1)
    optimizer.update(flat, gradient, optimizer.initial_state(flat), weights[:, :1], 1, load_config(task.settings.name).optimizer)
    for probe in task.probes():
        seen = ensemble.observe(layout.views(flat), probe.inputs)
        assert task.probe_loss(seen, probe.inputs.to(away)).device == away
    assert all(value.device == away for value in ensemble.examine(layout.views(flat)).values())
