"""Two losses whose gradients may conflict, and an update that resolves it: gradient surgery (PCGrad, Yu et al. 2020)."""

import torch
import torch.nn.functional as F

from digits import Digits, Network


class Surgery(Digits):
    """Learn to read the digits and whether each is odd, from the same outputs."""

    terms = ("digit", "odd")
    controls = {"surgery": (0, 1)}

    def build(self):
        return Network()

    def losses(self, model, batch):
        outputs = model(batch.inputs)
        chances = outputs.softmax(1)[:, 1::2].sum(1).clamp(1e-6, 1 - 1e-6)
        return {"digit": F.cross_entropy(outputs, batch.labels), "odd": F.binary_cross_entropy(chances, (batch.labels % 2).float())}

    def direction(self, gradients, batch):
        digit, odd = (batch.sheet[name] * gradients[name] for name in self.terms)
        conflict = torch.dot(digit, odd).clamp_max(0) * batch.sheet["surgery"]
        return digit - conflict / odd.square().sum() * odd + odd - conflict / digit.square().sum() * digit
