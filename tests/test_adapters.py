"""One small training through every adapter: the same values at the same steps of the optimizer, also after a resume."""

import json
from dataclasses import dataclass, field

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from curriculum import Playhead, compile_sheet, parse
from curriculum.adapters.torch import ScheduleHook
from curriculum.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the frameworks, about a training this small

STEPS, BATCH, EVERY = 12, 8, 2
SHEET = parse(
    """STEP,PHASE,ACTION,lr,lr*head,weight-decay,momentum::linear,beta2,mix
0,Warm,start,1e-3,1,0.1,0.8,0.9,0
4,,"slow,tick",0.05,,,,,
7,Main,tick,0.02,0.5,0,0.95,0.99,1
11,,,0.001,,,,,
""",
    "sheet.csv",
)
SCHEDULE = compile_sheet(SHEET)
INPUTS = torch.linspace(-1, 1, 3 * BATCH).reshape(BATCH, 3)
TARGETS = INPUTS.sum(1, keepdim=True).sin()


class Model(torch.nn.Module):
    """A model of two groups of parameters; the mixture of the sheet weights a second loss."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)

    def loss(self, inputs, targets, mix):
        found = self.head(self.body(inputs).tanh())
        return (found - targets).square().mean() + mix * found.abs().mean()

    def optimizer(self):
        groups = [{"params": self.body.parameters(), "name": "body"}, {"params": self.head.parameters(), "name": "head"}]
        return torch.optim.AdamW(groups, lr=1, weight_decay=0.5)


@dataclass
class Trained:
    """What a training did: the settings of each group at each step, the actions that fired, the weights at the end."""

    settings: list = field(default_factory=list)
    actions: list = field(default_factory=list)
    weights: list = field(default_factory=list)

    def watch(self, optimizer):
        names = ("lr", "weight_decay", "betas")
        optimizer.register_step_post_hook(
            lambda *_: self.settings.append([[group[name] for name in names] for group in optimizer.param_groups])
        )
        return optimizer

    def act(self, playhead):
        def act(name, now):
            self.actions.append((now.step, name))
            if name == "slow":
                playhead.retarget("lr", 0.01, 2)

        return act

    def keep(self, model):
        self.weights = [value.detach().clone() for value in model.parameters()]


def plain(trained, folder, steps, resume):
    """Train in a loop of one's own, with a checkpoint at the end."""
    model, playhead = Model(), Playhead(SCHEDULE, past_end="raise")
    optimizer = trained.watch(model.optimizer())
    hook, done = ScheduleHook(playhead, optimizer, trained.act(playhead)), 0
    if resume:
        state = torch.load(folder / "state.pt")
        done = state["done"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        hook.load_state_dict(json.loads(state["hook"]))
    for _ in range(done, steps):
        for _ in range(EVERY):
            (model.loss(INPUTS, TARGETS, hook.now["mix"]) / EVERY).backward()
        optimizer.step()
        optimizer.zero_grad()
    trained.keep(model)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "hook": json.dumps(hook.state_dict()), "done": steps}
    torch.save(state, folder / "state.pt")


def lightning(trained, folder, steps, resume):
    """Train with Lightning, with a checkpoint at the end."""
    light = pytest.importorskip("lightning.pytorch")
    from curriculum.adapters.lightning import ScheduleCallback

    playhead = Playhead(SCHEDULE, past_end="raise")
    schedule = ScheduleCallback(playhead, trained.act(playhead))

    class Module(light.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Model()

        def training_step(self, batch, index):
            return self.model.loss(*batch, schedule.now["mix"])

        def configure_optimizers(self):
            return trained.watch(self.model.optimizer())

    module, file = Module(), folder / "state.ckpt"
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = light.Trainer(
        max_steps=steps, accelerator="cpu", accumulate_grad_batches=EVERY, callbacks=[schedule], default_root_dir=folder, **quiet
    )
    trainer.fit(
        module, DataLoader(TensorDataset(INPUTS.repeat(6, 1), TARGETS.repeat(6, 1)), batch_size=BATCH), ckpt_path=file if resume else None
    )
    trainer.save_checkpoint(file)
    trained.keep(module)


def hugging_face(trained, folder, steps):
    """Set up a Trainer of Hugging Face that stores a checkpoint at the end."""
    hugging = pytest.importorskip("transformers")
    from curriculum.adapters.transformers import ScheduleCallback

    playhead = Playhead(SCHEDULE, past_end="raise")
    schedule = ScheduleCallback(playhead, trained.act(playhead))

    class Wrapped(Model):
        def forward(self, inputs, targets):
            return {"loss": self.loss(inputs, targets, schedule.now["mix"])}

    model = Wrapped()
    arguments = hugging.TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=BATCH, gradient_accumulation_steps=EVERY, max_grad_norm=0,
        save_steps=steps, logging_steps=1, report_to=[], use_cpu=True, disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    data = [{"inputs": one, "targets": other} for one, other in zip(INPUTS.repeat(6, 1), TARGETS.repeat(6, 1), strict=True)]
    trainer = hugging.Trainer(
        model, arguments, train_dataset=data, callbacks=[schedule], optimizers=(trained.watch(model.optimizer()), None)
    )
    trainer.get_train_dataloader = lambda: DataLoader(data, batch_size=BATCH)
    return trainer


def transformers(trained, folder, steps, resume):
    """Train with Hugging Face."""
    trainer = hugging_face(trained, folder, steps)
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{resume}") if resume else None)
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert logged == [values[0][0] for values in trained.settings][-len(logged) :]
    assert len(logged) == steps
    trained.keep(trainer.model)


every_adapter = pytest.mark.parametrize("train", [plain, lightning, transformers])


def expected():
    """Compute the settings of both groups at every step, the retarget at step 4 included."""
    schedule = SCHEDULE.retarget("lr", 4, 0.01, 2)
    at = [schedule.at(step) for step in range(STEPS)]
    betas = [(now["momentum"], now["beta2"]) for now in at]
    return [
        [[now["lr"], now["weight-decay"], b], [now["lr"] * now["lr*head"], now["weight-decay"], b]]
        for now, b in zip(at, betas, strict=True)
    ]


@every_adapter
def test_values_are_those_of_the_sheet_at_every_step_of_the_optimizer(tmp_path, train):
    trained, reference = Trained(), Trained()
    train(trained, tmp_path, STEPS, 0)
    assert trained.settings == expected()
    assert trained.actions == [(0, "start"), (4, "slow"), (4, "tick"), (7, "tick")]
    plain(reference, tmp_path, STEPS, 0)
    for own, other in zip(trained.weights, reference.weights, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-7)


@every_adapter
@pytest.mark.parametrize("cut", [4, 5])
def test_a_resumed_training_is_the_same_as_one_without_a_break(tmp_path, train, cut):
    whole, trained = Trained(), Trained()
    train(whole, tmp_path, STEPS, 0)
    train(trained, tmp_path, cut, 0)
    train(trained, tmp_path, STEPS, cut)
    assert trained.settings == whole.settings
    assert trained.actions == whole.actions
    for own, other in zip(trained.weights, whole.weights, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-7)


def test_an_optimizer_that_loads_an_old_state_gets_the_values_of_the_sheet():
    model = Model()
    optimizer = model.optimizer()
    old = optimizer.state_dict()
    hook = ScheduleHook(SHEET, optimizer)
    for step in range(3):
        optimizer.load_state_dict(old)
        model.loss(INPUTS, TARGETS, 0).backward()
        assert hook.now.step == step
        optimizer.step()
        assert optimizer.param_groups[0]["weight_decay"] == SCHEDULE.at(step)["weight-decay"]
    hook.remove()
    optimizer.load_state_dict(old)
    optimizer.step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


def test_a_column_that_the_optimizer_cannot_take_stops_the_step():
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    ScheduleHook(parse("STEP,lr,beta2\n0,1,0.9\n"), optimizer)
    model.loss(INPUTS, TARGETS, 0).backward()
    with pytest.raises(InputError, match="step 0: nothing takes the column 'beta2'"):
        optimizer.step()


def test_lightning_refuses_several_optimizers(tmp_path):
    light = pytest.importorskip("lightning.pytorch")
    from curriculum.adapters.lightning import ScheduleCallback

    class Two(light.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.automatic_optimization = Model(), False

        def training_step(self, batch, index):
            raise AssertionError("it must stop before the first batch")

        def configure_optimizers(self):
            return [self.model.optimizer(), self.model.optimizer()]

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = light.Trainer(max_steps=1, accelerator="cpu", callbacks=[ScheduleCallback(SHEET)], default_root_dir=tmp_path, **quiet)
    with pytest.raises(InputError, match="follows one optimizer, but the module has 2"):
        trainer.fit(Two(), DataLoader(TensorDataset(INPUTS, TARGETS)))


def test_a_second_training_with_the_same_callback_begins_again(tmp_path):
    trained = Trained()
    trainer = hugging_face(trained, tmp_path, 6)
    trainer.train()
    trainer.train()
    assert trained.settings == expected()[:6] * 2
    assert trained.actions == [(0, "start"), (4, "slow"), (4, "tick")] * 2
