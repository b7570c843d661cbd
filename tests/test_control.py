"""Control through simulators: the systems, the gradients of every update rule, and what training by them comes to."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from batches import NO_KEYS, batch_of
from curriculum.config.settings import Adam
from curriculum.runner.arithmetic import arithmetic
from curriculum.runner.execute import execute, execute_all
from curriculum.runner.inputs import load_config
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import compile_sheet
from curriculum.store.reader import Run
from curriculum.tasks.control import adjoint
from curriculum.tasks.control.network import Stack, convolutional, perceptron
from curriculum.tasks.control.rollout import Shares, shares, terms, unroll
from curriculum.tasks.control.systems.cartpole import SPREAD, CartPole, CartPoleSettings
from curriculum.tasks.control.systems.guidance import Guidance, GuidanceSettings
from curriculum.tasks.control.systems.quantum import Quantum, QuantumSettings
from curriculum.tasks.control.task import ControlTask
from curriculum.tasks.control.update import clipped, combine, mixed
from curriculum.train.ensemble import Ensemble
from curriculum.train.make import make_task
from curriculum.train.optimizers import init, update
from curriculum.train.stack import initial_parameters

EXACT = {"atol": 1e-9, "rtol": 0}
RULES = {"regular": (1, 1), "modified": (0, 1), "one-step": (0, 0), "in between": (0.25, 0.5)}


@pytest.fixture(autouse=True)
def _one_thread():
    with arithmetic(1, flush=False):
        yield


def of(*values):
    return torch.tensor(values, dtype=torch.float64)


# The systems


def test_a_cart_with_two_poles_moves_as_computed_elsewhere():
    system = CartPole(CartPoleSettings(poles=2, dt=0.01))
    state, force = of(0.1, 3.0, 3.3, -0.2, 0.5, -0.4), of(2.0)
    expected = of(0.0982066900, 3.0055118890, 3.2960399099, -0.1793309972, 0.5511888965, -0.3960090014)
    torch.testing.assert_close(system.step(state, force), expected, **EXACT)
    for _ in range(100):
        state = system.step(state, force)
    torch.testing.assert_close(state[:3], of(0.8390091183, 3.4514472802, 3.4166990773), **EXACT)


def test_drivers_and_evaders_move_as_computed_elsewhere():
    system = Guidance(GuidanceSettings(drivers=2, evaders=2))
    state = of(3, 0, 0, 3.5, 1, 1, 1.5, 0.8, 0, 0, 0, 0, 0.2, 0, 0, -0.1)
    moved = system.step(state, of(0.1, 0.2, -0.3, 0.4))
    speeds = (0.0291366009, -0.0074371455, 0.0028633991, -0.0985628545, -0.0938562009, -0.1364240986, -0.3131725340, -0.0928715415)
    torch.testing.assert_close(moved[8:], of(*speeds), **EXACT)
    torch.testing.assert_close(moved[:8], state[:8] + state[8:] / 15)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 5e-6)])
def test_a_particle_in_a_box_moves_as_computed_elsewhere_and_keeps_its_norm(dtype, within):
    system = Quantum(QuantumSettings())
    basis = torch.from_numpy(system.basis)
    state = (torch.cat([basis[0], basis[1]]) / math.sqrt(2)).to(dtype)
    for step in range(128):
        state = system.step(state, torch.tensor([30 * math.sin(0.3 * step)], dtype=dtype))
    probability = [1 - system.error(state[None], basis[n][None].to(dtype)).item() for n in range(4)]
    assert probability == pytest.approx([0.0342983307, 0.4638692820, 0.0887519291, 0.1913587739], abs=100 * within)
    assert state.square().sum().item() == pytest.approx(1, abs=within)


SYSTEMS = {
    "one pole": lambda: CartPole(CartPoleSettings(steps=7)),
    "four poles": lambda: CartPole(CartPoleSettings(poles=4, steps=7)),
    "guidance": lambda: Guidance(GuidanceSettings(steps=7)),
    "attracting to the mean": lambda: Guidance(GuidanceSettings(drivers=3, evaders=2, steps=7, centre="mean", flock="attracting")),
    "quantum": lambda: Quantum(QuantumSettings(points=12, steps=7)),
}


def started(system, count=5, seed=0):
    columns = {name: np.array([entry[2]], dtype=np.float64) for name, entry in system.columns.items()}
    return torch.from_numpy(system.start(system.draw(np.random.default_rng(seed), count), columns))


def steered(system, seed=0):
    """Build a network in float64 whose control is not 0."""
    torch.manual_seed(seed)
    if isinstance(system, Quantum):
        return convolutional(12, (5, 6), 1, False).double()
    return perceptron(system.size, (9, 7), system.controls, False).double()


def sheet_of(system, **more):
    return {name: of(entry[2]).squeeze() for name, entry in system.columns.items()} | more


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_adjoint_recursion_gives_the_gradient_of_the_stopped_graph(name, rule):
    system = SYSTEMS[name]()
    network, start = steered(system), started(system)
    (feedback, physics), weights = RULES[rule], (0.7, 0.3, 0.1)
    counted, aim = shares(torch.arange(7) < 6, system, start), system.aim(sheet_of(system), start)
    path = unroll(network, system, start, 7, feedback, physics)
    values = terms(path, system, counted, aim).values()
    graph = torch.autograd.grad(sum(w * v for w, v in zip(weights, values, strict=True)), list(network.parameters()))
    expected = torch.cat([part.flatten() for part in graph])
    stack = Stack.of({key: value.detach()[None] for key, value in network.named_parameters()}, network.patches)
    found = adjoint.forward(stack, system, start[None], 7)
    own = Shares(*(share[:, None] for share in counted))
    slopes = adjoint.slopes(found.path, system, own, [of(weight) for weight in weights], aim[None])
    torch.testing.assert_close(
        adjoint.gradient(stack, system, found, slopes, of(physics), of(feedback))[0], expected, atol=1e-10, rtol=1e-10
    )
    if not feedback:
        modified = adjoint.modified_gradient(stack, system, found, slopes, of(physics))
        torch.testing.assert_close(modified[0], expected, atol=1e-10, rtol=1e-10)


class Line(CartPole):
    """A place that moves by a tenth of the control."""

    def __init__(self):
        super().__init__(CartPoleSettings(steps=10))
        self.size = 1

    def step(self, state, control):
        return state + 0.1 * control

    def jacobian(self, states, controls):
        return torch.cat([torch.ones_like(states), 0.1 * torch.ones_like(states)], -1).unsqueeze(-1)

    def error(self, states, aim):
        return states.square().sum(-1) / 2

    def error_gradient(self, states, aim):
        return states


@pytest.mark.parametrize(
    ("rule", "final", "cost"),
    [
        ("regular", (2.5269502, 2.0488062), (10.0973746, 8.0648669)),
        ("modified", (2.0488062, 1.6288946), (8.0648669, 6.2889463)),
        ("one-step", (0.2526950, 0.1628895), (8.0648669, 6.2889463)),
    ],
)
def test_every_rule_has_the_gradient_that_was_derived_by_hand(rule, final, cost):
    system = Line()
    network = perceptron(1, (), 1, False).double()
    with torch.no_grad():
        network.layers[0].weight.fill_(0.5)
    start, (feedback, physics) = of(1.0)[None], RULES[rule]
    stack = Stack.of({key: value.detach()[None] for key, value in network.named_parameters()}, network.patches)
    found = adjoint.forward(stack, system, start[None], 10)
    # The cost is half the sum of squares, and a term the mean of squares over 10 steps.
    for weights, expected in (((1, 0, 0), final), ((0, 0, 5), cost)):
        counted = shares(torch.ones(10), system, start)
        path = unroll(network, system, start, 10, feedback, physics)
        values = terms(path, system, counted, start).values()
        loss = sum(weight * value for weight, value in zip(weights, values, strict=True))
        graph = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(network.parameters()))])
        own = Shares(*(share[:, None] for share in counted))
        slopes = adjoint.slopes(found.path, system, own, [of(weight) for weight in weights], start)
        for own in (graph, adjoint.gradient(stack, system, found, slopes, of(physics), of(feedback))[0]):
            torch.testing.assert_close(own, of(*expected), atol=1e-7, rtol=0)


# The rules


def test_the_combined_update_keeps_what_agrees():
    assert combine(of(1, -2, 3, 0), of(2, 1, 0, 0)).tolist() == [1, 0, 0, 0]
    bad = combine(of(math.nan, math.nan, 1, math.inf), of(math.nan, 1, math.nan, math.inf))
    assert bad.tolist() == [0, 0, 0, 0]
    assert mixed(of(1, -2), of(2, 1), of(0.25).squeeze()).tolist() == [1, -1.5]


def test_a_gradient_that_is_not_finite_is_not_finite_after_any_rule():
    for modified, regular, agree in ((of(1, math.inf), of(1, 1), 1.0), (of(1, 1), of(1, math.nan), 0.5), (of(math.nan, 1), of(1, 1), 0.0)):
        assert not mixed(modified, regular, of(agree).squeeze()).isfinite().any()
    assert mixed(of(1, 1), of(1, math.inf), of(0.0).squeeze()).tolist() == [1, 1]


def test_a_norm_is_clipped_where_float32_cannot_hold_its_square():
    huge = torch.tensor([[3e30, 4e30], [0.3, 0.4], [0.0, 0.0]])
    found = clipped(huge, torch.tensor([1.0, 1.0, 1.0]))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    assert torch.equal(clipped(huge, torch.full((3,), math.inf)), huge)


def test_the_published_toy():
    """In L = x^2 + y^2 from (2, 4), Adam orbits under the modified gradient; the combined one stays a descent. Figure 2 of the paper."""
    seen = {}
    for rule in "RMC":
        place, settings = torch.tensor([[2.0, 4.0]]), Adam(eps=1e-7)
        moments, losses = init(settings, place), []
        for step in range(200):
            losses.append(place.square().sum().item())
            regular = 2 * place
            modified = regular + 2 * torch.stack([regular[:, 1], -regular[:, 0]], 1)
            direction = {"R": regular, "M": modified, "C": combine(modified, regular)}[rule]
            update(place, direction.clone(), moments, torch.full((1, 1), 0.1), step + 1, settings)
        seen[rule] = [losses[step] for step in (100, 150, 199)]
    assert seen["R"] == pytest.approx([5.3e-4, 2.4e-7, 2.0e-8], abs=1e-2)
    assert seen["M"] == pytest.approx([3.31, 4.69, 6.17], rel=0.05)
    assert seen["C"] == pytest.approx([0.393, 0.066, 0.0646], rel=0.05)


# The task

COLUMNS = "STEP,lr,loss-final,feedback,physics,agree,clip"


def control(*overrides, name="control"):
    return make_task(load_config(name, overrides))


def batch_at(task, schedule, step, seeds, on):
    drawn = {key: values[0] for key, values in task.batches(schedule, range(step, step + 1), seeds).items()}
    columns = {**task.defaults(), **schedule.at(step)}
    active = [name for name in task.terms if columns.get(name)]
    return replace(batch_of(drawn, active, stack=len(seeds), **columns), on=on), torch.tensor(
        [[columns[name] for name in active]] * len(seeds)
    )


def test_at_first_the_network_is_still_and_all_rules_agree():
    task = control()
    layout, flat = initial_parameters(task, [0, 1])
    found = {}
    for rule, (feedback, physics, agree) in {"R": (1, 1, 0), "M": (0, 1, 0), "C": (0, 1, 1)}.items():
        schedule = compile_sheet(parse(f"{COLUMNS}\n0,0.001,1,{feedback},{physics},{agree},1\n9,,,,,,\n"))
        on = {name: (0, 1) for name, value in (("feedback", feedback), ("agree", agree)) if value}
        batch, weights = batch_at(task, schedule, 0, [0, 1], on)
        found[rule] = Ensemble(task).gradients(layout.views(flat), batch, weights, NO_KEYS[:2]).gradient
    assert torch.equal(found["R"], found["M"])
    assert torch.equal(found["R"], found["C"])
    hidden, output = found["R"].split([layout.trained - 101, 101], 1)
    assert not hidden.any()
    assert output.abs().min() > 0


def test_each_seed_has_training_states_of_its_own_in_a_fixed_order_and_all_are_tested_on_the_same():
    schedule = compile_sheet(parse(f"{COLUMNS}\n0,0.001,1,1,1,0,1\n99,,,,,,\n"))
    task, shuffled = control("task.train_states=48"), control("task.train_states=48", "task.order=shuffled")
    start = task.batches(schedule, range(6), [0, 1])["start"]
    assert torch.equal(start[0], start[3])
    assert torch.equal(start[1, :, :16], start[1, :, :16])
    assert torch.equal(start[0, :, :16], start[1, :, 16:])  # 48 states in batches of 32: the second begins anew amid itself
    assert not torch.equal(start[:, 0], start[:, 1])
    other = shuffled.batches(schedule, range(6), [0, 1])["start"]
    for seed in range(2):
        epoch = {tuple(state) for state in start[:3, seed].flatten(0, 1)[:48].tolist()}
        assert {tuple(state) for state in other[:3, seed].flatten(0, 1)[:48].tolist()} == epoch
    assert not torch.equal(other[0], other[3])
    assert torch.equal(task.tested, shuffled.tested)


def test_the_spread_of_angles_and_the_weights_of_poles_follow_the_sheet():
    task = control("task.cartpole.poles=2")
    schedule = compile_sheet(parse(f"{COLUMNS},{SPREAD},pole-2\n0,0.001,1,1,1,0,1,0,0\n10,,,,,,,0.5,1\n"))
    angles = task.batches(schedule, range(11), [0])["start"][:, 0, :, 1:3] - math.pi
    assert angles[0].abs().max() < 1e-6
    assert 0.4 < angles[10].abs().max() < 0.5 + 1e-6
    layout, flat = initial_parameters(task, [0])
    batch, weights = batch_at(task, schedule, 0, [0], {"feedback": (0,)})
    value = Ensemble(task).gradients(layout.views(flat), batch, weights, NO_KEYS[:1]).terms.item()
    upright = task.system.aim({"pole-1": torch.tensor(1.0), "pole-2": torch.tensor(0.0)}, batch["start"])
    start = batch["start"][0]
    for _ in range(25):
        start = task.system.step(start, torch.zeros(1))
    assert value == pytest.approx(task.system.error(start, upright).mean().item(), rel=1e-5)
    assert 0.9 < value < 1


def test_a_horizon_takes_the_loss_at_its_last_step():
    task = control()
    layout, flat = initial_parameters(task, [0, 1])
    flat = flat + 0.02
    parts = []
    for horizon in (5, 9):
        schedule = compile_sheet(parse(f"{COLUMNS},loss-running,horizon\n0,0.001,1,1,1,0,1,0.5,{horizon}\n9,,,,,,,,\n"))
        batch, weights = batch_at(task, schedule, 3, [0, 1], {"feedback": (0, 1)})
        assert batch["within"].shape[-1] == horizon
        found = Ensemble(task).gradients(layout.views(flat), batch, weights, NO_KEYS[:2])
        longer = torch.nn.functional.pad(batch["within"], (0, 9 - horizon))
        padded = replace(batch, tensors={**batch.tensors, "within": longer})
        again = Ensemble(task).gradients(layout.views(flat), padded, weights, NO_KEYS[:2])
        torch.testing.assert_close(found.terms, again.terms)
        torch.testing.assert_close(found.gradient, again.gradient, rtol=1e-3, atol=1e-7)
        parts.append(found.terms)
    assert not torch.allclose(parts[0], parts[1])


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.numbers = max(self.numbers, found.numel())
        return found


def test_to_steer_the_test_states_takes_no_more_memory_than_their_states():
    task = control()
    layout, flat = initial_parameters(task, [0, 1])
    with Largest() as made:
        Ensemble(task).observe(layout.views(flat), task.tested)
    assert made.numbers <= max((task.system.steps + 1) * 2 * task.tested.numel(), 2 * len(task.tested) * 100)


# What comes out


def trained(*rules, seeds, steps=640):
    """Train the easy cart-pole by some rules as one stack, and give the test losses `[S]` of each after the last step."""
    plans = [plan("control-cartpole-easy", f"control-{rule}.csv", seeds=seeds, steps=steps) for rule in rules]
    task, found = plans[0].task, []
    for ended in execute_all(plans, [None] * len(plans)):
        seen = Ensemble(task).observe(ended.parameters, task.tested)
        found.append(task.probe_loss(seen, task.probes()[0]).numpy())
    return found


def test_the_combined_update_is_ahead_of_the_regular_one_after_320_updates():
    combined, regular = trained("combined", "regular", seeds="0:2", steps=320)
    assert combined.mean() < regular.mean() / 2
    assert combined.max() < 0.2


@pytest.mark.slow
def test_the_published_order_of_the_updates_at_640_updates():
    rules = ("regular", "stopped", "combined", "one-step")
    found = {rule: np.median(losses) for rule, losses in zip(rules, trained(*rules, seeds="0:8"), strict=True)}
    assert found["combined"] <= found["regular"] / 3
    assert found["stopped"] >= 2 * found["combined"]
    assert found["one-step"] > 0.4


@pytest.mark.slow
def test_at_twice_the_horizon_and_a_large_rate_some_herds_diverge_and_the_others_are_trained_to_the_end(tmp_path):
    sheet = parse("STEP,lr,loss-running,cost-control,feedback,physics,agree,clip\n0,0.1,1,0.001,1,1,0,1\n119,,,,,,,\n")
    ended = execute(plan("control-guidance", sheet, overrides=["task.guidance.steps=120"], seeds="0:5"), tmp_path / "run", figures=False)
    assert ended.status == "finished"
    assert 0 < len(ended.diverged) < 5
    assert all("the gradient at step" in why for why in ended.diverged.values())
    alive = [seed not in ended.diverged for seed in range(5)]
    assert ended.losses["total"].isfinite().tolist() == alive


def test_a_seed_whose_gradient_is_not_finite_skips_the_update_where_the_config_says_so(here, empty, monkeypatch):
    """The gradient, not the loss: an error gradient that is infinite at two steps for one seed."""
    args = ["train", "--runs", "runs", "--dopesheet", "control-combined.csv", "--config", "control", "--seeds", "0:3", "--steps", "30"]
    gradients = ControlTask.stacked_gradients

    def poisoned(self, parameters, batch, weights):
        values, (direction,) = gradients(self, parameters, batch, weights)
        if torch.equal(batch["start"][1], lost[0]) or torch.equal(batch["start"][1], lost[1]):
            direction[1, 7] = math.inf
        return values, [direction]

    schedule = compile_sheet(parse("STEP,lr,loss-final\n0,0.001,1\n29,,\n"))
    lost = control("task.train_states=1024").batches(schedule, range(30), [1])["start"][[4, 9], 0]
    monkeypatch.setattr(ControlTask, "stacked_gradients", poisoned)
    states = ["--set", "task.train_states=1024"]
    died = here(*args, *states, "--name", "died")
    assert "warning: seed 1 diverged: the gradient at step 4" in died.err
    skipped = here(*args, *states, "--set", "optimizer.on_nonfinite=skip", "--name", "skipped")
    says = "skipped 2 of 30 updates because they were not finite, first the gradient at step 4, phase ''"
    assert f"warning: seed 1 {says}" in skipped.err
    run = Run(empty / "runs" / "skipped")
    assert run.manifest["skipped"] == {"1": {"updates": 2, "first": "the gradient at step 4, phase ''"}}
    assert run.metrics["total"].notna().all()
    shown = here("show", "--runs", "runs", "skipped").out
    assert "2 of 30" in shown
    assert "seed 1: the gradient is not finite" in shown
    first = Run(empty / "runs" / "died").model
    for name, values in run.model.items():
        assert np.array_equal(values[[0, 2]], first[name][[0, 2]]), name
        assert not np.array_equal(values[1], first[name][1]) or not values[1].any(), name
    compared = here("compare", "--runs", "runs", "skipped", "died")
    assert "skipped: 1 of 3 seeds skipped updates that were not finite, at most 2 of 30 (seed 1)" in compared.out + compared.err


def test_arms_of_different_rules_train_in_one_stack_as_they_do_alone(tmp_path):
    sheets = [f"control-{rule}.csv" for rule in ("combined", "regular", "stopped")]
    plans = [plan("control", sheet, seeds="0:2", steps=30) for sheet in sheets]
    together = execute_all(plans, [None] * 3)
    for own, sheet in zip(together, sheets, strict=True):
        alone = execute(plan("control", sheet, seeds=[1], steps=30), None)
        for name, values in own.parameters.items():
            torch.testing.assert_close(values[1], alone.parameters[name][0], rtol=1e-3, atol=2e-4)


def test_a_rule_that_changes_amid_a_run_is_the_other_from_that_step_on():
    columns = COLUMNS.replace("feedback", "feedback::step-end").replace("agree", "agree::step-end")
    sheet = parse(f"{columns}\n0,0.001,1,0,1,1,1\n6,,,1,,0,\n11,,,,,,\n")
    checked = plan("control", sheet, seeds=1, overrides=["task.cartpole.steps=8"])
    changing = execute(checked, None)
    layout, flat = initial_parameters(checked.task, [1])
    moments = init(checked.config.optimizer, flat)
    for step in range(12):
        rule = {"agree": (0,)} if step < 6 else {"feedback": (0,)}
        batch, weights = batch_at(checked.task, checked.schedule, step, [1], rule)
        # By automatic differentiation of the losses, which knows nothing of the adjoint.
        found = Ensemble(checked.task).differentiate(layout.views(flat), batch, weights, NO_KEYS[:1])
        update(flat, found.gradient, moments, torch.full((1, 1), 0.001), step + 1, checked.config.optimizer)
    torch.testing.assert_close(changing.parameters["layers.1.weight"], layout.views(flat)["layers.1.weight"], rtol=1e-3, atol=1e-5)


# Bad input


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("feedback", 1.5, "2:4: feedback: 1.5 is outside its bounds (allowed: 0 to 1)"),
        ("physics", -0.1, "2:4: physics: -0.1 is outside its bounds (allowed: 0 to 1)"),
        ("agree", 2, "2:4: agree: 2 is outside its bounds (allowed: 0 to 1)"),
        ("horizon", 0, "2:4: horizon: 0 is outside its bounds (allowed: 1 to 25)"),
        ("horizon", 26, "2:4: horizon: 26 is outside its bounds (allowed: 1 to 25)"),
        ("pole-2", 1, "1:4: unknown property 'pole-2'"),
        ("clip", -1, "2:4: clip: -1 is outside its bounds (allowed: at least 0)"),
    ],
)
def test_what_a_sheet_cannot_ask_for_is_refused_with_its_place(here, empty, column, value, says):
    (empty / "a.csv").write_text(f"STEP,lr,loss-final,{column}\n0,0.001,1,{value}\n9,,,\n")
    found = here("train", "--config", "control", "--dopesheet", "a.csv", "--dry-run")
    assert found.code == 2
    assert says in found.err


def test_a_target_that_does_not_exist_is_refused_with_its_place(here, empty):
    (empty / "a.csv").write_text("STEP,lr,loss-running,target\n0,0.001,1,33\n9,,,\n")
    found = here("train", "--config", "control-quantum", "--dopesheet", "a.csv", "--dry-run")
    assert (found.code, "2:4: target: 33 is outside its bounds (allowed: 1 to 32)" in found.err) == (2, True), found.err
    found = here(
        "train", "--config", "control-quantum", "--dopesheet", "control-quantum-regular", "--set", "task.quantum.target=33", "--dry-run"
    )
    assert (found.code, "has the eigenstates 1 to 32" in found.err) == (2, True), found.err


def test_only_one_system_can_be_steered(here, empty):
    found = here("config", "show", "control-quantum", "--set", "task.guidance.drivers=1")
    assert (found.code, "a task has only one system" in found.err) == (2, True), found.err


def test_a_rule_with_which_nothing_can_disagree_is_warned_of(here, empty):
    (empty / "a.csv").write_text(f"{COLUMNS}\n0,0.001,1,1,1,0.5,1\n2,,,,,,\n")
    found = here("train", "--config", "control", "--dopesheet", "a.csv", "--dry-run")
    assert found.code == 0
    assert (
        "agree has no effect at steps 0 to 2: with feedback and physics at 1, nothing can disagree with the regular gradient" in found.err
    )


class Burst(Line):
    """A place that is a billion times farther at every step."""

    def step(self, state, control):
        return 1e9 * state + 0.1 * control

    def jacobian(self, states, controls):
        return torch.cat([1e9 * torch.ones_like(states), 0.1 * torch.ones_like(states)], -1).unsqueeze(-1)


def test_what_would_overflow_beyond_the_horizon_of_an_arm_does_not_reach_it():
    system, start = Burst(), torch.tensor([[1e-3]])
    network = perceptron(1, (), 1, False)
    stack = Stack.of({key: value.detach()[None] for key, value in network.named_parameters()}, network.patches)
    found = []
    for padding in (0, 7):
        within = torch.nn.functional.pad(torch.ones(2, dtype=torch.bool), (0, padding))
        counted = shares(within, system, start)
        path = unroll(network, system, start, len(within), within=within)
        loss = terms(path, system, counted, start)["loss-running"]
        graph = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(network.parameters()))])
        forward = adjoint.forward(stack, system, start[None], len(within), within[None])
        one = torch.ones(1)
        slopes = adjoint.slopes(forward.path, system, Shares(*(share[:, None] for share in counted)), [0 * one, one, 0 * one], start)
        found += [graph, adjoint.gradient(stack, system, forward, slopes)[0]]
        assert torch.isfinite(found[-1]).all()
    for own in found[1:]:
        torch.testing.assert_close(own, found[0])
