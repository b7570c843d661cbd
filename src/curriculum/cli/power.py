"""`curriculum power`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated

import typer

from curriculum.cli.completion import run_and_experiment_names
from curriculum.cli.guard import RUNS, AsJson, RunsFolder, guarded
from curriculum.cli.options import Baseline
from curriculum.console import put, put_json, put_table


@guarded
def show_power(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", autocompletion=run_and_experiment_names, help="Two or more runs, or the name of an experiment that was run."
        ),
    ],
    baseline: Baseline = None,
    smallest_ratio: Annotated[
        float, typer.Option(min=0, max=0.99, help="The smallest effect of interest as a share, as for `compare`.")
    ] = 0.1,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Estimate how many pairs of seeds it takes to decide each measure.

    Runs of 8 seeds or more serve as a pilot: experiments with more pairs are simulated from theirs.

    Examples:

      curriculum power runA runB

      curriculum power smooth-vs-stepped
    """
    from curriculum.errors import InputError
    from curriculum.measure.comparison import compare
    from curriculum.measure.power import CHANCES, power, said
    from curriculum.measure.verdicts import SmallestEffect
    from curriculum.store.experiment import find_runs, place_of_baseline

    chosen, record = find_runs(names, runs)
    place = place_of_baseline(baseline, chosen, record, runs)
    found = compare(chosen, SmallestEffect(smallest_ratio), baseline=place, primary=record.primary)
    powers = power(found)
    if not powers:
        raise InputError(f"nothing to estimate from: {'; '.join(found.notes) or 'no measure has pairs'}")
    if as_json:
        put_json([{key: None if _missing(value) else value for key, value in asdict(own).items()} for own in powers])
        return
    rows = []
    for own in powers:
        between = f"{found.names[own.first]} against {found.names[own.other]}"
        needed = ["more than 512" if count is None else f"{count}" for count in own.needed]
        pairing = ["-" if _missing(value) else f"{value:.2f}" for value in (own.correlation, own.saved)]
        rows.append([own.title, between, own.amount, *needed, *pairing])
    chances = [f"pairs for {chance:.0%}" for chance in CHANCES]
    header = ["measure", "runs", "effect so far", *chances, "correlation", "seeds without pairs"]
    put_table(header, rows, "Pairs of seeds that decide each measure", right=list(range(2, 7)))
    for sentence in said(found, powers):
        put(sentence)


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
