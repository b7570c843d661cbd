"""Render the templates of the page. Whatever a user named is escaped: names of runs, columns, phases and metrics are only text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from curriculum.console import safe
from curriculum.report.tables import badge

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """Make the environment of all templates: a value is escaped unless it is `Markup`, and an unknown name is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("curriculum.report", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible)
    made.globals["badge"] = badge
    return made


def _visible(value: Any) -> Any:
    """Show what is not printable in a text, such as a control character or half of a character in a path, by its escape."""
    if type(value) is not str or value.isprintable():
        return value
    return "\t".join(safe(part) for part in value.split("\t"))


def render(template: str, **values: Any) -> str:
    """Render a template of this package by its file name."""
    return environment().get_template(template).render(**values)
