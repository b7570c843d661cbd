"""Handwritten digits, 8 x 8 pixels, and a small network that learns to read them."""

from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import nn

import curriculum


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x, dropout=0.0):
        return self.out(F.dropout(F.relu(self.hidden(x)), dropout, self.training))


class Digits(curriculum.Task):
    terms = ("loss",)
    controls = {"dropout": (0, 0.9), "smoothing": (0, 1, 0)}
    scores = {"accuracy": "higher"}

    def build(self):
        return Network()

    def data(self):
        table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.float32)
        inputs, labels = table[:, :64] / 16, table[:, 64].astype(int)
        return {"train": (inputs[:1000], labels[:1000]), "test": (inputs[1000:], labels[1000:])}

    def losses(self, model, batch):
        outputs = model(batch.inputs, batch.sheet["dropout"])
        sharp = F.cross_entropy(outputs, batch.labels)
        even = -F.log_softmax(outputs, 1).mean()
        return {"loss": sharp + batch.sheet["smoothing"] * (even - sharp)}
