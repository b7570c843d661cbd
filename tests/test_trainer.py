import math
import re
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from curriculum import Action, Chunk, Diverged, PhaseEnd, PhaseStart, PreStep, Retarget, RunEnd, StepMetrics, on, run
from curriculum.blame import shown
from curriculum.config.settings import Adam
from curriculum.errors import CurriculumError, DivergedError, InputError
from curriculum.runner.execute import execute, execute_all
from curriculum.runner.plan import plan
from curriculum.sheet.parse import parse
from curriculum.store.reader import Run
from curriculum.tasks.color.task import ColorTask
from curriculum.train.ensemble import Ensemble
from curriculum.train.hooks import Hook
from curriculum.train.optimizers import init, update
from curriculum.train.stretch import LONGEST

SHEET = """STEP,PHASE,ACTION,lr,loss-recon,reg-norm,reg-anchor,data-hues,data-vibrancies
0,Primary & secondary,,0.01,1,0.1,0,0,0
3,All hues,anchor,,,,0.5,0,0
8,,,,,,,1,1
"""
QUIET = "STEP,PHASE,lr,loss-recon\n0,Primary & secondary,0.01,1\n{last},,,\n"


def quiet(last: int):
    return parse(QUIET.format(last=last))


def test_the_events_of_a_step_come_in_their_order():
    seen = []

    def note(event):
        seen.append((event.step, event.kind))

    kinds = [PhaseStart, PreStep, StepMetrics, PhaseEnd, RunEnd]
    run("ex-1.6", parse(SHEET), hooks=[*(Hook(kind, note) for kind in kinds), Hook(Action, note, "anchor")])
    assert seen[:3] == [(0, "phase-start"), (0, "pre-step"), (0, "step-metrics")]
    around = [kind for step, kind in seen if step in (2, 3)]
    assert around == ["pre-step", "step-metrics", "phase-end", "phase-start", "action", "pre-step", "step-metrics"]
    assert seen[-3:] == [(8, "step-metrics"), (8, "phase-end"), (8, "run-end")]
    assert [step for step, kind in seen if kind == "pre-step"] == list(range(9))


def test_pre_step_gives_the_weights_before_the_update_and_phase_end_those_after_it():
    weights, ends = {}, {}

    @on(PreStep)
    def before(event):
        weights[event.step] = {name: value.clone() for name, value in event.parameters.items()}

    @on(PhaseEnd)
    def after(event):
        ends[event.step] = event

    result = run("ex-1.6", parse(SHEET), hooks=[before, after])
    checked = plan("ex-1.6", parse(SHEET))
    ensemble = Ensemble(checked.task)
    seen = ensemble.observe(weights[3], ends[2].inputs)
    torch.testing.assert_close(ends[2].latents, seen.latents)
    assert len(ends[2].inputs) == 6
    assert len(ends[8].inputs) == 512
    torch.testing.assert_close(ends[8].outputs, ensemble.observe(result.parameters, ends[8].inputs).outputs)
    assert not torch.equal(weights[8]["encoder.0.weight"], result.parameters["encoder.0.weight"])


def test_a_term_without_weight_or_reference_is_missing_not_zero():
    terms = {}

    @on(StepMetrics)
    def note(event):
        terms[event.step] = set(event.terms)

    run("ex-1.6", parse(SHEET), hooks=[note])
    assert terms[2] == {"loss-recon", "reg-norm"}
    assert terms[3] == {"loss-recon", "reg-norm", "reg-anchor"}


def test_the_total_is_the_sum_of_sheet_value_times_term():
    @on(StepMetrics)
    def check(event):
        values = event.schedule.at(event.step)
        expected = sum(values[name] * term for name, term in event.terms.items())
        torch.testing.assert_close(event.total, expected.to(torch.float32))

    run("ex-1.6", parse(SHEET), hooks=[check], seeds="0:3")


def test_chunks_carry_every_step_once():
    last = 2 * LONGEST + 17
    steps = []

    @on(Chunk)
    def note(event):
        assert event.total.shape == (event.step - event.first + 1, 1)
        steps.extend(range(event.first, event.step + 1))

    run("ex-1.6", quiet(last), hooks=[note])
    assert steps == list(range(last + 1))


def test_steps_at_which_nothing_has_weight_leave_the_model_alone():
    sheet = parse("STEP,PHASE,lr,loss-recon::step\n0,Primary & secondary,0.1,0\n5,,,1\n6,,,\n")
    weights = []
    run("ex-1.6", sheet, hooks=[Hook(PreStep, lambda event: weights.append(event.flat.clone()))])
    assert torch.equal(weights[0], weights[5])
    assert not torch.equal(weights[5], weights[6])


@pytest.mark.parametrize("at", [PreStep, StepMetrics, PhaseStart])
def test_a_hook_moves_a_target_from_its_step_on(at):
    rates = {}

    @on(at)
    def ask(event):
        if event.step == 0:
            return Retarget("lr", 0.5, 4)
        return None

    @on(StepMetrics)
    def note(event):
        rates[event.step] = event.schedule.at(event.step)["lr"]

    result = run("ex-1.6", quiet(9), hooks=[note, ask])
    u = np.arange(5) / 4
    expected = 0.01 + 0.49 * (10 * u**3 - 15 * u**4 + 6 * u**5)
    np.testing.assert_allclose([rates[step] for step in range(5)], expected)
    assert result.schedule.at(9)["lr"] == 0.5


def test_a_retarget_of_the_data_changes_which_colors_are_drawn():
    sheet = parse(SHEET.replace("8,,,,,,,1,1", "30,,,,,,,0,0"))

    def ask(event):
        return [Retarget("data-hues", 1.0, 2), Retarget("data-vibrancies", 1.0, 2)]

    @on(StepMetrics)
    def note(event):
        losses[event.step] = event.terms["loss-recon"].item()

    losses = {}
    run("ex-1.6", sheet, hooks=[note])
    plain, losses = losses, {}
    run("ex-1.6", sheet, hooks=[note, Hook(Action, ask, "anchor")])
    assert all(losses[step] == plain[step] for step in range(5))
    assert losses[6] != plain[6]


FALLING = """STEP,PHASE,lr,loss-recon,reg-norm,data-hues,data-vibrancies
0,All hues,0.02,1,0.5,0,0
40,,0.001,2,0,1,0
300,,,,,,
"""


@pytest.mark.parametrize(
    ("name", "value", "duration", "says"),
    [
        ("lr", 0.001, 200, r"'lr' would reach -0\.0\d+ at step \d+, .*at least 0"),
        ("reg-norm", 0.0, 200, r"'reg-norm' would reach -0\.\d+ at step \d+, .*at least 0"),
        ("data-hues", 1.0, 200, r"'data-hues' would reach 2\.466 at step \d+, .*0 to 1"),
        ("loss-recon", 1.5, 270, r"'loss-recon' would reach 4 at step \d+, .*above 2"),
        ("lr", -0.001, 10, r"target -0\.001 of 'lr'.*at least 0"),
        ("data-hues", 1.5, 10, r"target 1\.5 of 'data-hues'.*0 to 1"),
    ],
)
def test_a_retarget_whose_path_leaves_the_bounds_of_its_column_is_an_error(name, value, duration, says):
    @on(StepMetrics)
    def ask(event):
        return Retarget(name, value, duration) if event.step == 20 else None

    with pytest.raises(CurriculumError, match=rf"at step 20: .*{says}"):
        run("color", parse(FALLING), hooks=[ask])


def test_a_retarget_whose_path_stays_within_bounds_is_followed():
    @on(StepMetrics)
    def ask(event):
        return [Retarget("lr", 0.001, 15), Retarget("data-hues", 1.0, 15)] if event.step == 20 else None

    result = run("color", parse(FALLING), hooks=[ask], steps=60)
    assert (result.schedule.at(35)["lr"], result.schedule.at(35)["data-hues"]) == (0.001, 1.0)


def test_a_seed_in_a_stack_trains_as_it_does_alone():
    sheet = parse(SHEET.replace("8,,,,,,,1,1", "500,,,,,,,1,1"))
    together = run("ex-1.6", sheet, seeds=[5, 0, 9]).parameters
    alone = run("ex-1.6", sheet, seeds=[9]).parameters
    for name, value in alone.items():
        torch.testing.assert_close(together[name][2], value[0], atol=1e-4, rtol=1e-3)


def test_the_same_run_twice_is_the_same_to_the_bit():
    first, second = (run("color", parse(SHEET)).parameters for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_threads_and_the_global_generator_as_they_were():
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run("color", quiet(3))
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_no_thread_touches_the_global_generator(tmp_path):
    """Arms are closed side by side; two threads that seed a model at once would leave the generator in another state."""
    where = []

    class Watched(ColorTask):
        def build(self):
            where.append(threading.current_thread())
            return super().build()

    checked = plan("ex-1.6", quiet(3), overrides=["record.checkpoint_every=2"])
    watched = [replace(checked, task=Watched(checked.config.task)) for _ in range(2)]
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    for n in range(5):
        execute_all(watched, [tmp_path / f"{n}-{name}" for name in "ab"], figures=False)
        assert torch.equal(torch.random.get_rng_state(), before)
    assert set(where) == {threading.main_thread()}


BLOWN = "STEP,PHASE,lr:log:step,loss-recon,reg-norm\n0,Primary & secondary,1e-2,1,1\n7,,1e30,,\n20,,,,\n"


def test_a_run_that_diverges_stops_before_the_bad_update_and_says_where():
    seen = []
    with pytest.raises(DivergedError, match=r"is not finite at step 8, phase 'Primary & secondary', seed 0"):
        run("ex-1.6", parse(BLOWN), hooks=[Hook(Diverged, seen.append)])
    assert (seen[0].step, seen[0].seed) == (8, 0)


def test_of_many_seeds_only_the_one_that_diverges_is_frozen():
    sheet = quiet(30)

    @on(PreStep)
    def poison(event):
        if event.step == 10:
            event.parameters["encoder.0.weight"][1] = math.nan
        if event.step > 11:
            assert event.parameters["decoder.0.bias"][1].equal(frozen[0])
        if event.step == 11:
            frozen.append(event.parameters["decoder.0.bias"][1].clone())

    frozen: list[torch.Tensor] = []
    last = {}

    @on(StepMetrics)
    def note(event):
        last[event.step] = event.total.clone()

    result = run("ex-1.6", sheet, hooks=[poison, note], seeds="0:3")
    plain = run("ex-1.6", sheet, seeds="0:3")
    assert list(result.diverged) == [1]
    assert "step 10" in result.diverged[1]
    assert last[9].isfinite().all()
    assert last[30].isfinite().tolist() == [True, False, True]
    for seed in (0, 2):
        torch.testing.assert_close(result.parameters["decoder.0.bias"][seed], plain.parameters["decoder.0.bias"][seed])


def test_a_hook_that_fails_is_named_with_its_step():
    def broken(event):
        raise ValueError("no such thing")

    with pytest.raises(
        CurriculumError,
        match=r"the hook .*broken failed at step 0 on phase-start: .*test_trainer\.py:\d+: ValueError: no such thing \(in broken\)",
    ):
        run("ex-1.6", quiet(3), hooks=[Hook(PhaseStart, broken)])


def test_a_hook_that_fails_is_named_with_the_line_at_which_it_did():
    def deeper():
        return {}["no such key"]  # this line

    def broken(event):
        deeper()

    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith("# this line"))
    with pytest.raises(CurriculumError, match=rf"{re.escape(shown(__file__))}:{line}: KeyError: 'no such key' \(in deeper\)"):
        run("ex-1.6", quiet(3), hooks=[Hook(PreStep, broken)])
    with pytest.raises(CurriculumError, match=rf"test_trainer\.py:{line}"):
        execute(plan("ex-1.6", quiet(3)), None, watch=[Hook(PreStep, broken)])


def test_a_hook_that_exits_has_failed(tmp_path):
    def leave(event):
        if event.step == 2:
            sys.exit(0)

    with pytest.raises(
        CurriculumError, match=r"leave failed at step 2 on pre-step: .*test_trainer\.py:\d+: SystemExit: 0 .*raise KeyboardInterrupt"
    ):
        run("ex-1.6", quiet(3), hooks=[Hook(PreStep, leave)], folder=tmp_path, name="left")
    assert Run(tmp_path / "left").status == "failed"


GLOBALS = {
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "default device": (
        torch.get_default_device,
        lambda device: torch.set_default_device(device if device.type == "meta" else None),
        torch.device("meta"),
    ),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled, False),
    "number of threads": (torch.get_num_threads, torch.set_num_threads, 3),
}


@pytest.mark.parametrize("name", GLOBALS)
def test_a_hook_that_changes_pytorch_for_all_is_named(tmp_path, name):
    """Training would go wrong later, or come to other numbers, and nothing would point to the hook."""
    get, change, value = GLOBALS[name]
    before = get()

    def meddle(event):
        change(value)

    message = rf"the hook .*meddle changed PyTorch's {name} from .* to .*{value} at step 0 on phase-start"
    try:
        with pytest.raises(CurriculumError, match=message):
            run("ex-1.6", quiet(3), hooks=[Hook(PhaseStart, meddle)], folder=tmp_path, name="meddled")
        assert get() == before
    finally:
        change(before)
    assert "model.safetensors" in Run(tmp_path / "meddled").manifest["files"]


def test_hooks_are_named_where_training_fails_for_no_known_reason(monkeypatch):
    def meddle(event):
        monkeypatch.setattr(torch.linalg, "vecdot", None)

    with pytest.raises(CurriculumError, match=r"TypeError: .*hooks .*\.meddle"):
        run("ex-1.6", quiet(3), hooks=[Hook(PreStep, meddle)])


def test_hooks_that_only_look_on_change_nothing():
    with pytest.raises(CurriculumError, match=r"the hook .*<lambda> returned .* at step 0.* are read-only"):
        execute(plan("ex-1.6", quiet(3)), None, watch=[Hook(PreStep, lambda event: Retarget("lr", 0.5, 2))])


class Counter:
    """A hook with a state, and without a name of its own."""

    def __init__(self, fail_at=None):
        self.seen = []
        self.fail_at = fail_at

    def __call__(self, event, fail_at=None):
        self.seen.append(event.step)
        if event.step in (self.fail_at, fail_at):
            raise ValueError("enough")


def test_hooks_without_a_name_keep_their_state_over_two_runs(tmp_path):
    counter, given = Counter(), partial(Counter().__call__, fail_at=7)
    for name in "ab":
        made = run("ex-1.6", quiet(3), hooks=[Hook(PreStep, counter), Hook(StepMetrics, given)], folder=tmp_path, name=name).run
        assert made.status == "finished"
    assert counter.seen == [0, 1, 2, 3, 0, 1, 2, 3]
    for hook in (Counter(fail_at=1), partial(Counter(), fail_at=1), partial(Counter().__call__, fail_at=1)):
        with pytest.raises(
            CurriculumError, match=r"the hook [\w.]*Counter[\w.]* failed at step 1 on pre-step: .*test_trainer\.py:\d+: ValueError: enough"
        ):
            run("ex-1.6", quiet(3), hooks=[Hook(PreStep, hook)])


@pytest.mark.parametrize(
    ("event", "name", "message"),
    [(Action, None, "needs the name of the action"), (PhaseEnd, "anchor", "takes no name"), ("phase-end", None, "is not an event")],
)
def test_a_hook_for_an_event_that_cannot_be_is_refused(event, name, message):
    with pytest.raises(InputError, match=message):
        on(event, name)


def test_a_hook_that_waits_for_an_action_that_never_comes_is_refused():
    with pytest.raises(InputError, match=r"never fires: unknown action 'anchr', did you mean 'anchor'"):
        run("ex-1.6", parse(SHEET), hooks=[Hook(Action, print, "anchr")])


@pytest.mark.parametrize("at", [Hook(Action, None, "anchor"), Hook(StepMetrics, None), Hook(PhaseEnd, None)], ids=lambda hook: hook.on.kind)
def test_an_interrupted_run_keeps_what_actions_captured(tmp_path, at):
    """Also what was captured after the last checkpoint, here after none."""

    def interrupt(event):
        if event.step >= 3:
            raise KeyboardInterrupt

    whole = run("ex-1.6", parse(SHEET), seeds="0:2", folder=tmp_path, name="whole").run
    with pytest.raises(KeyboardInterrupt):
        run("ex-1.6", parse(SHEET), seeds="0:2", hooks=[replace(at, call=interrupt)], folder=tmp_path, name="cut")
    cut = Run(tmp_path / "cut")
    assert cut.status == "interrupted"
    assert "reference.anchor" in whole.exhibits
    np.testing.assert_array_equal(cut.exhibits["reference.anchor"], whole.exhibits["reference.anchor"])


def test_an_action_may_be_a_hooks_own():
    sheet = parse(SHEET.replace(",anchor,", ',"anchor, sparkle",'))
    fired = []
    run("ex-1.6", sheet, hooks=[on(Action, "sparkle")(fired.append)])
    assert [event.step for event in fired] == [3]
    with pytest.raises(InputError, match=r"<sheet>:3:3: no task or hook handles .* unknown action 'sparkle'"):
        run("ex-1.6", sheet)


def test_adam_is_pytorchs():
    torch.manual_seed(0)
    parameters = torch.randn(2, 9)
    theirs = [torch.nn.Parameter(row.clone()) for row in parameters]
    optimizers = [torch.optim.Adam([row], lr=1.0, betas=(0.8, 0.95), eps=1e-6) for row in theirs]
    settings = Adam(betas=(0.8, 0.95), eps=1e-6)
    state = init(settings, parameters)
    for step in range(1, 20):
        gradient, rates = torch.randn(2, 9), torch.rand(2, 1)
        update(parameters, gradient, state, rates, step, settings)
        for row, optimizer in enumerate(optimizers):
            optimizer.param_groups[0]["lr"] = rates[row].item()
            theirs[row].grad = gradient[row].clone()
            optimizer.step()
    torch.testing.assert_close(parameters, torch.stack([row.detach() for row in theirs]))


def test_a_failed_run_leaves_its_good_part_behind(tmp_path):
    checked = plan("ex-1.6", parse(BLOWN))
    with pytest.raises(DivergedError):
        execute(checked, tmp_path / "blown")
    stored = Run(tmp_path / "blown")
    assert stored.status == "diverged"
    steps, losses = stored.losses()
    assert steps.tolist() == list(range(8))
    assert np.isfinite(losses["total"]).all()
    assert stored.snapshots.steps.tolist() == list(range(9))
    assert list(stored.manifest["diverged"]) == ["0"]
    assert "step 8" in stored.manifest["error"]
