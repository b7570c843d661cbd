"""Compose the answer of a comparison: what the command line prints first, and what the page shows first.

What comes out is text in parts: who shows it chooses how the parts are set off from each other, and changes no word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curriculum.measure.comparison import Comparison, Pair
from curriculum.measure.effects import SCALED, difference_unit, number
from curriculum.measure.judging import Hypothesis
from curriculum.measure.measuring import Gate
from curriculum.measure.verdicts import Verdict


@dataclass(frozen=True)
class Sentence:
    """A sentence about one verdict: `found`, then the word of the `verdict`, then `caveats`, which may be empty."""

    id: str
    found: str
    verdict: str
    caveats: str

    def __str__(self) -> str:
        return f"{self.found}{self.verdict}{self.caveats}"


@dataclass(frozen=True)
class HypothesisAnswer:
    """A hypothesis with its verdict, and the sentences of its measures."""

    id: str
    question: str
    verdict: str
    sentences: tuple[Sentence, ...]

    def __str__(self) -> str:
        return f"{self.id} {self.question}: {self.verdict}"


@dataclass(frozen=True)
class PairAnswer:
    """What was found of the run at the place `first` against the one at the place `other`.

    The headline names the pair in `between`, then says in `findings` the verdict on each hypothesis and what the runs ended with.
    `sentences` are those of measures that belong to no hypothesis, `explored` those of exploratory measures.
    """

    first: int
    other: int
    between: str
    findings: tuple[str, ...]
    hypotheses: tuple[HypothesisAnswer, ...]
    sentences: tuple[Sentence, ...]
    explored: tuple[Sentence, ...]

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        return f"{self.between}: {'; '.join(self.findings)}"


@dataclass(frozen=True)
class Answers:
    """The answer of a comparison: of each pair that was judged, by what rules, and what a reader must know of it."""

    pairs: tuple[PairAnswer, ...]
    rules: tuple[str, ...]
    notes: tuple[str, ...]

    def of(self, pair: Pair) -> PairAnswer | None:
        """Find the answer of a pair; None where it was not judged."""
        return next((own for own in self.pairs if (own.first, own.other) == (pair.first, pair.other)), None)


def answers(found: Comparison) -> Answers:
    """Compose the answer of a comparison."""
    pairs = tuple(_pair(found, pair) for pair in found.pairs if judged(found, pair))
    return Answers(pairs, tuple(_rules(found)), (*_failed_gates(found), *found.notes))


def judged(found: Comparison, pair: Pair) -> list[Verdict]:
    """List the verdicts on a pair, those on final errors last."""
    return _of(pair, (*found.verdicts, *found.guards))


def passes(gate: Gate) -> str:
    """Say when a seed passes a gate, as `at most 0.1`."""
    return f"{'at most' if gate.better == 'lower' else 'at least'} {gate.limit:.3g}"


def _of(pair: Pair, verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if (verdict.first, verdict.other) == (pair.first, pair.other)]


def _pair(found: Comparison, pair: Pair) -> PairAnswer:
    verdicts = judged(found, pair)
    hypotheses = [own for own in found.hypotheses if (own.first, own.other) == (pair.first, pair.other)]
    named = {id_ for hypothesis in hypotheses for id_ in hypothesis.measures}
    estimate = verdicts[0].estimate
    pairs = f"{estimate.n} pairs of seeds" if estimate.paired else f"at least {estimate.n} seeds each, unpaired"
    return PairAnswer(
        first=pair.first,
        other=pair.other,
        between=f"{found.names[pair.first]} against {found.names[pair.other]}, {pairs}",
        findings=tuple(_findings(found, pair, hypotheses)),
        hypotheses=tuple(_hypothesis(found, own, verdicts) for own in hypotheses),
        sentences=_sentences(found, [verdict for verdict in verdicts if verdict.id not in named]),
        explored=_sentences(found, _of(pair, found.explored)),
    )


def _findings(found: Comparison, pair: Pair, hypotheses: Iterable[Hypothesis]) -> Iterable[str]:
    """Say the verdict on each hypothesis, and the effect on each measure of the end of training."""
    yield from (f"{own.id} {own.verdict}" for own in hypotheses)
    windows = {row.id: row.window for row in found.rows(pair, found.measures) if row.judged}
    for verdict in judged(found, pair):
        if windows.get(verdict.id, "") not in pair.windows:
            yield f"{verdict.title} {verdict.amount} ({verdict.verdict})"


def _hypothesis(found: Comparison, own: Hypothesis, verdicts: Iterable[Verdict]) -> HypothesisAnswer:
    sentences = _sentences(found, [verdict for verdict in verdicts if verdict.id in own.measures])
    return HypothesisAnswer(own.id, own.question, own.verdict, sentences)


def _sentences(found: Comparison, verdicts: Iterable[Verdict]) -> tuple[Sentence, ...]:
    return tuple(Sentence(own.id, f"{own.statement(found.names)}: ", own.verdict, own.qualified) for own in verdicts)


def _failed_gates(found: Comparison) -> list[str]:
    """Say of each run how many seeds fail which gates."""
    failed: dict[int, list[str]] = {}
    for gate in found.gates:
        if gate.passed < gate.of:
            failed.setdefault(gate.run, []).append(f"{gate.title} ({gate.of - gate.passed} of {gate.of})")
    return [f"{found.names[run]} has seeds that fail a gate: {', '.join(gates)}" for run, gates in sorted(failed.items())]


def _rules(found: Comparison) -> Iterable[str]:
    """Say by which smallest effects of interest, and with which correction, the verdicts were given; nothing where there are none."""
    margins: dict[str, list[str]] = {}
    for verdict in (*found.verdicts, *found.guards):
        if verdict.margin is None:
            text = "none, direction only"
        elif verdict.effect in SCALED:
            text = f"x{number(verdict.margin[0], verdict.effect)} to x{number(verdict.margin[1], verdict.effect)}"
        else:
            size = number(verdict.margin[1], verdict.effect).removeprefix("+")
            text = f"+-{size} {difference_unit(verdict.effect, verdict.unit)}".rstrip()
        if verdict.id not in margins.setdefault(text, []):
            margins[text].append(verdict.id)
    if margins:
        texts = [f"{text} ({', '.join(ids)})" for text, ids in margins.items()]
        yield f"smallest effects of interest: {'; '.join(texts)}"
        corrected = f"{found.tests} tests are corrected together (Holm)" if found.tests > 1 else "a single test needs no correction"
        yield f"{corrected}; intervals are of {found.level} each"
