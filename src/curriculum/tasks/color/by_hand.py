"""The color task for a whole stack of models, with backpropagation written by hand.

With 263 parameters the time goes into calls, not arithmetic, and recording a graph doubles their number. `ColorTask.losses`
remains the definition; tests check that the two agree.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import gelu

from curriculum.tasks.color.model import NORM_EPS, SEPARATE_EPS
from curriculum.train.batch import REAL, Batch, Tensors
from curriculum.train.probes import Observation

TINY = 1e-30  # a length below it is 0, and so is its derivative


def gradients(parameters: Tensors, batch: Batch, weights: Tensor, primary: Tensor, normalize: bool) -> tuple[Tensor, list[Tensor]]:
    """Compute the active terms `[S, K]` of a stack, and the gradients of their sum weighted by `weights` `[S, K]`.

    `primary` `[6, 3]` are the colors that the action `anchor` captured; `normalize` says that latents are put on the unit sphere.
    Returns a gradient `[S, ...]` for each parameter, in their order.
    """
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters.values()
    # Features come before samples here, `[S, D, B]`: small matrix products with a long last axis take half the time.
    colors, shares = batch["colors"].mT, batch["shares"][:, None]
    size = colors.shape[2]
    scale = dict(zip(batch.active, weights[..., None, None].unbind(1), strict=True))
    anchored = "reg-anchor" in scale
    found: dict[str, Tensor] = {}

    anchors = primary.mT.expand(len(colors), -1, -1)
    x = torch.cat([colors, anchors], 2) if anchored else colors.contiguous()
    colors = x[..., :size]
    h1 = torch.baddbmm(b1[..., None], w1, x)
    a1 = gelu(h1)
    z_all = raw = torch.baddbmm(b2[..., None], w2, a1)
    if normalize:
        norm = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        z_all = raw / (norm + NORM_EPS)
    z = z_all[..., :size] if anchored else z_all

    if "loss-recon" in scale:
        h2 = torch.baddbmm(b3[..., None], w3, z)
        a2 = gelu(h2)
        y = torch.baddbmm(b4[..., None], w4, a2).sigmoid_()
        error = y - colors
        weighted = error * shares
        found["loss-recon"] = torch.linalg.vecdot(weighted.flatten(1), error.flatten(1)) / 3
        # sigmoid' = y (1 - y)
        dy = torch.addcmul(y, y, y, value=-1).mul_(weighted).mul_(scale["loss-recon"] * (2 / 3))
        dh2 = torch.ops.aten.gelu_backward.default(w4.mT @ dy, h2)
        dz = w3.mT @ dh2
        grads_out = [(z @ dh2.mT).mT, dh2.sum(2), dy @ a2.mT, dy.sum(2)]
    else:
        dz = torch.zeros_like(z)
        grads_out = [torch.zeros_like(parameter) for parameter in (w3, b3, w4, b4)]
    if "reg-norm" in scale:
        length = z.square().sum(1, keepdim=True).sqrt_()
        short = length - 1
        weighted = short * shares
        found["reg-norm"] = torch.linalg.vecdot(weighted.flatten(1), short.flatten(1))
        dz.addcmul_(z, weighted * (2 * scale["reg-norm"]) / length.clamp_min_(TINY))
    if "reg-planar" in scale:
        beyond = z[:, 2:]
        weighted = beyond * shares
        found["reg-planar"] = (weighted * beyond).sum((1, 2))
        dz[:, 2:].addcmul_(weighted, 2 * scale["reg-planar"])
    if "reg-separate" in scale:
        plane = z[:, :2]
        apart = plane[..., None] - plane[:, :, None]
        inverse = (apart.square().sum(1) + SEPARATE_EPS).reciprocal_()
        inverse.diagonal(dim1=1, dim2=2).zero_()
        pairs: Tensor | float = float(size**2)
        if REAL in batch:
            real = batch[REAL]
            inverse = inverse * (real[:, :, None] & real[:, None])
            pairs = real.sum(1).square()[:, None, None].to(z.dtype)
        found["reg-separate"] = (inverse / pairs).sum((1, 2))
        pull = (inverse.square()[:, None] * apart).sum(3)
        dz[:, :2].addcmul_(pull, scale["reg-separate"] * -4 / pairs)
    if anchored:
        off = z_all[..., size:] - batch.references["anchor"].mT
        flat = off.flatten(1)
        found["reg-anchor"] = torch.linalg.vecdot(flat, flat) / flat.shape[1]
        dz = torch.cat([dz, off * (scale["reg-anchor"] * (2 / flat.shape[1]))], 2)
    if normalize:
        along = (raw * dz).sum(1, keepdim=True) / norm.clamp_min(TINY)
        dz = (dz - z_all * along) / (norm + NORM_EPS)
    dh1 = torch.ops.aten.gelu_backward.default(w2.mT @ dz, h1)
    grads_in = [(x @ dh1.mT).mT, dh1.sum(2), dz @ a1.mT, dz.sum(2)]
    return torch.stack([found[name] for name in batch.active], 1), grads_in + grads_out


def observe(parameters: Tensors, inputs: Tensor, normalize: bool) -> Observation:
    """Run a stack of models on colors `[N, 3]`: outputs `[S, N, 3]` and latents `[S, N, L]`."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters.values()
    x = inputs.mT.expand(len(w1), -1, -1)
    z = torch.baddbmm(b2[..., None], w2, gelu(torch.baddbmm(b1[..., None], w1, x)))
    if normalize:
        z = z / (torch.linalg.vector_norm(z, dim=1, keepdim=True) + NORM_EPS)
    y = torch.baddbmm(b4[..., None], w4, gelu(torch.baddbmm(b3[..., None], w3, z)))
    return Observation(y.sigmoid_().mT, z.mT)
