import colorsys

import numpy as np
import pytest
import torch

from batches import NO_KEYS, batch_of
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.tasks.color.colors import sampling_weights
from curriculum.tasks.color.model import ColorSettings
from curriculum.tasks.color.task import ColorTask
from curriculum.train.ensemble import Ensemble
from curriculum.train.stack import initial_parameters

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,1,0,0
10,All hues,anchor,,,,0,0
20,,,,,,1,1
40,,,,,,1,1
"""


def make_task(**settings) -> ColorTask:
    return ColorTask(ColorSettings(**settings))


def test_the_model_has_263_parameters_in_pytorchs_order():
    layout, flat = initial_parameters(make_task(), [0])
    assert layout.size == 263
    assert list(layout.shapes) == [f"{part}.{i}.{kind}" for part in ("encoder", "decoder") for i in (0, 2) for kind in ("weight", "bias")]
    torch.manual_seed(0)
    assert torch.equal(flat[0, :48], torch.nn.Linear(3, 16).weight.flatten())


def test_initial_weights_do_not_depend_on_which_seeds_train_together():
    together = initial_parameters(make_task(), [3, 7, 11])[1]
    assert torch.equal(together[1], initial_parameters(make_task(), [7])[1][0])


def test_building_models_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initial_parameters(make_task(), [0, 1])
    assert torch.equal(torch.rand(3), expected)


def test_data_are_the_colors_of_the_specification():
    task = make_task()
    assert {name: len(colors) for name, colors in task.colors.items()} == {"primary": 6, "full": 3600, "rgb": 512, "hues": 36, "g5": 125}
    assert task.colors["primary"].tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    hue, saturation, value = 7, 4, 8
    expected = colorsys.hsv_to_rgb(hue / 36, saturation / 9, value / 9)
    np.testing.assert_allclose(task.colors["full"][hue * 100 + saturation * 10 + value], expected, atol=1e-7)


def uniforms(seed: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).random((count, 32))


def reference_batch(task: ColorTask, u: np.ndarray, hues: float, vibrancies: float) -> tuple[np.ndarray, np.ndarray]:
    """Sample by the formulas of the specification, color by color."""
    focus, weight = [], []
    for k in range(36):
        for s in np.linspace(0, 1, 10):
            for v in np.linspace(0, 1, 10):
                degrees = abs(k * 10 - 60 * round(k * 10 / 60))
                primary = (np.cos(np.pi * degrees / 30) + 1) / 2
                own = 1.0
                for w, f in ((s * v, vibrancies), (primary, hues)):
                    low_in, low_out = np.interp(f, [0, 0.5], [0.99, 0]), np.interp(f, [0.5, 1], [0, 1])
                    own *= low_out + (1 - low_out) * min(max((w - low_in) / (1 - low_in), 0), 1)
                focus.append(own)
                weight.append(own * ((1 - v) / 360 + (1 - s) * v / 36 + s * v))
    edges = np.cumsum(weight)
    chosen = np.searchsorted(edges / edges[-1], u, side="right")
    own = np.array(focus)[chosen]
    return task.colors["full"][chosen].numpy(), own / own.sum()


@pytest.mark.parametrize("weighting", ["sum", "mean"])
def test_a_batch_follows_the_focus_that_the_step_before_it_set(weighting):
    task, schedule = make_task(sample_weighting=weighting), compile_sheet(parse(SHEET))
    seeds = [4, 9]
    batches = task.batches(schedule, range(12, 19), seeds)
    step, index = 16, 16 - 12
    before = schedule.at(step - 1)
    for place, seed in enumerate(seeds):
        u = uniforms(seed, 7)[step - 10]
        colors, weights = reference_batch(task, u, before["data-hues"], before["data-vibrancies"])
        np.testing.assert_allclose(batches["colors"][index, place], colors)
        share = weights if weighting == "mean" else weights / 32
        np.testing.assert_allclose(batches["shares"][index, place], share, rtol=1e-5)


def test_batches_are_the_same_however_they_are_asked_for():
    task, schedule = make_task(), compile_sheet(parse(SHEET))
    whole = task.batches(schedule, range(10, 41), [0, 1])
    part = task.batches(schedule, range(23, 30), [1])
    assert torch.equal(whole["colors"][13:20, 1], part["colors"][:, 0])


def test_with_mean_weighting_a_loss_means_the_same_in_every_phase():
    task, schedule = make_task(), compile_sheet(parse(SHEET))
    for steps in (range(0, 10), range(10, 40)):
        np.testing.assert_allclose(task.batches(schedule, steps, [0])["shares"].sum(-1), 1, rtol=1e-5)


def test_colors_without_any_focus_are_sampled_evenly_with_a_warning():
    with pytest.warns(UserWarning, match="no color has a positive weight"):
        assert sampling_weights(np.array([[0.0, -1.0], [0.0, 2.0]])).tolist() == [[1, 1], [0, 2]]
    assert sampling_weights(np.array([[2.0, -1.0]])).tolist() == [[2, 0]]


def losses_of(task, batch, active, references=None):
    model = task.build()
    return model, task.losses(model, batch_of(batch, active, references))


def test_loss_terms_are_those_of_the_specification():
    task = make_task()
    torch.manual_seed(0)
    batch = {"colors": torch.rand(5, 3), "shares": torch.rand(5)}
    reference = torch.randn(6, 4)
    with torch.no_grad():
        model, terms = losses_of(task, batch, task.terms, {"anchor": reference})
        z = model.encoder(batch["colors"]).numpy()
        out = model.decoder(torch.from_numpy(z)).numpy()
        anchor = model.encoder(task.colors["primary"]).numpy()
    shares = batch["shares"].numpy()
    separate = sum(1 / (((z[i, :2] - z[j, :2]) ** 2).sum() + 1e-6) for i in range(5) for j in range(5) if i != j) / 25
    expected = {
        "loss-recon": (shares * ((out - batch["colors"].numpy()) ** 2).mean(1)).sum(),
        "reg-separate": separate,
        "reg-planar": (shares * (z[:, 2:] ** 2).sum(1)).sum(),
        "reg-norm": (shares * (np.linalg.norm(z, axis=1) - 1) ** 2).sum(),
        "reg-anchor": ((anchor - reference.numpy()) ** 2).mean(),
    }
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-5), name


def test_a_latent_of_two_dimensions_is_planar():
    task = make_task(latent_dim=2)
    with torch.no_grad():
        _, terms = losses_of(task, {"colors": torch.rand(5, 3), "shares": torch.ones(5)}, ["reg-planar"])
    assert float(terms["reg-planar"]) == 0


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("latent_dim", [2, 4])
@pytest.mark.parametrize(
    "active", [ColorTask.terms, ("loss-recon",), ("reg-norm", "reg-anchor"), ("reg-separate",), ("reg-planar", "loss-recon")]
)
def test_the_stacked_gradients_are_the_derivatives_of_the_losses(normalize, latent_dim, active):
    task = make_task(normalize_bottleneck=normalize, latent_dim=latent_dim, hidden=5)
    ensemble = Ensemble(task)
    layout, flat = initial_parameters(task, [0, 1, 2])
    parameters = layout.views(flat.double())
    task.colors = {name: colors.double() for name, colors in task.colors.items()}
    torch.manual_seed(1)
    batch = {"colors": torch.rand(3, 7, 3).double(), "shares": torch.rand(3, 7).double()}
    references = {"anchor": torch.randn(3, 6, latent_dim).double()}
    weights = torch.rand(3, len(active)).double()
    found = ensemble.gradients(parameters, batch_of(batch, active, references, 3), weights, NO_KEYS[:3])
    expected = ensemble.differentiate(parameters, batch_of(batch, active, references, 3), weights, NO_KEYS[:3])
    torch.testing.assert_close(found.terms, expected.terms)
    torch.testing.assert_close(found.gradient, expected.gradient)


def test_the_probe_loss_is_the_mean_squared_error():
    task = make_task()
    layout, flat = initial_parameters(task, [0, 1])
    inputs = task.colors["hues"]
    seen = Ensemble(task).observe(layout.views(flat), inputs)
    assert seen.outputs.shape == (2, 36, 3)
    assert seen.latents.shape == (2, 36, 4)
    expected = ((seen.outputs - inputs) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(task.probe_loss(seen, task.probes()[0]), expected)


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in make_task().check(parse(text, "s.csv"))]


def test_a_phase_without_data_is_named_with_both_lists():
    (problem,) = problems_of("STEP,PHASE,lr,loss-recon\n0,Primary & secondary,1,1\n5,Al hues,,\n9,,,\n")
    assert problem.startswith("s.csv:3:2: ")
    for name in ("Al hues", "All hues", "Primary & secondary", "Full color space"):
        assert name in problem


def test_sampled_phases_need_the_columns_that_they_are_sampled_by():
    assert len(problems_of("STEP,PHASE,lr,loss-recon\n0,All hues,1,1\n9,,,\n")) == 2
    assert not problems_of("STEP,PHASE,lr,loss-recon\n0,Primary & secondary,1,1\n9,,,\n")
