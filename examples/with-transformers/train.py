"""Train a small network to read handwritten digits with Hugging Face's Trainer: learning rate and label smoothing come from a sheet."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from curriculum import track
from curriculum.adapters.transformers import ScheduleCallback

run = track("runs/digits", sheet="annealed.csv", metrics={"accuracy": "higher"})
set_seed(run.seed)

table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
inputs, labels = torch.from_numpy(table[:, :64] / 16), torch.from_numpy(table[:, 64]).long()
train = [{"inputs": image, "labels": label} for image, label in zip(inputs[:1000], labels[:1000], strict=True)]
test = inputs[1000:], labels[1000:]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))

    def forward(self, inputs, labels):
        outputs = self.layers(inputs)
        loss = F.cross_entropy(outputs, labels, label_smoothing=schedule.now["smoothing"])
        run.log(loss=loss)
        return {"loss": loss, "logits": outputs}


class Record(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        run.at(state.global_step)

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step % 50 == 0:
            model.eval()
            with torch.no_grad():
                run.log(accuracy=(model.layers(test[0]).argmax(1) == test[1]).float().mean())
            model.train()


with run:
    if not run.done:
        schedule = ScheduleCallback(run.playhead)
        settings = TrainingArguments(
            output_dir="trainer",
            max_steps=len(run.schedule),
            per_device_train_batch_size=32,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            seed=run.seed,
        )
        Trainer(Network(), settings, train_dataset=train, callbacks=[schedule, Record()]).train()
