"""The interactive page, driven in headless Chromium: what a person clicks, drags, types, reads, shares and prints."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from conftest import stored_classifier
from curriculum.measure.bands import percentiles
from curriculum.measure.comparison import compare
from curriculum.report.page import render
from curriculum.store.reader import Run

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
if CHROMIUM is None and not os.environ.get("CI"):
    pytest.skip("needs Chromium (Debian: apt-get install chromium)", allow_module_level=True)

from playwright.sync_api import Browser, Locator, Page, sync_playwright  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
STEPS = 120
NONE = "\N{EN DASH}"
SHEET = (
    "STEP,PHASE,ACTION,lr,loss-recon,reg-separate,reg-planar,reg-norm,reg-anchor,data-hues,data-vibrancies\n"
    "0,Primary & secondary,,0.0,1,0.2,0.1,0.1,0,0,0\n"
    "30,All hues,anchor,0.02,1,0,0,0.4,0.1,1,0\n"
    "80,Full color space,,0.01,1,0,0,0.25,0.25,1,1\n"
    "119,,,0.001,1,0,0,0.25,0.25,1,1\n"
)


@dataclass
class Opened:
    """A page in the browser, and what it complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def text(self, selector: str) -> str:
        self.settle()
        return self.page.locator(selector).inner_text()

    def settle(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))")

    @property
    def step(self) -> int:
        self.settle()
        return int(self.find("#step").input_value())

    @property
    def address(self) -> dict[str, str]:
        self.settle()
        self.page.evaluate("() => new Promise((done) => setTimeout(done, 200))")  # the address is written after a pause
        _, _, text = self.page.url.partition("#")
        return dict(part.split("=") for part in text.split("&")) if text else {}


Opener = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    contexts = []

    def opener(path: Path, address: str = "", width: int = 1280, height: int = 900, **settings) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda said: found.complaints.append(said.text) if said.type in ("error", "warning") else None)
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(f"file://{path}{address}")
        if settings.get("java_script_enabled", True):
            found.page.wait_for_selector("#look:not([hidden])")
            found.page.wait_for_function("() => [...document.querySelectorAll('script[id^=block-first]')].length === 0")
            found.settle()
        return found

    yield opener
    for context in contexts:
        context.close()


def written(folder: Path, runs: list[Run], name: str = "page.html") -> Path:
    path = folder / name
    path.write_text(render(runs, compare(runs) if len(runs) > 1 else None, "curriculum report"))
    return path


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory, here) -> list[Run]:
    """Two short runs of the color task, of three and four seeds, whose sheets differ; treat them as read-only."""
    folder = tmp_path_factory.mktemp("colors")
    for name, sheet, seeds in (("one", SHEET, "0:3"), ("two", SHEET.replace("80,Full", "60,Full"), "0:4")):
        (folder / f"{name}.csv").write_text(sheet)
        made = here("train", "--dopesheet", folder / f"{name}.csv", "--name", name, "--seeds", seeds, "--runs", folder / "runs")
        assert made.code == 0, made.err
    return [Run(folder / "runs" / name) for name in ("one", "two")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, colors: list[Run]) -> Path:
    return written(tmp_path_factory.mktemp("page"), colors)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, classifiers: tuple[Run, Run]) -> Path:
    return written(tmp_path_factory.mktemp("judged"), list(classifiers))


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_it_opens_from_a_file_without_a_request_or_a_complaint(opened, page, judged):
    for path in (page, judged):
        found = opened(path)
        found.page.evaluate("document.querySelectorAll('.plot').forEach((own) => own.scrollIntoView())")
        found.page.wait_for_timeout(300)
        assert found.complaints == []
        assert [url for url in found.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert len(found.requests) == 1


def cursors(found: Opened) -> list[float]:
    """Read at which share of its width each panel that is drawn has its cursor."""
    found.settle()
    script = """() => [...document.querySelectorAll(".u-over > .cursor, .strip-row > .cursor")].map((own) => {
        const [inner, outer] = [own.getBoundingClientRect(), own.parentElement.getBoundingClientRect()];
        return (inner.left + inner.width / 2 - outer.left) / outer.width;
    })"""
    return found.page.evaluate(script)


def test_the_slider_moves_every_panel_to_the_same_step(opened, page):
    found = opened(page, height=4000)
    for step in (0, 37, 119):
        found.find("#step").evaluate("(own, step) => { own.value = step; own.dispatchEvent(new Event('input')); }", step)
        places = cursors(found)
        assert len(places) > 10
        np.testing.assert_allclose(places, step / 119, atol=0.01)
        assert f"step {step} of 119" in found.text("#where")
        assert [f"step {step}," in text for text in found.find(".space-figure").all_inner_texts()] == [True, True]
        assert f"step {step}" in found.text("#values thead")


def test_keys_step_jump_and_play(opened, page):
    found = opened(page)
    keys = found.page.keyboard
    assert found.step == 119
    keys.press("Home")
    assert found.step == 0
    for key, expected in (
        ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Shift+ArrowRight", 30), ("Shift+ArrowRight", 60),
        ("Shift+ArrowRight", 80), ("Shift+ArrowLeft", 60), ("End", 119), ("ArrowRight", 119), ("Shift+ArrowLeft", 80),
    ):  # fmt: skip
        keys.press(key)
        assert found.step == expected, key
    keys.press(" ")
    assert found.text("#play") == "Pause"
    found.page.wait_for_function("() => Number(document.getElementById('step').value) > 82")
    keys.press(" ")
    stopped = found.step
    assert found.text("#play") == "Play"
    assert 82 < stopped < 119
    # Played to the end, it stops; played again, it starts from the beginning.
    keys.press("End")
    keys.press(" ")
    assert found.step < 100


def test_a_live_region_speaks_the_step_and_the_phase(opened, page):
    found = opened(page)
    found.page.keyboard.press("Home")
    found.page.wait_for_function("() => /step 0, Primary/.test(document.getElementById('spoken').textContent)")
    assert found.find("#step").get_attribute("aria-valuetext") == "step 0, Primary & secondary"


def chart(found: Opened, title: str) -> Locator:
    own = found.find(f'.chart[aria-label^="{title}"]')
    own.scroll_into_view_if_needed()
    own.locator(".u-over").wait_for()
    found.settle()
    return own.locator(".u-over")


def test_a_click_on_a_spike_moves_the_cursor_there(opened, tmp_path):
    steps = np.arange(6000)
    curves = (0.5 * np.exp(-steps / 800) + 0.01)[:, None]
    curves[2503] = 5.0
    sheet = "STEP,lr,loss,smoothing\n0,0.01,1,0\n5999,0.001,,\n"
    run = stored_classifier(tmp_path / "run", accuracy=np.array([0.9]), curves=curves, sheet=sheet)
    found = opened(written(tmp_path, [run]))
    box = chart(found, "error on the test data").bounding_box()
    assert box["width"] < 1000  # so that a pixel is several steps
    top = box["height"] * 0.04 / 1.08  # the largest value is below the room that a log scale leaves
    found.page.mouse.click(box["x"] + box["width"] * 2503 / 5999 + 3, box["y"] + top + 3)
    assert found.step == 2503
    found.page.mouse.move(box["x"] + box["width"] * 2503 / 5999 + 3, box["y"] + top + 3)
    found.settle()
    assert found.find("#tip").inner_text().splitlines() == ["step 2,503", "run: 5"]
    # Away from every curve, the step is that of the place.
    found.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 5)
    assert abs(found.step - 3000) < 20


def test_dragging_in_a_curve_moves_the_step_and_shift_zooms_all_of_them(opened, page):
    found = opened(page)
    over = chart(found, "reg-norm (schedule)")
    box = over.bounding_box()
    mouse = found.page.mouse
    mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    mouse.down()
    mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20, steps=4)
    assert abs(found.step - 60) <= 1
    mouse.up()
    found.page.keyboard.down("Shift")
    mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
    mouse.down()
    mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 20, steps=4)
    mouse.up()
    found.page.keyboard.up("Shift")
    low, high = map(float, found.address["zoom"].split("_"))
    assert abs(low - 30) < 2
    assert abs(high - 89) < 2
    labels = [own.get_attribute("aria-label") for own in found.find(".plot[aria-label]").all()]
    labels = [label for label in labels if "steps" in label]  # those that are near enough to the window to be drawn
    assert len(labels) > 3
    assert all("steps 30 to 89" in label for label in labels)
    mouse.dblclick(box["x"] + 20, box["y"] + 20)
    assert "zoom" not in found.address


def test_marking_points_in_one_run_marks_the_same_in_the_other(opened, page):
    found = opened(page)
    canvases = found.find("canvas.space")
    canvases.first.scroll_into_view_if_needed()
    found.settle()
    pictures = [canvases.nth(place).screenshot() for place in range(2)]
    box = canvases.first.bounding_box()
    found.page.keyboard.down("Shift")
    found.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    found.page.mouse.down()
    found.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=3)
    found.page.mouse.up()
    found.page.keyboard.up("Shift")
    marked = found.address["marked"].split("_")
    assert 0 < len(marked) < 512
    assert f"{len(marked)} points are marked, the same ones in every run" in found.text("#marked")
    found.page.mouse.move(5, 5)
    found.settle()
    assert all(canvases.nth(place).screenshot() != pictures[place] for place in range(2))
    found.find("#marked button").click()
    found.settle()
    assert "marked" not in found.address
    assert [canvases.nth(place).screenshot() for place in range(2)] == pictures


def test_the_address_restores_what_was_seen(opened, page):
    found = opened(page)
    found.page.keyboard.press("Home")
    found.page.keyboard.press("Shift+ArrowRight")
    found.find("#seed").select_option("1")
    found.find("#log").uncheck()
    found.find("#zoom-in").click()
    found.find("select[aria-label^=Depth]").select_option("2")
    found.find("canvas.space").first.focus()
    for key in ("d", "d", "w", "+", "n", "m"):
        found.page.keyboard.press(key)
    found.find("#theme").click()
    address = found.address
    assert set(address) == {"step", "seed", "log", "zoom", "dims", "turn", "scale", "marked", "theme"}
    again = opened(page, "#" + "&".join(f"{key}={value}" for key, value in address.items()))
    assert again.address == address
    assert again.step == 30
    assert again.find("#seed").input_value() == "1"
    assert not again.find("#log").is_checked()
    assert again.find("html").get_attribute("data-theme") == "dark"
    for one, other in zip(found.find("canvas.space").all(), again.find("canvas.space").all(), strict=True):
        assert one.get_attribute("aria-label").split(" Dim")[0] == other.get_attribute("aria-label").split(" Dim")[0]
    assert again.complaints == []


@pytest.mark.parametrize(
    "address",
    ["step=-1&seed=77", "step=1e9", "zoom=5_2", "zoom=x", "dims=0_0_0", "dims=9_1_-1", "marked=_&turn=", "scale=NaN", "%%%&=&step"],
)
def test_an_address_that_makes_no_sense_shows_the_beginning(opened, page, address):
    found = opened(page, f"#{address}")
    assert found.step == 119
    assert found.find("#seed").input_value() == "median"
    assert found.complaints == []


def test_the_values_are_those_that_were_stored(opened, page, colors):
    found = opened(page, "#step=75&seed=0")
    rows = found.find("#values tbody tr").all()
    shown = {row.locator("th").inner_text(): [cell.inner_text() for cell in row.locator("td").all()] for row in rows}
    for place, run in enumerate(colors):
        table = run.metrics[run.metrics["step"] == 75].sort_values("seed")
        for name in ("total", "reg-norm"):
            values = table[name].to_numpy(np.float64)
            expected = [*percentiles(values[None])[[1, 0, 2], 0], values[0]]
            found_ = [number(text) for text in re.findall(r"[\d.]+(?:e-?\d+)?", shown[name][place].replace("seed 0", ""))]
            np.testing.assert_allclose(found_, expected, rtol=0.006)
        assert number(shown["lr (schedule)"][place]) == pytest.approx(run.schedule.at(75)["lr"], rel=0.006)


def test_a_curve_that_has_ended_has_no_value_at_a_later_step(opened, page, colors, tmp_path):
    found = opened(page)
    values = found.find("#values")
    assert values.locator("tr", has_text="reg-separate").last.locator("td").all_inner_texts() == [NONE, NONE]  # its weight is 0 by now
    assert values.locator("tr", has_text="total").locator("td").first.inner_text() != NONE
    found.find(".chart[aria-label='reg-separate']").scroll_into_view_if_needed()
    spoken = found.find(".plot[aria-label^='reg-separate, ']").get_attribute("aria-label")
    assert re.search(r"one ends at [\d.]+ .* \(step \d+\)", spoken), spoken
    short = stored_classifier(
        tmp_path / "short", accuracy=np.array([0.9]), curves=np.full((200, 1), 0.5), sheet="STEP,lr,loss,smoothing\n0,0.01,1,0\n199,,,\n"
    )
    long = stored_classifier(
        tmp_path / "long", accuracy=np.array([0.9]), curves=np.full((400, 1), 0.5), sheet="STEP,lr,loss,smoothing\n0,0.02,1,0\n399,,,\n"
    )
    found = opened(written(tmp_path, [short, long]))
    row = found.find("#values tr").filter(has_text="lr (schedule)").locator("td")
    assert row.all_inner_texts() == [NONE, "0.02"]
    found.find("#step").press("Home")
    found.settle()
    assert row.all_inner_texts() == ["0.01", "0.02"]


def test_a_curve_of_a_single_point_is_a_dot(opened, tmp_path, here):
    (tmp_path / "a.csv").write_text(SHEET)
    made = here("train", "--dopesheet", tmp_path / "a.csv", "--name", "a", "--steps", 1, "--runs", tmp_path / "runs")
    assert made.code == 0, made.err
    found = opened(written(tmp_path, [Run(tmp_path / "runs" / "a")]))
    assert found.text("h2 >> nth=0") == "a: 1 seed, 1 step"
    drawn = (
        chart(found, "loss-recon")
        .locator("xpath=ancestor::*[contains(@class, 'uplot')]")
        .locator("canvas")
        .evaluate(
            """(own) => {
            const all = own.getContext("2d").getImageData(0, 0, own.width, own.height).data;
            let blue = 0;
            for (let i = 0; i < all.length; i += 4) blue += all[i + 3] > 200 && all[i + 2] > all[i] + 80;
            return blue;
        }"""
        )
    )
    assert drawn > 8


def test_long_names_keep_tables_and_buttons_in_sight(opened, tmp_path):
    names = [f"a-run-of-a-grid-search-with-a-very-long-name-that-has-its-learning-rate-{rate}" for rate in (1, 2, 3)]
    runs = [stored_classifier(tmp_path / name, accuracy=np.linspace(0.8, 0.9, 3)) for name in names]
    found = opened(written(tmp_path, runs), width=390)
    assert found.text("h1") == f"{names[0]}, {names[1]} and {names[2]}"
    assert found.find("h1").bounding_box()["width"] > 300
    captions = [own for own in found.find(".section caption span").all() if own.is_visible()]
    assert len(captions) > 5
    assert all(own.bounding_box()["x"] + own.bounding_box()["width"] <= 390 for own in captions)


def test_a_pair_of_seeds_is_lit_where_it_is_pointed_at_and_chosen_where_it_is_clicked(opened, judged, classifiers):
    found = opened(judged)
    plot = chart(found, "error on the test data")
    before = plot.evaluate("(own) => own.parentElement.querySelector('canvas').toDataURL()")
    dots = found.find(".effect .pair[data-seed]")
    assert dots.count() >= 16
    dots.first.scroll_into_view_if_needed()
    seed = dots.first.get_attribute("data-seed")
    dots.first.hover(force=True)
    found.settle()
    assert found.find("#tip").inner_text().startswith(f"seed {seed}: ")
    assert found.find(f".pair.lit:not([data-seed='{seed}'])").count() == 0
    assert plot.evaluate("(own) => own.parentElement.querySelector('canvas').toDataURL()") != before
    dots.first.click(force=True)
    found.settle()
    assert found.find("#seed").input_value() == seed
    assert found.address["seed"] == seed


def test_the_effects_are_drawn_for_every_verdict(opened, judged, classifiers):
    found = opened(judged)
    comparison = compare(classifiers)
    rows = found.find(".effect")
    assert [row.locator("svg").get_attribute("aria-label") for row in rows.all()] == [
        own.sentence(comparison.names) for own in (*comparison.verdicts, *comparison.guards)
    ]
    assert found.find(".effect-verdict").all_inner_texts() == [own.verdict for own in (*comparison.verdicts, *comparison.guards)]


@pytest.mark.parametrize(("theme", "width"), [("light", 1600), ("dark", 390)])
def test_nothing_is_in_the_way_of_people_who_cannot_see_or_use_a_mouse(opened, page, judged, theme, width):
    from axe_playwright_python.sync_playwright import Axe

    for path in (page, judged):
        found = opened(path, width=width, color_scheme=theme)
        found.find("details").evaluate_all("(all) => all.forEach((own) => (own.open = true))")
        response = Axe().run(found.page).response
        problems = [(own["id"], own["nodes"][0]["html"]) for own in response["violations"] if own["impact"] in ("serious", "critical")]
        assert problems == []
        wide = found.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"the page is {wide} pixels wide"


def test_the_keyboard_alone_reaches_every_control(opened, page):
    found = opened(page, height=4000)
    every = "'a[href], button, select, input, summary, [tabindex]'"
    script = f"() => [...document.querySelectorAll({every})].filter((own) => own.checkVisibility() && !own.disabled).length"
    count = found.page.evaluate(script)
    found.page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(count + 5):
        found.page.keyboard.press("Tab")
        found.page.evaluate("() => { document.activeElement.dataset.reached = '1'; }")
        reached.append(found.page.evaluate("document.activeElement.tagName"))
    missed = found.page.evaluate(
        script.replace(".length", ".filter((own) => !own.dataset.reached).map((own) => own.outerHTML.slice(0, 90))")
    )
    assert missed == []
    assert count > 30
    assert {"CANVAS", "SELECT", "INPUT", "BUTTON"} <= set(reached)


def test_without_scripts_the_answer_and_the_figures_are_there(opened, judged, classifiers):
    found = opened(judged, java_script_enabled=False)
    comparison = compare(classifiers)
    text = found.find("main").inner_text()
    for verdict in comparison.verdicts:
        assert verdict.sentence(comparison.names) in text
    images = found.find("noscript img, figure img")
    assert images.count() >= 3
    assert all(image.evaluate("(own) => own.complete && own.naturalWidth > 100") for image in images.all())
    assert not found.find("#look").is_visible()


def test_it_prints_in_the_colors_of_paper_with_every_chart_in_its_column(opened, page, tmp_path):
    found = opened(page, color_scheme="dark", width=1600)
    chart(found, "reg-anchor (schedule)")
    found.page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    found.page.emulate_media(media="print")
    found.page.set_viewport_size({"width": 700, "height": 1000})
    found.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    found.settle()
    wider = (
        "(all) => all.filter((own) => own.getBoundingClientRect().width > own.closest('figure').getBoundingClientRect().width + 1).length"
    )
    canvases = found.find(".plot canvas")
    assert canvases.count() >= 15
    assert canvases.evaluate_all(wider) == 0
    assert found.find("html").get_attribute("data-theme") == "light"
    assert not found.find("#play").is_visible()
    assert found.complaints == []


HOSTILE = "</script><script>alert(1)</script><img src=x onerror='a()'>"


def test_names_that_are_code_are_only_text(opened, tmp_path):
    place = tmp_path / "study"
    place.mkdir()
    sheet = f'STEP,PHASE,ACTION,lr\n0,"{HOSTILE}",,0.01\n200,after,"{HOSTILE}",0.02\n399,,,0.001\n'
    look = {"scores": {HOSTILE: {"better": "higher", "unit": HOSTILE, "scale": 1.0, "smallest": None}}, "hypotheses": {}}
    runs = [stored_classifier(place / name, accuracy=np.linspace(0.8, 0.9, 3), sheet=sheet, look=look) for name in ("a", "b")]
    (place / "experiment.json").write_text(json.dumps({"arms": {"a": {"label": HOSTILE}, "b": {"label": "b", "color": "#00aa00"}}}))
    runs = [Run(run.path) for run in runs]
    found = opened(written(tmp_path, runs), height=4000)
    assert found.page.title() == f"{HOSTILE} and b \N{MIDDLE DOT} curriculum"
    assert found.find("img").count() == 0
    assert found.find("h1").inner_text() == f"{HOSTILE} and b"
    assert HOSTILE in found.text("#strip")
    assert found.complaints == []


@pytest.mark.slow
def test_one_seed_four_arms_a_diverged_seed_and_a_loop_of_ones_own(opened, tmp_path, trained, classifiers, here):
    from curriculum import track

    lonely = opened(written(tmp_path, [Run(trained / "runs" / "a")], "one.html"))
    assert lonely.find("#seed").input_value() == "0"
    assert lonely.complaints == []
    rng = np.random.default_rng(0)
    four = [stored_classifier(tmp_path / f"arm{place}", accuracy=0.9 + 0.01 * rng.random(4)) for place in range(4)]
    wide = opened(written(tmp_path, four, "four.html"))
    assert wide.find(".strip-row").count() == 4
    assert wide.complaints == []
    curves = np.exp(-np.arange(100)[:, None] / 30) * np.ones((1, 4))
    curves[40:, 2] = np.nan
    lost = stored_classifier(tmp_path / "lost", accuracy=np.full(4, 0.9), curves=curves, diverged={"2": "loss at step 40"})
    fine = stored_classifier(tmp_path / "fine", accuracy=np.full(4, 0.9), curves=np.where(np.isnan(curves), 0.1, curves))
    ended = opened(written(tmp_path, [lost, fine], "lost.html"), "#seed=2")
    assert "seed 2 (worst), diverged" in ended.text("#values thead")
    assert ended.complaints == []
    (tmp_path / "s.csv").write_text("STEP,lr\n0,0.1\n49,0.01\n")
    with track(tmp_path / "own", sheet=tmp_path / "s.csv", seed=3, metrics={"score": "higher"}) as run:
        for step, now in run.steps():
            run.log(score=math.sin(step), loss=-now["lr"])
            if step % 5 == 0:
                run.look(hidden=np.outer(np.arange(30), np.ones(12)) * now["lr"], labels=np.arange(30) % 3)
    own = opened(written(tmp_path, [Run(tmp_path / "own")], "own.html"), "#step=20")
    assert "classes: 0 1 2" in re.sub(r"\s+", " ", own.text("#space-tools"))
    assert "PC 1" in own.find("canvas.space").get_attribute("aria-label")
    assert own.find('.chart[aria-label="score"]').count() == 1
    assert own.complaints == []
