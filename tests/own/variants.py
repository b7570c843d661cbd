"""Tasks of a user's own, from outside the package: one for each kind of module that people bring."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import curriculum


def blobs(shape=(8,), classes=3, count=96):
    """Make samples about one center for each class."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(classes, *shape))
    labels = rng.integers(0, classes, count)
    inputs = (centers[labels] + 0.5 * rng.normal(size=(count, *shape))).astype(np.float32)
    return {"train": (inputs[:64], labels[:64]), "test": (inputs[64:], labels[64:])}


class Plain(curriculum.Task):
    terms = ("loss",)
    controls = {"smoothing": (0, 1, 0)}
    scores = {"accuracy": "higher"}
    batch_size = 16

    def build(self):
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def data(self):
        return blobs()

    def losses(self, model, batch):
        outputs = model(batch.inputs)
        sharp = F.cross_entropy(outputs, batch.labels)
        return {"loss": sharp + batch.sheet["smoothing"] * (-F.log_softmax(outputs, 1).mean() - sharp)}


class Dropping(Plain):
    def build(self):
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


class Noisy(Plain):
    """Adds noise to its inputs, by several of PyTorch's random functions."""

    def losses(self, model, batch):
        moved = batch.inputs + 0.1 * torch.randn_like(batch.inputs) + 0.1 * torch.rand(8) - 0.05
        return {"loss": F.cross_entropy(model(moved[torch.randperm(len(moved))]), batch.labels)}


class Conv(Plain):
    def build(self):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(4 * 16, 3))

    def data(self):
        return blobs((1, 6, 6))


class Million(Plain):
    def build(self):
        return nn.Sequential(nn.Linear(8, 1000), nn.ReLU(), nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 3))


class Normed(Plain):
    """Has running statistics, a parameter that needs no gradient, and a buffer of whole numbers."""

    def build(self):
        model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
        model[0].bias.requires_grad_(False)
        model.register_buffer("order", torch.arange(8))
        return model

    def losses(self, model, batch):
        return {"loss": F.cross_entropy(model(batch.inputs[:, model.order]), batch.labels)}


class Branching(Plain):
    """Looks at the value of a tensor, which only one model at a time can."""

    def losses(self, model, batch):
        loss = F.cross_entropy(model(batch.inputs), batch.labels)
        return {"loss": loss * 2 if loss.item() > 1 else loss}


class Recurrent(Plain):
    """Has a module that cannot be mapped over a stack."""

    def build(self):
        return Reader()


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.out = nn.LSTM(2, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        hidden, _ = self.read(x.reshape(len(x), 4, 2))
        return self.out(hidden[:, -1])


class Coder(curriculum.Task):
    """An autoencoder: no labels and no scores."""

    terms = ("loss", "size")
    controls = {"width": (0, 1)}

    def build(self):
        return nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 8))

    def data(self):
        inputs = blobs()["train"][0]
        return {"train": inputs, "test": inputs[:10]}

    def losses(self, model, batch):
        return {"loss": F.mse_loss(model(batch.inputs), batch.inputs), "size": model[0](batch.inputs).square().mean()}


class Easy(Plain):
    """Chooses its samples by the sheet: the first share of them."""

    controls = {"share": (0, 1, 1), "smoothing": (0, 1, 0)}

    def sample(self, rng, sheet, size):
        return rng.integers(0, max(1, round(64 * sheet["share"])), size)


class Surgery(Plain):
    """Two losses; where their gradients conflict, each loses its part along the other (PCGrad, Yu et al. 2020)."""

    terms = ("left", "right")

    def losses(self, model, batch):
        each = F.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
        return {"left": each[:8].mean(), "right": each[8:].mean()}

    def direction(self, gradients, batch):
        left, right = (batch.sheet[name] * gradients[name] for name in self.terms)
        dot = torch.dot(left, right).clamp_max(0)
        return left - dot / right.square().sum() * right + right - dot / left.square().sum() * left


class Switched(Surgery):
    """Conflicting gradients are projected only where the sheet says so."""

    controls = {"project": (0, 1, 0)}
    switches = ("project",)
    seen = []

    def losses(self, model, batch):
        self.seen.append(dict(batch.on))
        return super().losses(model, batch)

    def direction(self, gradients, batch):
        left, right = (batch.sheet[name] * gradients[name] for name in self.terms)
        own = super().direction(gradients, batch) if "project" in batch.on else left + right
        return torch.lerp(left + right, own, batch.sheet["project"])
