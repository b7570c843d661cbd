"""Train a small network to read handwritten digits with Lightning: learning rate, weight decay and label smoothing come from a sheet."""

from pathlib import Path

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from curriculum import track
from curriculum.adapters.lightning import ScheduleCallback

run = track("runs/digits", sheet="annealed.csv", metrics={"accuracy": "higher"})
lightning.seed_everything(run.seed)

table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
inputs, labels = torch.from_numpy(table[:, :64] / 16), torch.from_numpy(table[:, 64]).long()
train, test = TensorDataset(inputs[:1000], labels[:1000]), (inputs[1000:], labels[1000:])


class Digits(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))

    def training_step(self, batch, index):
        now = run.at(self.global_step)
        loss = F.cross_entropy(self.network(batch[0]), batch[1], label_smoothing=now["smoothing"])
        run.log(loss=loss)
        if self.global_step % 50 == 49:
            run.log(accuracy=self.accuracy())
        return loss

    def accuracy(self):
        self.eval()
        with torch.no_grad():
            right = (self.network(test[0]).argmax(1) == test[1]).float().mean()
        self.train()
        return right

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)


with run:
    if not run.done:
        trainer = lightning.Trainer(
            max_steps=len(run.schedule),
            callbacks=[ScheduleCallback(run.playhead)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Digits(), DataLoader(train, batch_size=32, shuffle=True))
