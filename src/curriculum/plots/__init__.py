"""Figures, one file each. A plot draws what was computed elsewhere; it computes no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curriculum.runfolder import Run


def draw_run(run: Run) -> None:
    """Draw the figures of a run into its folder: the timeline, the losses, the latents at phase ends."""
    from curriculum.plots import latents, losses, style, timeline

    sheet = run.manifest.get("sheet", "dopesheet.csv")
    style.save(timeline.draw(run.schedule, f"{run.name} ({sheet})"), run.figure("timeline.png"))
    style.save(losses.draw([run]), run.figure("losses.png"))
    style.save(latents.draw(run), run.figure("latents.png"))


def draw_comparison(runs: Sequence[Run], folder: Path) -> None:
    """Draw the figures of a comparison: losses and schedules of all runs."""
    from curriculum.plots import losses, schedules, style

    style.save(losses.draw(runs), folder / "losses.png")
    style.save(schedules.draw(runs), folder / "schedules.png")
