"""Put the page together: what stands in it as text, the data, and the code that shows them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from curriculum.console import joined
from curriculum.draw import style
from curriculum.draw.frames import frame_steps
from curriculum.measure.comparison import Comparison
from curriculum.measure.plain import plain_values
from curriculum.measure.trace import median_seeds, ranked_seeds
from curriculum.report import latents
from curriculum.report.answer import answer_section
from curriculum.report.charts import charts
from curriculum.report.effects import effects
from curriculum.report.made import made_section
from curriculum.report.pack import Blocks, steps_of
from curriculum.report.static_figures import static_figures
from curriculum.report.templating import environment
from curriculum.store.experiment import arm_of
from curriculum.store.reader import Run

SCRIPTS = ("uPlot.iife.min.js", "data.js", "state.js", "marks.js", "curves.js", "spaces.js", "effects.js", "main.js")
STYLES = ("uPlot.min.css", "page.css", "sections.css")


def render(
    runs: Sequence[Run],
    found: Comparison | None,
    command: str,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> str:
    """Make the page of runs, and of their comparison unless there is a single run, as HTML.

    `command` is the one that makes it again; `watch` is told how many seeds are packed, of how many. Raises `RunError` where a run is
    damaged.
    """
    names = _names(runs, found)
    ranked = [ranked_seeds(run) for run in runs]
    chosen = [(middle, own[0], own[-1]) for middle, own in zip(median_seeds(runs), ranked, strict=True)]
    blocks = Blocks()
    spaces = latents.spaces(runs)
    seeds = sum(len(run.seeds) for run in runs)
    done = iter(range(1, seeds + 1))
    space = spaces if isinstance(spaces, str) else latents.pack(runs, spaces, chosen, blocks, lambda: watch(next(done), seeds))
    document = {
        "names": names,
        "arms": [_arm(run, own) for run, own in zip(runs, chosen, strict=True)],
        "colors": {name: _colors(runs, theme) for name, theme in (("light", style.LIGHT), ("dark", style.DARK))},
        "frames": steps_of(_frames(runs, spaces)),
        "charts": charts(runs, chosen, blocks),
        "space": space,
        "effects": effects(found) if found else [],
    }
    css, script = _joined(STYLES), f'(() => {{\n"use strict";\n{_joined(SCRIPTS)}\n}})();'
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=joined(names),
            policy=_policy(script, css),
            css=Markup(css),
            script=Markup(script),
            document=_inert(json.dumps(plain_values(document), separators=(",", ":"), allow_nan=False)),
            blocks=blocks.texts(),
            answer=Markup(answer_section(runs, found)),
            made=Markup(made_section(runs, found, command)),
            figures=[{**asdict(own), "png": base64.b64encode(own.png).decode()} for own in static_figures(runs, found)],
            has_space=not isinstance(spaces, str),
            why_no_space=spaces if isinstance(spaces, str) else "",
        )
    )


def _frames(runs: Sequence[Run], spaces: Sequence[latents.Space] | str) -> list[int]:
    """List the steps that the page plays: those of which latents are stored, else those that a video shows."""
    length = max(len(run.schedule) for run in runs)
    if isinstance(spaces, str):
        return frame_steps(length)
    return sorted({0, length - 1, *(int(step) for space in spaces for step in space.frames())})


def _names(runs: Sequence[Run], found: Comparison | None) -> tuple[str, ...]:
    return found.names if found else tuple(arm_of(run).label or run.name for run in runs)


def _arm(run: Run, chosen: tuple[int, int, int]) -> dict[str, Any]:
    return {
        "seeds": list(run.seeds),
        "diverged": {str(seed): why for seed, why in run.diverged.items()},
        "median": chosen[0],
        "best": chosen[1],
        "worst": chosen[2],
        "last": run.schedule.last_step,
        "phases": [{"name": phase.name, "start": phase.start, "end": phase.end} for phase in run.schedule.phases],
        "actions": [{"step": step, "name": name} for step, name in run.schedule.actions],
    }


def _colors(runs: Sequence[Run], theme: style.Theme) -> list[str]:
    return list(style.with_runs(theme, [arm_of(run).color for run in runs]).runs)


def _joined(names: Sequence[str]) -> str:
    folder = files("curriculum.report") / "assets"
    return "\n".join((folder / name).read_text("utf-8") for name in names)


def _policy(script: str, css: str) -> str:
    """Allow this script and this style, images that are in the page, and nothing else: no request leaves it."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, css)]
    allowed = f"script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data: blob:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _inert(text: str) -> Markup:
    """Keep JSON from ending the element that it stands in."""
    return Markup(text.replace("<", "\\u003c"))
