"""A schedule as a callback of Lightning: `pip install 'curriculum[lightning]'`."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from curriculum.adapters.follower import Follower, OnAction, Sheet
from curriculum.errors import InputError
from curriculum.play.playhead import Now, Playhead


class ScheduleCallback(Callback):
    """Apply a schedule to the optimizer of a `LightningModule` at each of its steps, also when gradients are accumulated.

        schedule = ScheduleCallback("warmup-cosine")
        Trainer(callbacks=[schedule]).fit(module, loader)

    In the module, `schedule.now["mix"]` is the value of a column. The callback's state is stored in Lightning's checkpoints.
    Do not return a scheduler from `configure_optimizers` next to it.
    """

    def __init__(self, schedule: Sheet, on_action: OnAction | None = None):
        """Open a schedule, the sheet at a path or of a name, or a playhead.

        `on_action(name, now)` is called once for each action of the sheet, right before the step of the optimizer. Raises `InputError`
        for what is wrong in a sheet; training raises it for a column that the optimizer cannot take, and for several optimizers.
        """
        self._follower = Follower(schedule, on_action)

    @property
    def playhead(self) -> Playhead:
        """The position in the schedule; a retarget of it holds from the present step on."""
        return self._follower.playhead

    @property
    def now(self) -> Now:
        """What the schedule says at the step that is being made."""
        return self._follower.now

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that there is one optimizer: Lightning counts the steps of all of them as one."""
        if len(trainer.optimizers) != 1:
            raise InputError(
                f"a schedule follows one optimizer, but the module has {len(trainer.optimizers)}: "
                "use curriculum.Playhead in its training_step instead"
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Move to the step that this batch is a part of."""
        self._follower.reach(trainer.global_step)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Apply the values of the step."""
        self._follower.before_step(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Give what Lightning stores in a checkpoint."""
        return self._follower.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to where a checkpoint was stored. Raises `InputError` for the state of another schedule."""
        self._follower.load_state_dict(state_dict)
