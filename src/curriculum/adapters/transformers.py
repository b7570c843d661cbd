"""A schedule as a callback of a Hugging Face `Trainer`: `pip install 'curriculum[transformers]'`."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from curriculum.adapters.follower import Following

STORED = "curriculum"  # where the state stands in a checkpoint's trainer_state.json, next to those of other callbacks


class ScheduleCallback(Following, TrainerCallback):
    """Apply a schedule to the optimizer of a Hugging Face `Trainer` at each of its steps, also when gradients are accumulated.

        schedule = ScheduleCallback("warmup-cosine")
        Trainer(model, args, train_dataset=data, callbacks=[schedule]).train()

    In `compute_loss`, `schedule.now["mix"]` is the value of a column. The trainer's own scheduler is overruled in all that the sheet
    has a column for; the logged learning rate is that of the sheet. The state is stored in the trainer's checkpoints.
    """

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Go back to where the checkpoint was stored that training resumes from, or to the start."""
        stored = state.stateful_callbacks.get(STORED)
        if stored is None:
            self._follower.restart()
        else:
            self._follower.load_state_dict(stored)
        self._follower.reach(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move to the step that is being made."""
        self._follower.reach(state.global_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, optimizer: Optimizer, **kwargs: Any
    ) -> None:
        """Apply the values of the step, after the trainer's own scheduler has."""
        self._follower.before_step(optimizer)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the state where a checkpoint of this step will have it."""
        state.stateful_callbacks[STORED] = self._follower.state_dict()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, logs: dict[str, Any], **kwargs: Any) -> None:
        """Log the learning rate that the optimizer had: the trainer logs that of its own scheduler."""
        for entry in (logs, state.log_history[-1]):
            if "learning_rate" in entry and "lr" in self.now:
                entry["learning_rate"] = self.now["lr"]
