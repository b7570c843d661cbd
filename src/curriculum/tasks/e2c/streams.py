"""The streams of random numbers that the task draws from; none depends on what was drawn from another."""

from __future__ import annotations

DATA, FIRST_NOISE, SECOND_NOISE, EVALUATION = range(4)
