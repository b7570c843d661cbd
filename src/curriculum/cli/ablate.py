"""`curriculum ablate`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import config_names, sheet_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import CompileOption, DeviceOption, FigureFormat, Figures, Overrides, Width, width_in_inches, with_options
from curriculum.console import put, put_json, put_table, say
from curriculum.find_file import DEFAULT_CONFIG

if TYPE_CHECKING:
    from curriculum.measure.ablation import Ablation


class Parts(StrEnum):
    """What is exchanged one at a time."""

    column = "column"
    phase = "phase"


@guarded
def ablate(
    first: Annotated[str, typer.Argument(metavar="A", autocompletion=sheet_names, help="A sheet: a path, or the name of one.")],
    second: Annotated[str, typer.Argument(metavar="B", autocompletion=sheet_names, help="The sheet that A is measured against.")],
    by: Annotated[Parts, typer.Option("--by", help="Exchange one column at a time, or one phase of A.")] = Parts.column,
    config: Annotated[
        str,
        typer.Option(
            "--config", "-c", metavar="CONFIG", autocompletion=config_names, help="What to train: a path, or the name of a config."
        ),
    ] = DEFAULT_CONFIG,
    seed: Annotated[
        str | None, typer.Option("--seed", "--seeds", metavar="SEEDS", help="The seeds of every arm, such as 0:16. Default: the config's.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Train only this many steps.")] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="ID", help="Take this measure apart. Repeatable. Default: the scores and the first final error."),
    ] = None,
    device: DeviceOption = None,
    compiled: CompileOption = None,
    overrides: Overrides = None,
    figures: Figures = FigureFormat.png,
    width: Width = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Find out which part of a sheet makes the difference to another sheet.

    Trains both sheets, B with each column of A, and A with each column of B, all as one stack. Then shows how much of the
    difference each column carries. Finished arms are not retrained.

    Examples:

      curriculum ablate smooth.csv stepped.csv --config ex-1.6 --seeds 0:16

      curriculum ablate smooth.csv stepped.csv --config ex-1.6 --seeds 0:16 --by phase --measure H1a

      curriculum ablate smooth.csv stepped.csv --config ex-1.6 --seeds 0:16 --figures pdf --width 8.4cm
    """
    from curriculum.cli.experiment import train_study
    from curriculum.cli.progress import Bar
    from curriculum.draw import style
    from curriculum.draw.plots import ablation
    from curriculum.errors import InputError
    from curriculum.measure import ablation as measured
    from curriculum.measure.exact import pairs_needed, smallest_p
    from curriculum.measure.verdicts import ALPHA
    from curriculum.runner.exchange import plan_exchange
    from curriculum.runner.provenance import planned_look
    from curriculum.store.files import write_file

    theme = style.for_print(style.LIGHT, width_in_inches(width))
    exchange = plan_exchange(
        first, second, runs, config, by=by.value, overrides=with_options(overrides, device, compiled), seeds=seed, steps=steps
    )
    measured.metrics_to_take_apart(planned_look(exchange.study.plans[0]), measure or ())
    count, names = len(exchange.parts), exchange.names
    seeds, tests = len(exchange.study.plans[0].seeds), measured.tests_of(count)
    if seeds < measured.FEWEST:
        raise InputError(f"an ablation needs at least {measured.FEWEST} seeds: pass --seeds 0:8")
    for warning in exchange.warnings:
        say(f"warning: {warning}")
    if smallest_p(seeds, tests) > ALPHA:
        say(
            f"warning: with {seeds} seed{'' if seeds == 1 else 's'} and {tests} tests, p cannot be below {smallest_p(seeds, tests):.2g}, "
            f"so that no part can be found: {pairs_needed(tests)} seeds are needed"
        )
    stored = train_study(exchange.study)
    with Bar("measuring", measured.pairs_to_measure(count), "pair of runs", patience=2.0) as bar:
        found, notes = measured.ablate(
            names,
            [part.name for part in exchange.parts],
            (stored[0], stored[1]),
            stored[2 : 2 + count],
            stored[2 + count :],
            measure or (),
            bar.update,
        )
    for note in notes:
        say(f"note: {note}")
    documents = [own.to_json() for own in found]
    write_file(exchange.folder / "ablation.json", (json.dumps(documents, indent=2, allow_nan=False) + "\n").encode())
    for own in found:
        style.save(ablation.draw(own, theme), exchange.folder / f"ablation-{own.id}.{figures.value}")
    if as_json:
        put_json(documents)
        return
    for own in found:
        _print(own)
    put(f"figures and ablation.json: {exchange.folder}")


def _print(found: Ablation) -> None:
    rows = []
    for own in (found.total, *found.parts, found.interaction):
        share = found.share(own)
        shares = "" if own is found.total else "-" if share != share else f"{share:.0%}"
        both = [_dash(found.amount(value), value) for value in (own.alone, own.without)]
        rows.append([own.part, *both, found.amount(own.value), found.interval(own), shares, f"{own.p_corrected:.2g}"])
    header = ["part", f"put into {found.names[1]}", f"taken out of {found.names[0]}", "carries", "95% interval", "of the whole", "p"]
    put_table(header, rows, f"{found.label}: {found.names[0]} against {found.names[1]}, by part", right=range(1, 7))
    put(found.sentence())
    if found.left_out:
        say(f"note: seeds that diverged in any arm are left out: {', '.join(map(str, found.left_out))}")


def _dash(text: str, value: float) -> str:
    return "-" if value != value else text
