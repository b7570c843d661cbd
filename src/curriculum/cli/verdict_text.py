"""What `curriculum compare` prints: the answer, and with `--full` everything that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curriculum.cli.dopesheet import print_diff
from curriculum.console import put, put_table

if TYPE_CHECKING:
    from curriculum.measure.answers import PairAnswer
    from curriculum.measure.comparison import Comparison
    from curriculum.measure.listing import Listing


def print_comparison(found: Comparison, full: bool = False) -> None:
    """Print the answer of a comparison, and what to be careful of; with `full` also everything that was measured."""
    from curriculum.measure import listing
    from curriculum.measure.answers import answers

    answer = answers(found)
    for own in answer.pairs:
        _print_answer(own, full)
    for pair in found.pairs:
        for part in listing.measures(found, pair, full) if full or not answer.of(pair) else ():
            _print(part)
    if full:
        for pair in found.pairs:
            _print(listing.rates(found, pair))
        _print(listing.losses(found))
        for pair in found.pairs:
            first, other = found.names[pair.first], found.names[pair.other]
            put(f"Schedules of {first} and {other}")
            print_diff(pair.sheets, first, other, keys=False)
        for part in (listing.gates(found.gates, found.names), listing.tails(found)):
            if part.rows:
                _print(part)
    for rule in answer.rules:
        put(rule)
    for note in answer.notes:
        put(f"note: {note}")


def _print_answer(answer: PairAnswer, full: bool) -> None:
    """Print what was found of a pair: a headline, the hypotheses, and every measure that was tested; with `full` the exploratory ones."""
    put(answer.headline)
    for hypothesis in answer.hypotheses:
        put(f"  {hypothesis}")
        for sentence in hypothesis.sentences:
            put(f"     {sentence}")
    for sentence in (*answer.sentences, *(answer.explored if full else ())):
        put(f"  {sentence}")
    put("")


def _print(part: Listing) -> None:
    put_table(part.header, part.rows, part.title, part.right)
