"""The settings of the color task, and its model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from curriculum.config.settings import Settings

DataName = Literal["primary", "full"]
ValidationName = Literal["primary", "full", "rgb"]
NORM_EPS = 1e-8  # keeps the division by |z| finite
SEPARATE_EPS = 1e-6  # keeps the repulsion of two equal latents finite


class PhaseData(Settings):
    """The data of one phase."""

    train: DataName = Field(description="the colors to train on: primary (6) or full (3600, sampled)")
    validate_on: ValidationName = Field(
        alias="validate", description="the colors to evaluate at the end of the phase: primary, full or rgb"
    )


class ColorSettings(Settings):
    """The settings of the color task."""

    name: Literal["color"] = Field("color", description="an autoencoder of RGB colors")
    latent_dim: int = Field(4, ge=2, le=64, description="dimensions of the bottleneck")
    hidden: int = Field(16, ge=1, le=1024, description="width of the hidden layers")
    normalize_bottleneck: bool = Field(False, description="normalize the latents to unit length")
    sample_weighting: Literal["mean", "sum"] = Field(
        "mean",
        description="the sample weights of a batch average 1 (mean), so that a loss has the same meaning in every phase, "
        "or sum to 1 (sum), as in the published notebook",
    )
    phases: dict[str, PhaseData] = Field(
        {
            "Primary & secondary": PhaseData(train="primary", validate="primary"),
            "All hues": PhaseData(train="full", validate="rgb"),
            "Full color space": PhaseData(train="full", validate="rgb"),
        },
        description="the data of each phase of the sheet, by the name of the phase",
    )


class ColorAutoencoder(nn.Module):
    """Linear - GELU - Linear to the latents, and the same back, with a sigmoid at the end."""

    def __init__(self, hidden: int, latent_dim: int, normalize: bool):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, hidden), nn.GELU(), nn.Linear(hidden, latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, hidden), nn.GELU(), nn.Linear(hidden, 3), nn.Sigmoid())
        self.normalize = normalize

    def encode(self, colors: Tensor) -> Tensor:
        """Compute the latents `[N, L]` of colors `[N, 3]`."""
        z: Tensor = self.encoder(colors)
        return z / (z.norm(dim=-1, keepdim=True) + NORM_EPS) if self.normalize else z
