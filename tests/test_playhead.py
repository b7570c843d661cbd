"""A schedule in a loop of your own: values, actions that fire once, optimizers, and schedules that are made in Python."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, ReduceLROnPlateau

from curriculum import Playhead, Schedule, compile_sheet, parse
from curriculum.errors import InputError
from curriculum.sheet.document import write

SHEET = """STEP,PHASE,ACTION,lr,mix
0,Warm,start,0,1
5,,tick,1,
10,Main,"anchor,tick",2,0
20,,,0,
"""


def playhead(**options):
    return Playhead(parse(SHEET, "sheet.csv"), **options)


def test_values_are_those_of_the_compiled_sheet_at_every_step():
    head, schedule = playhead(), compile_sheet(parse(SHEET))
    assert len(head) == 21
    for step in range(21):
        now = head.seek(step)
        assert now.values == schedule.at(step)
        assert now["lr"] == schedule.column("lr")[step]
        assert now.phase == ("Warm" if step < 10 else "Main")
    assert "mix" in now
    assert now.get("other", 3) == 3
    with pytest.raises(InputError, match="unknown column 'lrr', did you mean 'lr'"):
        now["lrr"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30))
def test_every_action_is_given_once_however_one_moves(moves):
    """Whatever is sought and committed: no committed action comes up again, and none is lost up to the last committed step."""
    head, fired, reached = playhead(), [], -1
    for step, done in moves:
        now = head.seek(step)
        assert now == head.seek(step)
        if done:
            fired += now.actions
            head.commit()
            reached = max(reached, step)
    assert fired == [name for when, name in compile_sheet(parse(SHEET)).actions if when <= reached]


def test_boundaries_are_the_phases_that_began():
    head = playhead()
    assert [phase.name for phase in head.seek(12).boundaries] == ["Warm", "Main"]
    head.commit()
    assert head.seek(12).boundaries == ()
    assert head.seek(13).actions == ()


def test_past_the_end_the_last_values_hold_or_an_error_is_raised():
    assert playhead().seek(500).values == playhead().seek(20).values
    with pytest.raises(InputError, match="step 21 is past the end of the schedule, which has the steps 0 to 20"):
        playhead(past_end="raise").seek(21)
    with pytest.raises(InputError, match="it is 'hold' or 'raise'"):
        playhead(past_end="stop")
    for step in (-1, 0.5):
        with pytest.raises(InputError, match="steps are whole numbers from 0 on"):
            playhead().seek(step)


def test_a_state_goes_through_json_and_resumes_retargets_and_actions():
    head = playhead()
    head.seek(6)
    head.commit()
    head.retarget("mix", 0.5, 4)
    state = json.loads(json.dumps(head.state_dict()))
    other = playhead()
    other.load_state_dict(state)
    for step in range(6, 21):
        assert other.seek(step) == head.seek(step)
    assert other.seek(10).actions == ("anchor", "tick")
    assert other.seek(10)["mix"] == pytest.approx(0.5)
    with pytest.raises(InputError, match="the sheet has changed since the checkpoint"):
        Playhead(parse(SHEET.replace("20,,,0", "20,,,1"))).load_state_dict(state)


def groups(kind=torch.optim.AdamW, **more):
    body, head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    return kind([{"params": body.parameters(), "name": "body"}, {"params": head.parameters(), "name": "head"}], lr=1.0, **more)


def at_start(columns):
    return Playhead(Schedule.from_values(columns, 3)).seek(0)


def test_values_go_to_their_groups():
    optimizer = groups()
    at_start({"lr": 0.1, "lr*head": 10, "weight-decay": 0.5, "weight-decay@body": 0, "momentum": 0.8, "beta2": 0.95}).apply(optimizer)
    body, head = optimizer.param_groups
    assert (body["lr"], body["weight_decay"], body["betas"]) == (0.1, 0, (0.8, 0.95))
    assert (head["lr"], head["weight_decay"], head["betas"]) == (1.0, 0.5, (0.8, 0.95))
    sgd = groups(torch.optim.SGD, momentum=0.1)
    at_start({"lr@head": 0.3, "momentum": 0.9}).apply(sgd)
    assert [group["lr"] for group in sgd.param_groups] == [1.0, 0.3]
    assert [group["momentum"] for group in sgd.param_groups] == [0.9, 0.9]


def test_a_learning_rate_in_a_tensor_stays_the_same_tensor():
    rate = torch.tensor(1.0)
    optimizer = torch.optim.Adam(torch.nn.Linear(1, 1).parameters(), lr=rate)
    at_start({"lr": 0.25}).apply(optimizer)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate == 0.25


def test_a_loaded_state_brings_old_values_back_and_apply_the_new_ones():
    optimizer = groups()
    old = optimizer.state_dict()
    now = at_start({"lr": 0.1, "weight-decay": 0.5})
    now.apply(optimizer)
    optimizer.load_state_dict(old)
    assert optimizer.param_groups[0]["weight_decay"] != 0.5
    now.apply(optimizer)
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lr@haed": 1}, r"step 0: column 'lr@haed': unknown parameter group 'haed', did you mean 'head'"),
        ({"lr*head": 2}, r"step 0: column 'lr\*head' is a factor of 'lr', but the sheet has no such column"),
        ({"lr": 1, "lr*head": 2, "lr@head": 3}, r"'lr\*head' and 'lr@head' both set lr of the group 'head'"),
    ],
)
def test_groups_that_there_are_not(columns, message):
    with pytest.raises(InputError, match=message):
        at_start(columns).apply(groups())


def test_a_column_that_nothing_takes_is_said():
    plain = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1)
    with pytest.raises(InputError, match="nothing takes the column 'beta2': SGD has lr, weight-decay, momentum"):
        at_start({"lr": 1, "beta2": 0.9}).apply(plain)
    with pytest.raises(InputError, match="the optimizer's parameter groups have no names"):
        at_start({"lr@head": 1}).apply(plain)
    head = Playhead(Schedule.from_values({"lr": 1, "mix": 0, "weigth-decay": 1}, 3))
    now = head.seek(0)
    now.apply(plain)
    assert now["mix"] == 0
    assert head.unread == ("weigth-decay",)


values = st.floats(-1e6, 1e6).filter(lambda value: value == value)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 30).flatmap(
        lambda steps: st.dictionaries(st.sampled_from(["lr", "a b", "x"]), st.lists(values, min_size=steps, max_size=steps), min_size=1)
    )
)
def test_a_schedule_of_values_is_a_sheet_of_the_same_values(columns):
    made = Schedule.from_values(columns)
    for name, expected in columns.items():
        assert made.column(name).tolist() == expected
    again = compile_sheet(parse(write(made.sheet)))
    assert again.properties == made.properties
    assert np.array_equal(again.values, made.values)


def test_any_schedule_is_a_sheet_with_its_phases_and_actions():
    schedule = compile_sheet(parse(SHEET))
    again = compile_sheet(parse(write(schedule.sheet)))
    assert np.array_equal(again.values, schedule.values)
    assert (again.phases, again.actions) == (schedule.phases, schedule.actions)


def test_columns_are_arrays_numbers_functions_or_a_pandas_table():
    made = Schedule.from_values({"lr": lambda step: 1 / (1 + step), "mix": np.arange(4), "decay": 0.5})
    assert made.column("lr").tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert made.at(3) == {"lr": 0.25, "mix": 3, "decay": 0.5}
    table = pd.DataFrame({"lr": [3, 2, 1], "mix": [0.0, 0.5, 1.0]})
    assert Schedule.from_values(table).at(1) == {"lr": 2, "mix": 0.5}


@pytest.mark.parametrize(
    ("columns", "steps", "message"),
    [
        ({"lr": 1}, None, "how many steps"),
        ({"lr": [1, 2], "mix": [1, 2, 3]}, None, "the column 'mix' has 3 values, but there are 2 steps"),
        ({"lr": [1, float("nan")]}, None, "the column 'lr' is nan at step 1"),
        ({"lr": "high"}, 3, "the column 'lr' is not made of numbers"),
        ({"lr": [[1, 2]]}, 3, "2 dimensions"),
        ({"lr:log": [1]}, None, "'lr:log' cannot be the name of a column"),
        ({}, None, "at least one column"),
        ({"lr": 1}, 0, "not 0"),
    ],
)
def test_values_that_are_no_schedule(columns, steps, message):
    with pytest.raises(InputError, match=message):
        Schedule.from_values(columns, steps)


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: CosineAnnealingLR(optimizer, 50, eta_min=0.1),
        lambda optimizer: OneCycleLR(optimizer, max_lr=2.0, total_steps=60),
        lambda optimizer: LambdaLR(optimizer, [lambda step: 1 / (1 + step), lambda step: 0.5**step]),
    ],
)
def test_a_scheduler_of_pytorch_is_a_schedule_and_is_as_before(make):
    optimizer, twin = groups(), groups()
    scheduler, other = make(optimizer), make(twin)
    before = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    schedule = Schedule.from_torch(scheduler, 40)
    assert [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups] == before
    head = Playhead(schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(40):
            head.seek(step).apply(optimizer)
            for own, expected in zip(optimizer.param_groups, twin.param_groups, strict=True):
                assert (own["lr"], own["betas"]) == (expected["lr"], expected["betas"])
            other.step()
    assert scheduler.state_dict()["last_epoch"] == 0


def test_schedulers_that_cannot_be_played():
    with pytest.raises(InputError, match="ReduceLROnPlateau cannot be played alone"):
        Schedule.from_torch(ReduceLROnPlateau(groups()), 5)
    nameless = torch.optim.SGD([{"params": torch.nn.Linear(1, 1).parameters(), "lr": rate} for rate in (1, 2)])
    with pytest.raises(InputError, match="the parameter groups differ in lr: give each a name"):
        Schedule.from_torch(CosineAnnealingLR(nameless, 5), 5)


def test_a_sheet_is_opened_by_its_path_or_name(tmp_path):
    (tmp_path / "mine.csv").write_text(SHEET)
    assert Playhead(tmp_path / "mine.csv").seek(20).values == {"lr": 0, "mix": 0}
    assert len(Playhead("smooth")) == 10_001
    with pytest.raises(InputError, match="did you mean"):
        Playhead("smoth")


def test_nothing_of_pytorch_is_imported():
    code = "import sys, curriculum; curriculum.Playhead('smooth').seek(3); print('torch' in sys.modules, 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [("lr", -0.01, "at least 0"), ("weight-decay", -1, "at least 0"), ("momentum", 1.5, "0 to 1"), ("lr*head", -2, "at least 0")],
)
def test_a_value_that_an_optimizer_cannot_have_is_refused(column, value, allowed):
    """An optimizer checks its settings only when it is made: a negative rate would silently climb."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW([{"params": [model.weight], "name": "head"}], lr=0.1)
    before = dict(optimizer.param_groups[0])
    head = Playhead(parse(f"STEP,{'lr,' if column != 'lr' else ''}{column}\n0,{'0.1,' if column != 'lr' else ''}{value}\n9,\n", "bad.csv"))
    setting = column.partition("*")[0]
    with pytest.raises(InputError, match=rf"step 3: {setting} cannot be -?[0-9.]+ \(allowed: {allowed}\)"):
        head.seek(3).apply(optimizer)
    assert optimizer.param_groups[0]["betas"] == before["betas"]
    tiny = Playhead(Schedule.from_values({"lr": np.array([0.1, -1e-17])}))
    tiny.seek(1).apply(optimizer)  # rounding is no mistake
