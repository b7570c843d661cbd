"""How colors look to people who see colors differently, and how far apart colors look."""

import numpy as np
from matplotlib.colors import to_rgb

# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG
# 15(6), table of severity 1.0; for linear RGB.
MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
KINDS = {"usual": np.eye(3), **{kind: np.array(matrix) for kind, matrix in MACHADO.items()}}
# IEC 61966-2-1: linear sRGB to CIE XYZ, with the white point D65.
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def linear(color: str) -> np.ndarray:
    """Turn an sRGB color into linear RGB `[3]`."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(color: str, kind: str = "usual") -> np.ndarray:
    """Give CIELAB coordinates `[3]` of a color as it is seen."""
    seen = np.clip(KINDS[kind] @ linear(color), 0, 1)
    x, y, z = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in XYZ @ seen / XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str, kind: str) -> float:
    """Compute how far apart two colors look: CIE 1976 delta E; about 2.3 is just noticeable."""
    return float(np.linalg.norm(lab(one, kind) - lab(other, kind)))
