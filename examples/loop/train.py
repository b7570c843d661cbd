"""Train a small network to read handwritten digits: learning rate, weight decay and label smoothing come from a sheet."""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from curriculum import track

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
run = track("runs/digits", sheet="annealed.csv", seed=args.seed, metrics={"accuracy": "higher"})
torch.manual_seed(run.seed)

table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
inputs, labels = torch.from_numpy(table[:, :64] / 16), torch.from_numpy(table[:, 64]).long()
train, test = TensorDataset(inputs[:1000], labels[:1000]), (inputs[1000:], labels[1000:])


def batches():
    while True:
        yield from DataLoader(train, batch_size=32, shuffle=True)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(F.dropout(F.relu(self.body(x)), 0.3, self.training))


def accuracy(model):
    model.eval()
    with torch.no_grad():
        right = (model(test[0]).argmax(1) == test[1]).float().mean()
    model.train()
    return right


model = Network()
groups = [{"params": model.body.parameters(), "name": "body"}, {"params": model.head.parameters(), "name": "head"}]
optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.01)

stream = batches()
with run:
    for step, now in run.steps():
        x, y = next(stream)
        now.apply(optimizer)
        loss = F.cross_entropy(model(x), y, label_smoothing=now["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss=loss)
        if step % 50 == 49:
            run.log(accuracy=accuracy(model))
