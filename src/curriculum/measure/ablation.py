"""How much of the difference between two runs each part of their sheets carries.

Between the runs of two sheets, A and B, each part is exchanged alone, both ways: B with the part of A says what the part does by
itself, A with the part of B what is lost without it. The mean of the two is what the part carries. What the parts do not add up to is
their interaction. For two parts this is the Shapley value; for more, it is the mean of its first and last terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curriculum.errors import InputError, unknown
from curriculum.measure import effects
from curriculum.measure.effects import COUNT, SCALED
from curriculum.measure.exact import smallest_p
from curriculum.measure.measures import Looked, final_metrics, metrics_by_id, score_metrics
from curriculum.measure.measuring import Measured, measure_only
from curriculum.measure.metric import Metric, label
from curriculum.measure.pairing import line_up
from curriculum.measure.plain import plain_values
from curriculum.measure.stats import Array, Estimate, center, holm, paired_estimate
from curriculum.measure.verdicts import ALPHA
from curriculum.store.reader import Run

ALL, INTERACTION = "all parts together", "interaction"
FEWEST = 2  # seeds
ROUNDED = 1e-9  # of the largest effect: an interaction below it is none


@dataclass(frozen=True)
class Contribution:
    """What one part carries of the effect of A against B: an effect like that, with its intervals and Holm's p.

    `alone` is the effect of B with the part of A against B, `without` that of A against A with the part of B; both are NaN for all
    parts together and for their interaction. `values` are the contributions by seed, of a ratio its log10.
    """

    part: str
    alone: float
    without: float
    value: float
    low: float
    high: float
    wide: tuple[float, float]
    p: float
    p_corrected: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Ablation:
    """The effect of the run A against B by one measure, taken apart; `total` is the whole of it, `interaction` what the parts leave.

    `seeds` are those that trained in every arm, `left_out` the others.
    """

    id: str
    title: str
    unit: str
    effect: str
    better: str
    names: tuple[str, str]
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    total: Contribution
    parts: tuple[Contribution, ...]
    interaction: Contribution

    @property
    def label(self) -> str:
        return label(self.id, self.title)

    def share(self, own: Contribution) -> float:
        """Give a contribution as a share of the whole effect; NaN where that could be no effect at all."""
        low, whole, high = (self.scaled(end) for end in (self.total.low, self.total.value, self.total.high))
        return self.scaled(own.value) / whole + 0.0 if low * high > 0 else math.nan  # + 0.0: no share is -0%

    def amount(self, value: float) -> str:
        """Write an effect, as `x0.48` or `+1.2 points`."""
        return effects.text(value, self.effect, self.unit)

    def sentence(self) -> str:
        """Say the whole effect and what carries most of it."""
        link = "of" if self.effect in SCALED else "against"
        whole = f"{self.label}: {self.names[0]} {self.amount(self.total.value)} {link} {self.names[1]} {self.interval(self.total)}"
        told = [f"{own.part} {self.amount(own.value)}{self._percent(own)}" for own in self.carrying]
        found = f"of this, {', '.join(told)}" if told else "no single part carries a significant share of it"
        if smallest_p(len(self.seeds), tests_of(len(self.parts))) > ALPHA:
            found = f"{len(self.seeds)} seeds are too few to say which part carries it"
        left = f"; interaction {self.amount(self.interaction.value)} {self.interval(self.interaction)}"
        return f"{whole}; {found}{left} ({len(self.seeds)} seeds)"

    @property
    def carrying(self) -> list[Contribution]:
        """List the parts that carry something beyond chance, the largest first."""
        found = [own for own in self.parts if own.p_corrected <= ALPHA]
        return sorted(found, key=lambda own: -abs(self.scaled(own.value)))

    def interval(self, own: Contribution) -> str:
        return f"[{effects.number(own.low, self.effect)}, {effects.number(own.high, self.effect)}]"

    def _percent(self, own: Contribution) -> str:
        share = self.share(own)
        return "" if math.isnan(share) else f" ({share:.0%})"

    def scaled(self, value: float) -> float:
        """Give an effect on the scale on which effects add up: log10 of a ratio, or the difference."""
        return math.log10(value) if self.effect in SCALED else value

    def to_json(self) -> dict[str, Any]:
        """Turn it into plain values; numbers that do not exist become null."""
        found: dict[str, Any] = plain_values({**asdict(self), "sentence": self.sentence()})
        return found


def ablate(
    names: tuple[str, str],
    parts: Sequence[str],
    bases: tuple[Run, Run],
    alone: Sequence[Run],
    without: Sequence[Run],
    measures: Sequence[str] = (),
    watch: Callable[[int], None] = lambda done: None,
) -> tuple[list[Ablation], list[str]]:
    """Take the effect of the first of two runs against the second apart by measures, or by scores and the first final error.

    `alone` are the runs of the second sheet with each part of the first, `without` those of the first with each part of the second.
    With the answers come notes: which measures have no effect in some seeds, and why. Raises `InputError` for a measure that cannot
    be taken apart, where that holds for none, and where too few seeds are trained in every arm.
    """
    chosen = metrics_to_take_apart(bases[0], measures)
    first, second = bases
    runs = [first, second, *alone, *without]
    seeds = [seed for seed in first.seeds if all(seed in run.seeds and seed not in run.diverged for run in runs)]
    if len(seeds) < FEWEST:
        raise InputError(f"only {len(seeds)} of {len(first.seeds)} seeds were trained to the end in every arm: {FEWEST} are needed")
    left = tuple(seed for seed in first.seeds if seed not in seeds)
    # The window of a measure belongs to a pair of runs: each difference is measured by its own.
    pairs = [(first, second), *((run, second) for run in alone), *((first, run) for run in without)]
    rows = []
    for done, pair in enumerate(pairs, start=1):
        rows.append(measure_only(pair, line_up(pair).pairings[0], chosen))
        watch(done)
    found: list[Ablation] = []
    notes: list[str] = []
    for place in range(len(chosen)):
        measured = [own[place] for own in rows]
        changes = _effects(measured, pairs, seeds)
        note = next(_without_effect(measured, pairs, seeds, changes), None)
        if note is None:
            found.append(_ablation(names, parts, measured[0], changes, seeds, left))
        else:
            notes.append(f"{label(measured[0].id, measured[0].title)} is not taken apart: {note}")
    if not found:
        raise InputError("\n".join(notes))
    return found, notes


def pairs_to_measure(parts: int) -> int:
    """Count the pairs of runs that `ablate` measures."""
    return 1 + 2 * parts


def metrics_to_take_apart(run: Looked, measures: Sequence[str] = ()) -> list[Metric]:
    """Find the measures that are asked for in a run, or in the plan of one: without any, the scores and the first final error.

    Raises `InputError` for a measure that there is not, and for one whose effect is not one of single seeds.
    """
    if not measures:
        return [*score_metrics(run), *final_metrics(run)[:1]]
    known = metrics_by_id(run)
    found = []
    for name in measures:
        if name not in known:
            raise InputError(unknown("measure", name, list(known)))
        if known[name].effect in ("share", "time") or known[name].limit is not None:
            raise InputError(f"the measure {name!r} cannot be taken apart: its effect is not one of single seeds")
        found.append(known[name])
    return found


def tests_of(parts: int) -> int:
    """Count the tests that are corrected together: of each part, and of the interaction."""
    return parts + 1


def _values(row: Measured, runs: tuple[Run, Run], seeds: Sequence[int]) -> tuple[Array, Array]:
    first, other = (np.array([own[run.seeds.index(seed)] for seed in seeds]) for own, run in zip(row.values, runs, strict=True))
    return first, other


def _effects(rows: Sequence[Measured], pairs: Sequence[tuple[Run, Run]], seeds: Sequence[int]) -> list[Array]:
    """Compute the effects `[N]` of each pair of runs by seed."""
    return [effects.pair_effects(*_values(row, runs, seeds), row.kind) for row, runs in zip(rows, pairs, strict=True)]


def _without_effect(
    rows: Sequence[Measured], pairs: Sequence[tuple[Run, Run]], seeds: Sequence[int], found: Sequence[Array]
) -> Iterator[str]:
    """Say of each run with which a pair has no finite effect in some seeds what its values lack there."""
    for row, runs, own in zip(rows, pairs, found, strict=True):
        lost = ~np.isfinite(own)
        for run, values in zip(runs, _values(row, runs, seeds), strict=True):
            for what, where in (("has no value", np.isnan(values)), ("is 0", values == 0), ("is negative", values < 0)):
                if (named := np.flatnonzero(lost & where)).size:
                    text = ", ".join(str(seeds[int(place)]) for place in named)
                    which = "any seed" if what == "has no value" else "every seed"
                    which = which if len(named) == len(seeds) else f"seed{'s' if len(named) > 1 else ''} {text}"
                    why = f" (needs {row.needs})" if what == "has no value" and row.needs else ""
                    why = why or ("" if what == "has no value" else ", so that no ratio to it exists")
                    yield f"it {what} for {which} of {run.path.name}{why}"


def _ablation(
    names: tuple[str, str],
    parts: Sequence[str],
    row: Measured,
    found: Sequence[Array],
    seeds: Sequence[int],
    left: tuple[int, ...],
) -> Ablation:
    kind, tests = row.kind, tests_of(len(parts))
    whole, alone, without = found[0], found[1 : 1 + len(parts)], found[1 + len(parts) :]
    carried = [(own + other) / 2 for own, other in zip(alone, without, strict=True)]
    over = whole - np.sum(carried, axis=0)
    # Where two parts carry all of it, rounding leaves a rest: it must not be tested.
    over[np.abs(over) < ROUNDED * max(1.0, np.abs(whole).max())] = 0.0
    estimates = [paired_estimate(own, kind == COUNT, tests) for own in (*carried, over)]
    corrected = holm([own.p for own in estimates])

    def made(part: str, values: Array, own: Estimate, p: float, both: tuple[float, float] = (math.nan, math.nan)) -> Contribution:
        low, high, wide_low, wide_high = (effects.unscaled(end, kind) for end in (own.low, own.high, *own.wide))
        value = effects.unscaled(own.value, kind)
        return Contribution(part, *both, value, low, high, (wide_low, wide_high), own.p, p, tuple(map(float, values)))

    def middle(values: Array) -> float:
        return effects.unscaled(center(values, kind == COUNT), kind)

    total = paired_estimate(whole, kind == COUNT)
    return Ablation(
        id=row.id,
        title=row.title,
        unit=row.unit,
        effect=row.effect,
        better=row.better,
        names=names,
        seeds=tuple(seeds),
        left_out=left,
        total=made(ALL, whole, total, total.p),
        parts=tuple(
            made(part, values, own, p, (middle(one), middle(other)))
            for part, values, own, p, one, other in zip(parts, carried, estimates[:-1], corrected[:-1], alone, without, strict=True)
        ),
        interaction=made(INTERACTION, over, estimates[-1], corrected[-1]),
    )
