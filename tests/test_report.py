"""`curriculum report`: the answer and how it was run, as HTML that says what the other commands say, and nothing that was not meant."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from conftest import EASY, stored_classifier
from curriculum import track
from curriculum.measure import effects
from curriculum.measure.comparison import compare
from curriculum.report.answer import answer_section
from curriculum.report.made import made_section
from curriculum.report.page import render
from curriculum.report.static_figures import MOST_BYTES, static_figures
from curriculum.store.reader import Run

VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr", "col"}
UNSEEN = {"script", "style", "title"}


@dataclass
class Read:
    """What a page holds: its visible text, its elements with their attributes, and its tables."""

    text: str = ""
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def table(self, caption: str) -> list[list[str]]:
        (place,) = [place for place, own in enumerate(self.captions) if own.startswith(caption)]
        return self.tables[place]


class Reader(HTMLParser):
    """Reads a page with the standard library; an element that is not closed where it must be is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Read()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.found.tables.append([])
            self.found.captions.append("")
        elif tag == "tr":
            self.found.tables[-1].append([])
        elif tag in ("td", "th"):
            self.found.tables[-1][-1].append("")
        elif tag == "code":
            self.found.code.append("")
        elif tag == "mark":
            self.found.marks.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if UNSEEN & set(self.open):
            return
        self.found.text += data
        if "td" in self.open or "th" in self.open:
            self.found.tables[-1][-1][-1] += data
        elif "caption" in self.open:
            self.found.captions[-1] += data
        if "code" in self.open:
            self.found.code[-1] += data
        if "mark" in self.open:
            self.found.marks[-1] += data


def flat(text: str) -> str:
    return " ".join(text.split())


def read(html: str) -> Read:
    """Read HTML, and check what must hold of every page: sound, no id twice, a caption for every table, nothing from elsewhere."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    found = reader.found
    assert reader.open == []
    ids = Counter(attributes["id"] for _, attributes in found.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    assert len(found.tables) == [tag for tag, _ in found.elements].count("caption")
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)
        # Of a picture that is in the page, the data may have any letters.
        outside = [value for value in attributes.values() if "http" in value and not value.startswith("data:image/png;base64,")]
        assert outside == [], (tag, outside)
        assert tag not in ("iframe", "link", "object", "embed", "base", "form"), tag
        assert attributes.get("src", "data:").startswith("data:"), attributes
    for attributes in (own for tag, own in found.elements if tag == "th"):
        assert attributes.get("scope") in ("col", "row"), attributes
    found.text = flat(found.text)
    found.captions = [flat(own) for own in found.captions]
    found.tables = [[[flat(cell) for cell in row] for row in table] for table in found.tables]
    found.marks = [flat(own) for own in found.marks]
    return found


def sections(runs: list[Run], found=None, command: str = "curriculum report x") -> Read:
    return read(answer_section(runs, found) + made_section(runs, found, command))


def page_of(outcome) -> Path:
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("\n") == 1
    return Path(outcome.out.partition(": ")[0])


@pytest.fixture
def shelf(empty: Path, classifiers) -> Path:
    """Work in a new folder with copies of the runs easy and hard."""
    for run in classifiers:
        shutil.copytree(run.path, empty / "runs" / run.name)
    return empty


def test_the_page_says_every_line_that_compare_prints(here, shelf):
    printed = here("compare", "easy", "hard").out.splitlines()
    outcome = here("report", "easy", "hard")
    path = page_of(outcome)
    assert path == Path("runs/reports/easy-vs-hard.html")
    assert re.fullmatch(r"runs/reports/easy-vs-hard\.html: [\d.]+ (kB|MB), 2 runs of 16 seeds\n", outcome.out)
    text = read(path.read_text()).text
    said = [flat(line) for line in printed if line and not line.startswith("figures and compare.json")]
    assert len(said) > 6
    assert [line for line in said if line not in text] == []


def test_the_numbers_of_the_page_are_those_of_compare_json(here, shelf):
    document = json.loads(here("compare", "easy", "hard", "--json").out)
    page = read(page_of(here("report", "easy", "hard")).read_text())
    header, *rows = page.table("Effects, their intervals and tests")
    assert header == ["run", "against", "measure", "effect", "95% interval", "p", "verdict", "pairs"]
    judged = [*document["verdicts"], *document["guards"]]
    for row, own in zip(rows, judged, strict=False):
        interval = f"[{effects.number(own['low'], own['effect'])}, {effects.number(own['high'], own['effect'])}]"
        assert row[:2] == ["easy", "hard"]
        assert row[3:5] == [effects.text(own["value"], own["effect"], own["unit"]), interval]
        assert float(row[5]) == pytest.approx(own["p_corrected"], rel=0.5)
        assert row[6] == own["verdict"]
        assert f"{row[2]}: easy {row[3]}" in own["sentence"]
        assert row[7] in own["sentence"]
    assert len(rows) == len(judged) + len(document["explored"])
    _, first, other = page.table("Final errors")
    for row, values, name in zip((first, other), document["final"][0]["values"], ("easy", "hard"), strict=True):
        seeds = {f"{effects.level(value, 'cross-entropy')} (seed {seed})" for seed, value in enumerate(values)}
        assert row[:3] == ["final error on the test data", name, effects.level(float(np.median(values)), "cross-entropy")]
        assert row[3] == f"{effects.level(min(values), 'cross-entropy')} (seed {int(np.argmin(values))})"
        assert row[4] in seeds
        assert row[4].startswith(effects.level(max(values), "cross-entropy"))
    scores = page.table("Scores at the end")
    assert scores[1][3].startswith(f"{max(document['measures'][0]['values'][0]):.2f}%"), "of an accuracy the highest is the best"


@pytest.mark.slow
def test_runs_that_are_not_judged_show_what_was_measured(here, bench):
    printed = here("compare", "a", "b").out
    page = read(page_of(here("report", "a", "b")).read_text())
    assert "a against b: not judged" in page.text
    for line in printed.splitlines():
        if line.startswith("note: "):
            assert flat(line) in page.text
    assert page.text.index("too few seeds to test") < page.text.index("a against b. Final error"), "the reason comes first"
    table = page.table("a against b. Final error")
    assert [flat(line).split(" MSE ")[0] for line in printed.splitlines() if " MSE " in line] == [row[0] for row in table[1:]]
    gates = page.table("Gates")
    assert gates[0] == ["gate", "passes", "a", "b"]
    assert all("of 1, worst" in cell or cell.startswith("0 of 1") for row in gates[1:] for cell in row[2:])


@pytest.mark.slow
def test_a_single_run_shows_what_it_ended_with(here, bench):
    outcome = here("report", "a")
    assert outcome.out.endswith(", 1 run of 1 seed\n")
    page = read(page_of(outcome).read_text())
    assert "a: 1 seed, 40 steps" in page.text
    assert "trained on the first 40 of the sheet's 10,001 steps only (--steps)" in page.text
    together = read(page_of(here("report", "a", "b")).read_text())
    alone = [row for row in together.table("Final errors") if row[1] == "a"]
    assert page.table("Final errors")[1:] == alone
    assert [row[2] for row in page.table("Gates")] == [row[2] for row in together.table("Gates")]
    assert not [one for _, one in page.elements if one.get("id") == "effects"]


@pytest.mark.slow
def test_three_arms_are_compared_with_the_baseline(here, shelf):
    stored_classifier(shelf / "runs" / "third", accuracy=0.93 + np.arange(16) / 1000)
    printed = here("compare", "easy", "hard", "third", "--baseline", "hard").out
    page = read(page_of(here("report", "easy", "hard", "third", "--baseline", "hard")).read_text())
    for between in ("easy against hard", "third against hard"):
        assert f"{between}, 16 pairs of seeds:" in page.text
        assert f"{between}, 16 pairs of seeds:" in printed
    assert "easy against third" not in page.text
    marked = [own for own in page.captions if "marked where it differs" in own]
    assert marked == [f"{name}: easy.csv; marked where it differs from hard (there)" for name in ("easy", "third")]
    assert "curriculum report easy hard third --baseline hard" in page.code
    # The commands of the page are those that give it.
    (command,) = [own for own in page.code if own.startswith("curriculum compare")]
    assert here(*shlex.split(command)[1:]).out.splitlines()[:-1] == printed.splitlines()[:-1]


@pytest.mark.slow
def test_the_latest_comparison_is_shown_as_it_was_compared(here, shelf):
    asked = ["easy", "hard", "--baseline", "easy", "--primary", "accuracy", "--smallest", "accuracy=3"]
    printed = here("compare", *asked).out
    outcome = here("report")
    text = read(page_of(outcome).read_text()).text
    assert outcome.out.startswith("runs/reports/easy-vs-hard.html: ")
    assert flat(printed.splitlines()[0]) in text
    assert "hard against easy" in text
    assert "smallest effects of interest: +-3.0 points (accuracy)" in text
    assert "easy against hard" in read(page_of(here("report", "--baseline", "hard")).read_text()).text


def test_without_a_comparison_the_newest_runs_are_shown(here, bench):
    assert here("report").out.startswith("runs/reports/a-vs-b.html: ")


@pytest.mark.slow
def test_all_pairs_are_shown_again_as_all_pairs(here, shelf):
    stored_classifier(shelf / "runs" / "third", accuracy=0.93 + np.arange(16) / 1000)
    assert here("compare", "easy", "hard", "third", "--all-pairs").code == 0
    page = read(page_of(here("report")).read_text())
    assert "hard against third, 16 pairs of seeds" in page.text
    assert any(own.endswith("--all-pairs") for own in page.code)


def test_seeds_that_diverged_are_named(here, shelf):
    path = shelf / "runs" / "lost"
    accuracy, error = np.full(16, 0.9), np.full(16, 0.3)
    stored_classifier(path, accuracy=accuracy, error=error, diverged={"3": "at step 120: loss is not finite"})
    page = read(page_of(here("report", "lost", "hard")).read_text())
    assert page.table("Seeds that diverged")[1:] == [["lost", "3", "at step 120: loss is not finite"]]
    assert "diverged (seed 3)" in page.table("Final errors")[1]
    assert page.table("Seeds that diverged") == read(page_of(here("report", "lost")).read_text()).table("Seeds that diverged")


def test_an_interrupted_run_says_how_far_it_came(here, shelf):
    stored_classifier(shelf / "runs" / "half", accuracy=np.full(16, 0.9), status="interrupted")
    assert "the run was interrupted after 400 of 400 steps" in read(page_of(here("report", "half")).read_text()).text


HOSTILE = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
UNIT = "</style><u onclick=x>"


def hostile_runs(folder: Path) -> None:
    """Track two runs whose names, labels, phases, actions, columns and units are code, if anybody reads them so."""
    sheet = f'STEP,PHASE,ACTION,"{SCRIPT}","a&b ""c"""\n0,{SCRIPT},,1,0\n10,{HOSTILE},,,\n19,,,0,1\n'
    (folder / "a.csv").write_text(sheet)
    (folder / "b.csv").write_text(sheet.replace("19,,,0,1", "19,,,0.5,1"))
    for name in ("a", "b"):
        for seed in (0, 1):
            score = {"better": "lower", "unit": UNIT}
            with track(folder / "runs" / "study" / name, sheet=folder / f"{name}.csv", seed=seed, metrics={"error": score}) as run:
                for step, _ in run.steps():
                    run.log(error=1 / (step + 1 + seed))
    (folder / "runs" / "study" / "a").rename(folder / "runs" / "study" / HOSTILE)
    arms = {HOSTILE: {}, "b": {"label": "</script>" + SCRIPT}}
    (folder / "runs" / "study" / "experiment.json").write_text(json.dumps({"arms": arms}))


def test_names_of_users_are_text_and_never_code(here, empty):
    hostile_runs(empty)
    path = page_of(here("report", "study", "-o", "page.html"))
    page = read(path.read_text())
    usual = {tag for tag, _ in page.elements}
    assert not usual & {"u", "b", "i"}
    assert [own for tag, own in page.elements if tag == "img" and own.get("src") == "x"] == []
    for name in (HOSTILE, SCRIPT, f"</script>{SCRIPT}", UNIT, 'a&b "c"'):
        assert name in page.text, name
    assert "<script>alert" not in path.read_text()
    assert len([own for tag, own in page.elements if tag == "script" and "type" not in own]) == 1, "the page's own"


def test_names_in_a_judged_answer_are_text(here, empty):
    levels = 0.9 + np.arange(16) / 1000
    scores = {"<u>accuracy</u>": {"better": "higher", "unit": "%", "scale": 100.0, "smallest": 0.5}}
    question = {"question": "<i>better</i>?", "measures": ["H2"]}
    for name, more in (("a", 0.02), ("b", 0)):
        stored_classifier(
            empty / "runs" / "study" / name,
            accuracy=levels + more,
            look={"scores": scores, "hypotheses": {"<b>": question}, "error_unit": "<s>"},
            probes=[{"name": "test", "title": SCRIPT, "uses": ["final", "loss"]}],
        )
    labels = {"a": {"label": HOSTILE}, "b": {"label": "&lt;b&gt;"}}
    (empty / "runs" / "study" / "experiment.json").write_text(json.dumps({"arms": labels}))
    page = read(page_of(here("report", "study")).read_text())
    assert f"{HOSTILE} against &lt;b&gt;, 16 pairs of seeds: <b> " in page.text
    assert f"final error on {SCRIPT} (<s>): {HOSTILE} x" in page.text
    assert "<b> <i>better</i>?: " in page.text
    assert not {tag for tag, _ in page.elements} & {"u", "i", "b", "s"}


def test_what_cannot_be_printed_is_shown_by_its_escape(empty):
    hostile_runs(empty)
    place = empty / "runs" / "study" / "b"
    odd = place.rename(place.with_name("bell\x07"))
    assert "bell\\x07: 2 seeds, 20 steps" in read(render([Run(odd)], None, command="curriculum report").encode().decode()).text
    # A name that is not text cannot be opened by every library, but it can be in a label or a path.
    half = odd.rename(odd.with_name("half \udcff"))
    assert "half \\udcff: 2 seeds, 20 steps" in sections([Run(half)]).text


def test_a_tracked_run_shows_its_script_and_its_metrics(here, empty):
    hostile_runs(empty)
    page = read(page_of(here("report", "study/b", "--runs", "runs")).read_text())
    assert [row[0] for row in page.table("Scores at the end")[1:]] == ["error at the end"]
    assert "curriculum report study/b" in page.code


def test_runs_that_logged_nothing_are_shown(here, empty):
    (empty / "a.csv").write_text("STEP,lr\n0,1\n9,\n")
    for name in ("a", "b"):
        with track(f"runs/{name}", sheet="a.csv") as run:
            rates = [now["lr"] for _, now in run.steps()]
        assert len(rates) == 10
    page = read(page_of(here("report", "a", "b")).read_text())
    assert "a against b: not judged" in page.text
    assert not [own for own in page.captions if own.startswith(("Final errors", "Scores", "Gates"))]


def test_a_run_of_another_task_is_shown(here, empty):
    sizes = [word for size in ("batch=4", "train_states=8", "test_states=16", "hidden=[4]") for word in ("--set", f"task.{size}")]
    sheet = ["--dopesheet", "control-regular"]
    made = here("train", "--config", "control", *sheet, "--steps", "4", "--name", "c", "--seeds", "0:2", *sizes)
    assert made.code == 0, made.err
    page = read(page_of(here("report", "c")).read_text())
    assert "c: 2 seeds, 4 steps" in page.text
    assert re.search(r"\(seed [01]\)$", page.table("Final errors")[1][3])


def test_the_sheets_are_marked_where_they_differ(tmp_path):
    runs = [stored_classifier(tmp_path / "easy", accuracy=np.full(3, 0.9))]
    changed = "STEP,PHASE,lr,loss:log,smoothing\n0,begin,0.02,1,0\n100,,,,0.3\n399,,0.001,,\n"
    runs.append(stored_classifier(tmp_path / "other", accuracy=np.full(3, 0.9), sheet=changed))
    page = sections(runs, compare(runs))
    first, other = page.table("easy: easy.csv"), page.table("other: hard.csv")
    assert [re.sub(r" (there: .*|only here)", "", cell) for row in first for cell in row] == [
        cell for line in EASY.splitlines() for cell in line.split(",")
    ], "the cells are those of the file"
    assert first[1] == ["0", "0.01 there: 0.02", "1", "0.3 there: 0"]
    assert first[2] == ["200", "", "", "0 only here"]
    assert other[0] == ["STEP", "PHASE", "lr", "loss:log there: linear minjerk", "smoothing"]
    assert other[1] == ["0", "begin only here", "0.02 there: 0.01", "1", "0 there: 0.3"]
    assert other[2] == ["100", "", "", "", "0.3 only here"]
    assert set(page.marks) >= {"0.01 there: 0.02", "begin only here"}
    keys = page.table("easy against other: keys that differ")
    assert ["lr", "changed", "0.01 @ 0", "0.02 @ 0"] in keys


def test_a_long_sheet_is_cut_and_says_so(tmp_path):
    rows = "".join(f"{step},{step + 1}\n" for step in range(400))
    page = sections([stored_classifier(tmp_path / "long", accuracy=np.full(2, 0.9), sheet=f"STEP,lr\n{rows}")])
    assert len(page.table("long: hard.csv; the first 300 of 400 rows")) == 301


@pytest.mark.slow
def test_configs_and_facts_that_differ_are_marked(here, bench):
    more = ["--set", "task.hidden=16", "--set", "optimizer.name=adamw"]
    done = here("train", "--dopesheet", "stepped.csv", "--name", "d", "--steps", "40", "--seeds", "4:6", *more)
    assert done.code == 0, done.err
    page = read(page_of(here("report", "a", "d")).read_text())
    assert ["optimizer.name", "adam differs", "adamw differs"] in page.table("Settings that differ")
    facts = {row[0]: row[1:] for row in page.table("How each run was made")}
    assert facts["seeds"] == ["1 (0) differs", "2 (4-5) differs"]
    assert facts["path"] == ["runs/a", "runs/d"]
    run = json.loads((bench / "runs" / "d" / "run.json").read_text())
    assert facts["version of torch"] == [run["versions"]["torch"]] * 2
    hashes = {row[0]: row[1:] for row in page.table("Hashes")}
    assert hashes["sheet"][1] == f"{run['hashes']['sheet']} differs"
    assert hashes["metrics.parquet"][1] == run["files"]["metrics.parquet"]
    assert (bench / "runs" / "d" / "config.yaml").read_text() in page.code
    assert "curriculum verify runs/a\ncurriculum verify runs/d" in page.code


@pytest.mark.slow
def test_the_command_that_trained_each_block_is_shown(process, empty):
    for seeds in ("0:1", "0:2"):
        done = process("train", "--dopesheet", "smooth.csv", "--steps", "20", "--name", "grown", "--seeds", seeds)
        assert done.code == 0, done.err
    page = sections([Run(empty / "runs" / "grown")])
    wanted = [f"curriculum train --dopesheet smooth.csv --steps 20 --name grown --seeds {seeds}" for seeds in ("0:1", "0:2")]
    assert [own for own in page.code if own.startswith("curriculum train")] == wanted
    assert [row[2] for row in page.table("Blocks of seeds")[1:]] == ["0", "1"]


def test_still_figures_are_small_and_have_a_text_of_numbers(classifiers, trained):
    found = compare(classifiers)
    figures = static_figures(classifiers, found)
    assert [own.title for own in figures] == ["Effects", "Error and scores over the steps", "Losses", "Schedules"]
    assert sum(len(own.png) for own in figures) <= MOST_BYTES
    assert all(own.png.startswith(b"\x89PNG") for own in figures)
    for verdict in (*found.verdicts, *found.guards):
        assert f"{verdict.amount} {verdict.interval}, {verdict.verdict}" in figures[0].alt
    assert f"{found.last_losses[0]['total']:.3g}" in figures[2].alt
    assert "Different: smoothing." in figures[3].alt
    alone = static_figures([Run(trained / "runs" / "a")], None)
    assert [own.title for own in alone] == ["Timeline", "Losses"]
    assert "Primary & secondary, steps 0 to 39" in alone[0].alt


@pytest.mark.slow
def test_a_report_of_the_same_runs_is_replaced_and_one_of_others_is_not(here, shelf):
    first = page_of(here("report", "easy", "hard"))
    assert page_of(here("report", "easy", "hard")) == first
    shutil.copytree(shelf / "runs" / "easy", shelf / "runs" / "more" / "easy")
    shutil.copytree(shelf / "runs" / "hard", shelf / "runs" / "more" / "hard")
    other = page_of(here("report", "more/easy", "more/hard"))
    assert other == first.with_name("easy-vs-hard-2.html")
    assert page_of(here("report", "more/easy", "more/hard")) == other
    assert page_of(here("report", "easy", "hard", "--baseline", "easy")) == first.with_name("easy-vs-hard-3.html")
    mine = first.with_name("easy.html")
    mine.write_text("a page of my own")
    assert page_of(here("report", "easy")) == first.with_name("easy-2.html")
    assert mine.read_text() == "a page of my own"
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "easy-2.html",
        "easy-vs-hard-2.html",
        "easy-vs-hard-3.html",
        "easy-vs-hard.html",
        "easy.html",
    ]


def test_an_output_is_replaced_only_with_force(here, bench):
    (bench / "page.html").write_text("mine")
    refused = here("report", "a", "b", "-o", "page.html")
    assert (refused.code, refused.out) == (1, "")
    assert "page.html already exists" in refused.err
    assert "--force" in refused.err
    assert (bench / "page.html").read_text() == "mine"
    assert page_of(here("report", "a", "b", "-o", "page.html", "--force")) == Path("page.html")
    assert (bench / "page.html").read_text().startswith("<!doctype html>")


def test_json_says_what_was_written(here, bench):
    document = json.loads(here("report", "a", "b", "--json").out)
    path = Path(document["path"])
    assert document == {"path": "runs/reports/a-vs-b.html", "bytes": path.stat().st_size, "runs": ["a", "b"], "seeds": [1, 1]}


@pytest.mark.slow
def test_reports_are_no_runs_and_no_run_has_their_name(here, bench):
    page_of(here("report", "a", "b"))
    assert [run["name"] for run in json.loads(here("runs", "--json").out)] == ["a", "b"]
    refused = here("train", "--dopesheet", "smooth.csv", "--steps", "2", "--name", "reports")
    assert refused.code == 2
    assert "'reports' cannot be a run's name" in refused.err
    shutil.copy(bench / "runs" / "a" / "dopesheet.csv", bench / "reports.csv")
    assert here("train", "--dopesheet", "reports.csv", "--steps", "2").code == 0
    assert (bench / "runs" / "reports-2" / "run.json").is_file()


def test_a_run_of_an_early_version_that_is_called_reports_stays_what_it_is(here, bench, tree):
    (bench / "runs" / "a").rename(bench / "runs" / "reports")
    before = tree(bench / "runs")
    refused = here("report", "b")
    assert refused.code == 2
    assert "-o" in refused.err
    assert tree(bench / "runs") == before
    assert [run["name"] for run in json.loads(here("runs", "--json").out)] == ["reports", "b"]
    assert page_of(here("report", "reports", "b", "-o", "page.html")).is_file()


def other_task(folder: Path) -> None:
    stored_classifier(folder / "runs" / "digits", accuracy=np.full(2, 0.9))


def damaged(folder: Path) -> None:
    (folder / "runs" / "b" / "metrics.parquet").write_bytes(b"x")


def damaged_sheet(folder: Path) -> None:
    (folder / "runs" / "b" / "dopesheet.csv").write_text("STEP,lr\n0,1\n")


def running(folder: Path) -> None:
    path = folder / "runs" / "b" / "run.json"
    document = {**json.loads(path.read_text()), "status": "running"}
    document.pop("sha256")
    path.write_text(json.dumps(document))


def seven(folder: Path) -> None:
    for name in "cdefg":
        shutil.copytree(folder / "runs" / "a", folder / "runs" / name)


def no_folder(folder: Path) -> None:
    (folder / "runs" / "reports").write_text("a file")


def test_many_notes_do_not_push_the_answer_off_the_page(here, bench):
    for name in "cdef":
        shutil.copytree("runs/b", f"runs/{name}")
    page = page_of(here("report", *"abcdef")).read_text()
    shown, _, folded = page.partition("more notes</summary>")
    assert shown.count("<strong>note:</strong>") == 12
    count = int(re.search(r"(\d+) $", shown)[1])
    assert folded.count("<strong>note:</strong>") == count > 1


def a_file(folder: Path) -> None:
    (folder / "file").write_text("")


def nothing(folder: Path) -> None:
    (folder / "runs" / "none").mkdir()


@pytest.mark.parametrize(
    ("spoil", "args", "code", "said"),
    [
        (other_task, "a digits", 2, "runs of different tasks cannot be compared"),
        (None, "a a", 2, "'a' is listed twice"),
        (None, "a bb", 2, "there is no run 'bb'"),
        (damaged, "a b", 1, "metrics.parquet"),
        (damaged, "b", 1, "metrics.parquet"),
        (damaged_sheet, "b", 1, "dopesheet.csv"),
        (running, "a b", 2, "its status is 'running'"),
        (running, "b", 2, "cannot be reported, its status is 'killed': resume it first (curriculum train --resume runs/b)"),
        (seven, "a b c d e f g", 2, "at most 6 runs, not 7"),
        (None, "a -o page.pdf", 2, "must end in .html"),
        (None, "a -o page", 2, "must end in .html"),
        (None, "a -o missing/page.html", 2, "the folder missing does not exist"),
        (a_file, "a -o file/page.html", 2, "cannot write file/page.html: file is not a folder"),
        (a_file, "a --runs file", 2, "file is a file, but runs are kept in a folder: name one with --runs"),
        (None, "a --baseline a", 2, "--baseline is for two runs or more"),
        (None, "a b --baseline x", 2, "there is no run 'x'"),
        (no_folder, "a", 1, "cannot make the folder runs/reports"),
        (None, "a --runs nosuch", 2, "there is no run 'a'"),
        (None, "--runs nosuch", 2, "found 0 finished run(s)"),
        (nothing, "none", 2, "'none' has no runs to report"),
    ],
)
def test_bad_input_is_a_sentence_and_writes_nothing(here, bench, tree, spoil, args, code, said):
    if spoil:
        spoil(bench)
    before = tree(bench)
    outcome = here("report", *args.split())
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert "bug" not in outcome.err
    assert tree(bench) == before


def test_a_full_disk_leaves_no_half_page(here, bench, tree, monkeypatch):
    import curriculum.store.files as files

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = tree(bench)
    monkeypatch.setattr(files.os, "fsync", full)
    outcome = here("report", "a", "b", "-o", "page.html")
    assert outcome.code == 1
    assert "No space left on device" in outcome.err
    assert tree(bench) == before


@pytest.mark.slow
def test_pages_made_at_once_are_each_whole(bench, process):
    outcomes = []
    makers = [threading.Thread(target=lambda: outcomes.append(process("report", "a", "b", cwd=bench))) for _ in range(2)]
    for one in makers:
        one.start()
    for one in makers:
        one.join()
    assert [own.code for own in outcomes] == [0, 0], outcomes
    (path, *_) = sorted((bench / "runs" / "reports").iterdir())
    read(path.read_text())
