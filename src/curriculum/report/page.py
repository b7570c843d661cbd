"""Assemble the page: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.resources import files

from curriculum.measure.comparison import Comparison
from curriculum.report.answer import answer_section
from curriculum.report.made import made_section
from curriculum.report.static_figures import static_figures
from curriculum.report.templating import environment
from curriculum.store.reader import Run

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
{{ css }}
</style>
</head>
<body>
<main>
{{ answer }}
<noscript>
{% for own in figures %}
<figure><img src="data:image/png;base64,{{ own.png }}" alt="{{ own.alt }}"><figcaption>{{ own.title }}</figcaption></figure>
{% endfor %}
</noscript>
{{ made }}
</main>
</body>
</html>
"""


def render(
    runs: Sequence[Run], found: Comparison | None, *, command: str, watch: Callable[[int, int], None] = lambda done, of: None
) -> str:
    """Write the page as HTML; `watch(done, of)` is told how far it is."""
    from markupsafe import Markup

    answer, made = answer_section(runs, found), made_section(runs, found, command)
    css = (files("curriculum.report") / "assets" / "sections.css").read_text("utf-8")
    figures = [{**asdict(own), "png": base64.b64encode(own.png).decode()} for own in static_figures(runs, found)]
    watch(1, 1)
    title = " and ".join(run.name for run in runs)
    return environment().from_string(PAGE).render(title=title, css=Markup(css), answer=Markup(answer), figures=figures, made=Markup(made))
