"""What is recorded and shown of control: gradients, measures, figures, and the systems on their way in a video."""

import math
from dataclasses import replace
from itertools import pairwise

import matplotlib.image as mpimg
import numpy as np
import pytest
import torch

from curriculum.draw.film import Look
from curriculum.draw.video import make_scene, render
from curriculum.errors import InputError
from curriculum.measure.measuring import metrics_of
from curriculum.measure.trace import Trace, common_strides, trace
from curriculum.runner.execute import execute, run
from curriculum.runner.inputs import load_config
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run
from curriculum.tasks.control.curves import size_bands
from curriculum.tasks.control.films.steering import HELD, PLAYED, moments
from curriculum.tasks.control.metrics.rotation import rotation
from curriculum.tasks.control.rollout import unroll
from curriculum.tasks.control.task import ControlTask
from curriculum.tasks.control.update import sketch
from curriculum.train.ensemble import Ensemble
from curriculum.train.events import PreStep
from curriculum.train.hooks import Hook
from curriculum.train.make import make_task
from curriculum.train.stack import initial_parameters

SMALL = Look(width=640, height=360)
SHEET = "STEP,lr,{term},feedback::step-end,physics,agree::step-end,clip\n0,0.003,1,1,1,0,1\n60,,,0,,1,\n80,,,0,,0,\n99,,,,,,\n"
SYSTEMS = {
    "control": ("loss-final", ["task.cartpole.poles=2", "task.cartpole.steps=8"]),
    "control-guidance": ("loss-running", ["task.guidance.steps=6"]),
    "control-quantum": ("loss-running", ["task.quantum.steps=5", "task.quantum.points=12"]),
}
TINY = ["task.test_states=32", "record.snapshot_every=10", "threads=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: run(name, parse(SHEET.format(term=term)), seeds="0:2", folder=folder, name=name, overrides=[*TINY, *more]).run
        for name, (term, more) in SYSTEMS.items()
    }


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_run_has_figures_and_a_video_in_which_the_last_network_steers(runs, name):
    stored = runs[name]
    figures = sorted(path.name for path in stored.figure("losses.png").parent.iterdir())
    assert figures == ["gradient-sizes.png", "latents.png", "losses.png", "timeline.png", "trajectories.png"]
    scene = make_scene([stored], SMALL)
    assert scene.frames[0] == 0
    assert scene.frames[-1] == 90
    seed = int(scene.columns[0].subtitle.rpartition("seed ")[2])
    task = make_task(load_config(name, [*TINY, *SYSTEMS[name][1]]))
    last = {key: torch.from_numpy(value) for key, value in stored.snapshots.select([90], slice(seed, seed + 1)).items()}
    last = {key: value[0] for key, value in last.items()}
    found = task.steered(last, task.tested[:6])[0]
    panel = scene.columns[0].panel
    np.testing.assert_allclose(panel.states[-1], found.numpy(), atol=1e-5)
    assert panel.times[-1] == task.system.steps
    first, later = (
        np.frombuffer(frame, np.uint8).copy() for index, frame in zip(range(30), render(scene), strict=False) if index in (5, 29)
    )
    assert (first != later).any()


def test_runs_of_two_systems_stand_side_by_side_and_what_a_way_does_not_have_is_refused(runs):
    make_scene([runs["control"], runs["control-guidance"]], SMALL, at=50)
    with pytest.raises(InputError, match="shows no latent space: remove --dims"):
        make_scene([runs["control"]], Look(dims=(0, 2)))
    with pytest.raises(InputError, match="choose it with --seed"):
        make_scene([runs["control"]], SMALL, all_seeds=True)


@pytest.mark.slow
def test_a_comparison_has_a_figure_of_the_gradients_of_all_arms(tmp_path, here):
    """Where a gradient is not finite, neither is the combined one, whose components would be left out: it has no size then."""
    for name, rate in (("a", 0.003), ("b", 1e35)):
        sheet = parse(SHEET.format(term="loss-final").replace("0.003", str(rate)))
        overrides = [*TINY, *SYSTEMS["control"][1], "optimizer.on_nonfinite=skip"]
        run("control", sheet, seeds="0:3", folder=tmp_path, name=name, overrides=overrides)
    found = [Run(tmp_path / name) for name in "ab"]
    steps, bands = size_bands(found[0])
    norms = found[0].traces["gradient.norms"]
    assert steps.tolist() == [0, 20, 40, 60, 80]
    assert bands[1:, 1] == pytest.approx(np.median(norms, axis=1).T)
    assert bands[0, 1] == pytest.approx([*bands[1, 1, :3], bands[3, 1, 3], bands[2, 1, 4]])
    assert np.isnan(size_bands(found[1])[1][:, :, 1:]).all()
    compared = here("compare", "--runs", tmp_path, "a", "b")
    assert compared.code == 0, compared.err
    image = mpimg.imread(tmp_path / "comparisons" / "a-vs-b" / "gradient-sizes.png")
    colors = {tuple(np.round(255 * pixel[:3]).astype(int)) for pixel in image.reshape(-1, image.shape[-1])}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors


def test_a_checkpoint_follows_the_test_states_of_the_steps_trained_and_of_few_others(tmp_path, monkeypatch):
    """Weights are followed in groups of 16 steps here, of which five are there: what is made up for the others costs time."""
    followed, observe = [], ControlTask.stacked_observe

    def counting(self, parameters, inputs):
        followed.append(len(parameters["layers.0.weight"]) if len(inputs) == 256 else 0)
        return observe(self, parameters, inputs)

    def stop(event):
        if event.step == 41:
            raise KeyboardInterrupt

    checked = plan("control-quantum", "control-quantum-regular.csv", seeds=0, steps=160, overrides=["task.quantum.points=12"])
    monkeypatch.setattr(ControlTask, "stacked_observe", counting)
    with pytest.raises(KeyboardInterrupt):
        execute(checked, tmp_path / "run", watch=[Hook(PreStep, stop)], figures=False)
    assert 5 <= sum(followed) <= 8


def test_a_run_without_snapshots_says_how_to_get_a_video(tmp_path):
    overrides = ["record.snapshots=off", "threads=1"]
    stored = run("control", "control-regular", steps=3, seeds=0, folder=tmp_path, name="a", overrides=overrides).run
    with pytest.raises(InputError, match=r"has no snapshots.*--set record\.snapshot_every=N"):
        make_scene([stored], SMALL)


def test_every_way_is_shown_from_its_start_and_the_last_frame_is_at_an_end():
    found = moments(3 * (PLAYED + HELD) + 7, 25)
    assert found[-1] == 25
    assert (found == 0).sum() >= 3
    assert (np.diff(found) >= 0).sum() == len(found) - 1 - 3
    assert moments(1, 25).tolist() == [25]


def test_the_recorded_gradients_are_those_of_the_rules_on_the_first_test_states():
    task = make_task(load_config("control", ["task.cartpole.steps=8", "task.test_states=32", "task.batch=16"]))
    layout, flat = initial_parameters(task, [0, 1])
    flat = flat + 0.05 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    found = Ensemble(task).examine(layout.views(flat))
    model = task.build()
    for seed in range(2):
        torch.nn.utils.vector_to_parameters(flat[seed], model.parameters())
        each = []
        for feedback in (1.0, 0.0):
            states = unroll(model, task.system, task.tested[:16], 8, feedback).states
            loss = (1 - states[-1, :, 1].cos()).mean()
            each.append(torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))]))
        regular, modified = each
        kept = modified.sign() == regular.sign()
        norms = torch.stack([regular.norm(), modified.norm(), (modified * kept).norm()])
        torch.testing.assert_close(found["gradient.norms"][seed], norms, rtol=1e-3, atol=1e-5)
        assert found["gradient.kept"][seed].item() == pytest.approx(kept.float().mean().item(), abs=0.01)
        assert found["gradient.cosine"][seed].item() == pytest.approx(torch.cosine_similarity(regular, modified, 0).item(), abs=1e-3)
        sketches = found["gradient.directions"][seed]
        cosine = torch.cosine_similarity(sketches[0], sketches[1], 0).item()
        assert cosine == pytest.approx(torch.cosine_similarity(regular, modified, 0).item(), abs=0.15)


def test_a_sketch_keeps_angles_and_has_none_where_a_gradient_has_no_direction():
    """Two directions at an angle of 60 degrees, of norms that float32 cannot square."""
    noise = torch.Generator().manual_seed(0)
    first, other = torch.linalg.qr(torch.randn(10_701, 2, generator=noise))[0].T
    each = torch.stack([1e25 * first, 1e-25 * (0.5 * first + 0.75**0.5 * other), torch.zeros_like(first), torch.full_like(first, math.inf)])
    found = sketch(each).double()
    assert torch.nn.functional.cosine_similarity(found[0], found[1], 0).item() == pytest.approx(0.5, abs=0.15)
    assert not found[2].any()
    assert not found[3].isfinite().any()
    steps = np.arange(0, 80, 20)
    directions = np.repeat(found[[0, 1, 3, 2]].numpy()[:, None], 3, 1)
    own = Trace(20, steps, np.zeros(4), steps, np.zeros((4, 1, 1)), {}, curves={"gradient.directions": (steps, directions)})
    expected = math.degrees(math.acos(torch.nn.functional.cosine_similarity(found[0], found[1], 0).item()))
    assert rotation(own, np.ones(80, dtype=bool)) == pytest.approx(expected)
    assert math.isnan(rotation(own, np.arange(80) >= 20))


def test_measures_are_those_of_the_rule_that_the_sheet_asks_for(runs):
    stored = runs["control"]
    own = trace(stored, 0, common_strides([stored]))
    norms = stored.traces["gradient.norms"][:, 0]
    assert stored.traces["gradient.norms.steps"].tolist() == [0, 20, 40, 60, 80]
    asked = [norms[0, 0], norms[1, 0], norms[2, 0], norms[3, 2], norms[4, 1]]
    values = {metric.id: metric.compute(own, np.ones(100, dtype=bool)) for metric in metrics_of(stored)}
    assert values["G1"] == pytest.approx(np.median(asked))
    assert values["G2"] == pytest.approx(max(asked))
    assert values["X4"] == pytest.approx(np.median(norms[:, 1]))
    assert [values[name] for name in ("X6", "X7", "X8")] == pytest.approx(norms.max(0))
    sketches = stored.traces["gradient.directions"][:, 0].astype(np.float64)
    taken = [sketches[0, 0], sketches[1, 0], sketches[2, 0], sketches[3, 2], sketches[4, 1]]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairwise(taken)]
    assert values["X9"] == pytest.approx(np.degrees(np.arccos(np.median(cosines))))
    assert values["X10"] == 0
    assert values["B1"] == 100
    # A tenth of the first loss is reached where the loss is said to fall.
    fallen = np.where(own.steps >= 40, own.y[0] - 1.1, own.y)
    (metric,) = [metric for metric in metrics_of(stored) if metric.id == "B1"]
    assert metric.compute(replace(own, y=fallen), np.ones(100, dtype=bool)) == 40
