"""The task e2c: its loss against one written out in full, its noise, what it learns, and what it refuses."""

import math
import re

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from batches import NO_KEYS, batch_of
from curriculum import plugins
from curriculum.measure.comparison import compare
from curriculum.measure.trace import common_strides, trace
from curriculum.runner.execute import execute_all, run
from curriculum.runner.inputs import load_config
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.reader import Run
from curriculum.train.ensemble import Ensemble
from curriculum.train.make import make_task
from curriculum.train.stack import initial_parameters, join_batches

SIZE_E = ["task.plane.agent_half=3", "threads=1"]
TINY = [
    "task.plane.size=8",
    "task.encoder=[16]",
    "task.decoder=[16]",
    "task.transition=[8]",
    "task.batch=8",
    "task.probe_step=2",
    "threads=1",
]
PENDULUM = [*TINY[1:5], "task.plane=null", "task.pendulum={size: 12}", "task.latent_dim=3", "task.probe_step=2", "threads=1"]
WEIGHTS = {"loss-recon": 1, "loss-predict": 1, "kl-prior": 1, "kl-transition": 0.25}


def sheet(last: int = 400, lr: float = 0.005, **columns):
    """A sheet that holds its values; a pair of them moves from the first to the second."""
    names = {**WEIGHTS, "max-step": 4, **{name.replace("_", "-"): value for name, value in columns.items()}}
    rows = [[value[0] if isinstance(value, tuple) else value for value in names.values()]]
    rows += [[value[1] if isinstance(value, tuple) else "" for value in names.values()]]
    lines = [f"{step},{rate}," + ",".join(map(str, row)) for step, rate, row in zip((0, last), (lr, ""), rows, strict=True)]
    return parse("\n".join([f"STEP,lr,{','.join(names)}", *lines]))


def e2c(*overrides: str):
    return make_task(load_config("e2c", overrides))


def drawn(task, made, steps=range(3), seeds=(1, 2)):
    return task.batches(compile_sheet(made), steps, seeds)


def measured(stored: Run, name: str) -> np.ndarray:
    """Compute a measure of a stored run for each of its seeds."""
    everything = np.ones(len(stored.schedule), dtype=bool)
    metric = plugins.find("measure", name)
    return np.array([metric.compute(trace(stored, index, common_strides([stored])), everything) for index in range(len(stored.seeds))])


def written_out(task, model, batch, rho, weights) -> dict[str, float]:
    """Compute the terms with full matrices, a loop over samples, and the distributions of PyTorch."""
    terms = {name: [] for name in weights}
    for index in range(len(batch["noise"])):
        images = task.world.render(batch["states"][index])
        means, log_sigmas = model.encode(images)
        mean, sigma = means[0], log_sigmas[0].exp()
        z = mean + sigma * batch["noise"][index]
        terms["loss-recon"].append(-Bernoulli(logits=model.decoder(z), validate_args=False).log_prob(images[0]).sum())
        terms["kl-prior"].append(kl_divergence(Normal(mean, sigma), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum())
        covariance, product, predicted, apart = torch.diag(sigma**2), torch.eye(len(mean)), [], []
        for step in range(batch["actions"].shape[1]):
            v, r, action, offset = model.local(z)
            a = torch.eye(len(mean)) + torch.outer(v, r)
            product = a @ product
            mean = a @ mean + action @ batch["actions"][index, step] + offset
            covariance = a @ covariance @ a.T
            mixed = rho * batch["noise"][index] + math.sqrt(1 - rho**2) * batch["fresh"][index, step]
            z = mean + product @ (sigma * mixed)
            predicted.append(-Bernoulli(logits=model.decoder(z), validate_args=False).log_prob(images[step + 1]).sum())
            target = MultivariateNormal(means[step + 1], torch.diag((2 * log_sigmas[step + 1]).exp()))
            apart.append(kl_divergence(MultivariateNormal(mean, (covariance + covariance.T) / 2), target))
        terms["loss-predict"].append(torch.stack(predicted).mean())
        terms["kl-transition"].append(torch.stack(apart).mean())
    return {name: torch.stack(values).mean().item() for name, values in terms.items()}


@pytest.mark.parametrize("overrides", [TINY, [*TINY, "task.plane.positions=continuous"], PENDULUM], ids=["plane", "continuous", "pendulum"])
@pytest.mark.parametrize(("rho", "horizon"), [(1, 1), (0, 1), (0.5, 3)])
def test_the_loss_is_the_one_written_out_in_full(overrides, rho, horizon):
    task = e2c(*overrides)
    batch = {name: values[0, 0] for name, values in drawn(task, sheet(rho=rho, horizon=horizon, max_step=2)).items()}
    torch.manual_seed(0)
    model = task.build()
    with torch.no_grad():
        found = task.losses(model, batch_of(batch, WEIGHTS, rho=rho))
        expected = written_out(task, model, batch, rho, WEIGHTS)
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name], rel=1e-4, abs=1e-4), name
    for name in WEIGHTS:
        with torch.no_grad():
            assert task.losses(model, batch_of(batch, [name], rho=rho))[name] == pytest.approx(found[name].item(), rel=1e-5)


def test_the_weights_start_orthogonal_and_every_head_by_itself():
    torch.manual_seed(0)
    model = e2c().build()
    for layer in (model.encoder[2], model.decoder[2], model.transition[2]):
        torch.testing.assert_close(layer.weight @ layer.weight.T, 1.1**2 * torch.eye(len(layer.weight)), atol=1e-4, rtol=0)
        assert not layer.bias.any()
    vr, action, offset = model.transition[-1].weight.split([4, 4, 2])
    for head in (vr, action, offset):
        torch.testing.assert_close(head @ head.T, 1.1**2 * torch.eye(len(head)), atol=1e-4, rtol=0)


def test_the_variants_share_data_and_first_noise_and_their_second_noise_is_another():
    task = e2c()
    shared, fresh = drawn(task, sheet(rho=1)), drawn(task, sheet(rho=0, kl_prior=0.1, lr=0.1))
    for name in ("states", "actions", "noise", "fresh"):
        assert torch.equal(shared[name], fresh[name])
    both = torch.stack([shared["noise"].flatten(), shared["fresh"].flatten()])
    assert abs(torch.corrcoef(both)[0, 1]) < 0.1
    assert both.mean(1).abs().max() < 0.1
    assert both.var(1).numpy() == pytest.approx(1, abs=0.15)
    assert not torch.equal(shared["noise"][:, 0], shared["noise"][:, 1])


def test_the_largest_action_follows_the_sheet_at_every_step():
    task, made = e2c(), sheet(last=240, max_step=(6, 1))
    actions = drawn(task, made, range(241), [3])["actions"].abs().amax((1, 2, 3, 4)).numpy()
    bounds = compile_sheet(made).column("max-step")
    assert (actions <= bounds).all()
    assert (actions == np.floor(bounds + 1e-9)).mean() > 0.98


def test_every_horizon_has_its_steps_and_they_are_marked():
    batch = drawn(e2c(), sheet(last=3, horizon=(1, 3)), range(4), [0])
    assert batch["states"].shape[:4] == (4, 1, 64, 4)
    # A third of the way a minimum-jerk path has come 17/81 of its way: the horizons are 1, 1.42, 2.58 and 3 before rounding.
    assert batch["within"][:, 0, 0].sum(-1).tolist() == [1, 1, 3, 3]


def test_arms_of_different_horizons_train_together_as_they_do_alone():
    task = e2c(*TINY)
    parts = [drawn(task, sheet(horizon=horizon, max_step=2), range(1), [4]) for horizon in (1, 3)]
    joined = join_batches(parts)
    ensemble, (layout, flat) = Ensemble(task), initial_parameters(task, [4, 4])
    weights = torch.tensor(list(WEIGHTS.values())).expand(2, -1)
    batch = batch_of({k: v[0] for k, v in joined.items()}, WEIGHTS, stack=2, rho=1)
    together = ensemble.gradients(layout.views(flat), batch, weights, NO_KEYS[:2])
    for row, part in enumerate(parts):
        batch = batch_of({k: v[0] for k, v in part.items()}, WEIGHTS, stack=1, rho=1)
        alone = ensemble.gradients(layout.views(flat[:1]), batch, weights[:1], NO_KEYS[:1])
        torch.testing.assert_close(together.terms[row], alone.terms[0])
        torch.testing.assert_close(together.gradient[row], alone.gradient[0], atol=1e-5, rtol=1e-4)


def test_a_seed_trains_in_a_stack_as_it_does_alone_and_recording_changes_nothing(tmp_path):
    stack = run("e2c", sheet(last=30, max_step=2), seeds=[2, 7], overrides=TINY, folder=tmp_path)
    alone = run("e2c", sheet(last=30, max_step=2), seeds=7, overrides=TINY)
    for name, value in alone.parameters.items():
        torch.testing.assert_close(value[0], stack.parameters[name][1], atol=1e-4, rtol=1e-3)


@pytest.fixture(scope="module")
def size_e(tmp_path_factory) -> dict[str, Run]:
    """Train size E for 400 steps, 4 seeds: both variants, and one that changes from re-sampled to re-parameterized."""
    folder = tmp_path_factory.mktemp("e")
    sheets = {"shared": sheet(rho=1), "fresh": sheet(rho=0)}
    halfway = "STEP,lr,loss-recon,loss-predict,kl-prior,kl-transition,max-step,rho::step\n0,0.005,1,1,1,0.25,4,0\n310,,,,,,,1\n400,,,,,,,"
    plans = [plan("e2c", made, seeds="0:4", overrides=SIZE_E) for made in (*sheets.values(), parse(halfway))]
    paths = [folder / name for name in (*sheets, "changed")]
    execute_all(plans, paths)
    return {path.name: Run(path) for path in paths}


@pytest.mark.parametrize("variant", ["shared", "fresh"])
@pytest.mark.slow
def test_both_variants_unfold_the_easy_world(size_e, variant):
    stored = size_e[variant]
    assert measured(stored, "worst_r2").min() > 0.95
    assert measured(stored, "folding").max() < 0.03
    assert measured(stored, "prediction_r2").min() > 0.9
    assert measured(stored, "step_ratio").min() > 20
    assert measured(stored, "unfolded").tolist() == [1] * 4
    assert measured(stored, "time_to_unfold").max() <= 300


@pytest.mark.slow
def test_the_step_varies_less_when_it_is_reparameterized_also_from_the_middle_of_a_run_on(size_e):
    own = {name: measured(stored, "step_variance") for name, stored in size_e.items()}
    assert (own["fresh"] > 20 * own["shared"]).all()
    assert (own["fresh"] > 20 * own["changed"]).all()
    stored, before = size_e["changed"], np.zeros(401, dtype=bool)
    before[:310] = True
    metric = plugins.find("measure", "step_variance")
    earlier = np.array([metric.compute(trace(stored, index, common_strides([stored])), before) for index in range(4)])
    assert (earlier > 20 * own["changed"]).all()


@pytest.mark.slow
def test_gradient_noise_is_measured_for_each_module(size_e):
    noise = size_e["shared"].exhibits["gradient.noise"]
    assert noise.shape == (4, 2, 3)
    assert (noise > 0).all()
    # The shared noise of reconstruction and prediction adds up in the encoder: about twice that of independent noise.
    assert (measured(size_e["shared"], "gradient_noise_encoder") < 0.8).all()


def test_gradient_noise_is_the_trace_of_the_covariance_over_draws():
    task = e2c(*TINY)
    torch.manual_seed(1)
    model = task.build()
    with torch.no_grad():
        found = task.exhibit(model)["gradient.noise"]
    for row, rho in enumerate((1.0, 0.0)):
        drawn = []
        for noise, fresh in zip(task.pairs.noise, task.pairs.fresh, strict=True):
            model.zero_grad()
            task._paper_loss(model, noise, fresh, rho).backward()
            modules = (model.encoder, model.transition, model.decoder)
            drawn.append([torch.cat([p.grad.flatten() for p in module.parameters()]) for module in modules])
        expected = torch.stack([torch.stack(draws).double().var(0).sum() for draws in zip(*drawn, strict=True)])
        torch.testing.assert_close(found[row].double(), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_two_variants_are_compared_and_drawn_like_any_task(size_e, tmp_path, here):
    found = compare([size_e["shared"], size_e["fresh"]])
    assert found.final[0].unit == "nats per image"
    assert {row.id for row in found.measures} == {"M1", "M2", "S1", "P1"}
    assert all(math.isfinite(value) for row in found.measures for values in row.values for value in values)
    for name in ("image-rows.png", "vector-field.png", "latents.png"):
        assert size_e["shared"].figure(name).stat().st_size > 10_000
    made = here("animate", size_e["shared"].path, size_e["fresh"].path, "-o", tmp_path / "maps.png", "--seeds", "all")
    assert made.code == 0, made.err


@pytest.mark.slow
def test_without_its_own_actions_a_model_cannot_predict(tmp_path):
    stored = run("e2c", sheet(), seeds="0:2", overrides=[*SIZE_E, "task.actions=shuffled"], folder=tmp_path).run
    assert measured(stored, "prediction_r2").max() < 0.5


def test_the_action_before_is_no_action_of_the_pair():
    own, shifted = (drawn(e2c(f"task.actions={name}"), sheet(), range(1), [0]) for name in ("own", "shifted"))
    moved = own["states"].diff(dim=3)
    assert torch.equal(own["actions"], moved)
    assert (shifted["actions"] != shifted["states"].diff(dim=3)).float().mean() > 0.5


def test_a_pendulum_trains_and_what_a_flat_map_alone_has_is_missing(tmp_path):
    stored = run("e2c", sheet(last=40, max_step=2), seeds="0:2", overrides=PENDULUM, folder=tmp_path).run
    assert np.isnan(measured(stored, "folding")).all()
    assert np.isfinite(measured(stored, "worst_r2")).all()
    assert np.isfinite(measured(stored, "trust")).all()
    assert stored.exhibits["rows.decoded"].shape == (2, 6, 2, 2, 12, 12)
    assert stored.figure("vector-field.png").is_file()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max-step", 0.2, "the target 0.2 of 'max-step' is outside its bounds (allowed: 1 to 8)"),
        ("rho", 1.5, "the target 1.5 of 'rho' is outside its bounds (allowed: 0 to 1)"),
        ("horizon", 65, "the target 65 of 'horizon' is outside its bounds (allowed: 1 to 64)"),
    ],
)
def test_a_hook_that_moves_a_column_out_of_its_bounds_is_told_at_once(name, value, says):
    from curriculum import PreStep, Retarget, on
    from curriculum.errors import CurriculumError

    @on(PreStep)
    def move(event):
        return Retarget(name, value, 30) if event.step == 2 else None

    with pytest.raises(CurriculumError, match=re.escape(f"invalid retarget by a hook at step 2: {says}")):
        run("e2c", sheet(last=20, max_step=2, rho=0.5, horizon=2), hooks=[move], overrides=TINY)


HEADER = "STEP,lr,loss-recon,loss-predict,kl-prior,kl-transition,max-step,rho,horizon"


@pytest.mark.parametrize(
    ("rows", "place", "says"),
    [
        ("0,0.01,1,1,1,0.25,0.5,1,1", "2:7", "max-step: 0.5 is outside its bounds (allowed: 1 to 16)"),
        ("0,0.01,1,1,1,0.25,99,1,1", "2:7", "max-step: 99 is outside its bounds (allowed: 1 to 16)"),
        ("0,0.01,1,1,1,0.25,2,1.5,1", "2:8", "rho: 1.5 is outside its bounds (allowed: 0 to 1)"),
        ("0,0.01,1,1,1,0.25,2,-0.1,1", "2:8", "rho: -0.1 is outside its bounds (allowed: 0 to 1)"),
        ("0,0.01,1,1,1,0.25,2,1,0", "2:9", "horizon: 0 is outside its bounds (allowed: 1 to 64)"),
        ("0,0.01,1,1,1,0.25,2,1,1\n100,,,,,,0,,", "3:7", "max-step: 0 is outside its bounds (allowed: 1 to 16)"),
    ],
)
def test_a_sheet_that_cannot_be_trained_is_refused_at_its_place(empty, here, rows, place, says):
    (empty / "s.csv").write_text(f"{HEADER}\n{rows}\n200,,,,,,,,\n")
    done = here("train", "--config", "e2c", "--dopesheet", "s.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: s.csv:{place}: {says}")
    assert len(done.err.splitlines()) == 1
    assert not (empty / "runs").exists()


def test_a_sheet_without_a_largest_action_is_refused(empty, here):
    (empty / "s.csv").write_text("STEP,lr,loss-recon\n0,0.01,1\n20,,\n")
    done = here("train", "--config", "e2c", "--dopesheet", "s.csv")
    assert (done.code, done.err) == (2, "error: s.csv:1:1: no column 'max-step': a sheet must set the size of the largest action\n")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            ["plane: {size: 16, agent_half: 9}"],
            "3:21: task.plane.agent_half cannot be 9: an agent of 18 x 18 pixels cannot move in an image of 16 x 16 (at most 7.5)",
        ),
        (
            ["plane: {size: 10, agent_half: 4.5, obstacles: true}"],
            "3:3: task.plane cannot be {'size': 10, 'agent_half': 4.5, 'obstacles': True}: "
            "the obstacles leave an agent of this size no room to move",
        ),
        (
            ["plane: {size: 16}", "pendulum: {size: 12}"],
            "4:3: task.pendulum cannot be {'size': 12}: a task has only one world; remove plane or pendulum",
        ),
        (
            ["plane: {size: 16}", "probe_step: 0.5"],
            "4:3: task.probe_step cannot be 0.5: the largest action in this world must be 1 to 16",
        ),
        (
            ["pendulum: {size: 12}", "probe_step: 3"],
            "4:3: task.probe_step cannot be 3: the largest action in this world must be above 0, at most 2",
        ),
        (["encoder: [64, 0]"], "3:3: task.encoder cannot be [64, 0]: each hidden layer must have 1 to 4096 units"),
    ],
)
def test_settings_that_make_no_world_are_refused_at_their_place(empty, here, lines, says):
    (empty / "c.yaml").write_text("\n  ".join(["task:", "name: e2c", *lines]))
    (empty / "s.csv").write_text("STEP,lr,loss-recon,max-step\n0,0.01,1,2\n20,,,\n")
    done = here("train", "--config", "c.yaml", "--dopesheet", "s.csv")
    assert (done.code, done.out, done.err) == (2, "", f"error: c.yaml:{says}\n")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("e2c-easy", "e2c-easy"),
        ("e2c", "e2c-reparameterized"),
        ("e2c", "e2c-resampled"),
        ("e2c-plane", "e2c-large-then-small"),
        ("e2c-plane", "e2c-small"),
        ("e2c-full", "e2c-full"),
        ("e2c-pendulum", "e2c-pendulum"),
    ],
)
def test_what_is_shipped_fits_together(config, name):
    checked = plan(config, name)
    assert not checked.warnings
    assert set(checked.sheet.properties) == {"lr", *WEIGHTS, "max-step", "rho"}


@pytest.mark.slow
def test_a_curriculum_on_the_largest_step_unfolds_what_small_steps_leave_folded(tmp_path):
    names = ("e2c-large-then-small", "e2c-small")
    execute_all([plan("e2c-plane", name, seeds="0:4") for name in names], [tmp_path / name for name in names])
    curriculum, constant = (measured(Run(tmp_path / name), "worst_r2") for name in names)
    assert (curriculum > 0.9).sum() >= 3
    assert constant.max() < 0.7


@pytest.mark.slow
def test_a_model_that_only_reconstructs_does_not_unfold_the_harder_world(tmp_path):
    alone = parse("STEP,lr,loss-recon,kl-prior,max-step\n0,0.002,1,1,4\n4000,,,,")
    stored = run("e2c", alone, seeds="0:4", folder=tmp_path).run
    assert measured(stored, "worst_r2").max() < 0.5
