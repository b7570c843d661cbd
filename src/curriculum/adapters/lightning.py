"""A schedule as a callback of Lightning: `pip install 'curriculum[lightning]'`."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from curriculum.adapters.follower import Following
from curriculum.errors import InputError


class ScheduleCallback(Following, Callback):
    """Apply a schedule to the optimizer of a `LightningModule` at each of its steps, also when gradients are accumulated.

        schedule = ScheduleCallback("warmup-cosine")
        Trainer(callbacks=[schedule]).fit(module, loader)

    In the module, `schedule.now["mix"]` is the value of a column. The callback's state is stored in Lightning's checkpoints.
    Do not return a scheduler from `configure_optimizers` next to it.
    """

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
