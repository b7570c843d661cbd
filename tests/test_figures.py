"""Figures for a paper: of any width, in three formats; what they show of a comparison, and that it can be read."""

import re
from functools import cache

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.legend import Legend

from conftest import EASY, HARD, stored_classifier
from curriculum.draw import style
from curriculum.draw.figures import draw_comparison
from curriculum.draw.page import fitted, page, wrapped
from curriculum.draw.plots import effects, finals, losses, schedules
from curriculum.draw.plots.latents import along, apart
from curriculum.measure.comparison import compare
from curriculum.runner.execute import run
from curriculum.sheet.parse import parse
from curriculum.store.experiment import find_runs
from readable import lines, unreadable, written

SHEET = "STEP,PHASE,lr,loss-recon,reg-norm,data-hues,data-vibrancies\n0,All hues,0.01,1,{norm},0.5,0.5\n"
SMOOTH = SHEET.format(norm=0.1) + "60,,,,0,,\n300,Full color space,,,,,\n599,,0.001,,,1,1\n"
STEPPED = SHEET.format(norm=0.1) + "60,,0.01 step,,0,,\n250,Full color space,,,,,\n300,,0.001,,,1 step,1 step\n599,,,,,,\n"
WIDTHS = (None, 3.0, 3.3, 6.75)  # inches
STUDY = """
task: {name: color}
threads: 1
seeds: 0:8
arms:
  smooth: {sheet: smooth.csv, label: Smooth paths of every column, color: '#4f3a6b'}
  stepped: {sheet: stepped.csv, label: Steps with a warm-up of their own}
  plain: {sheet: plain.csv}
"""


@pytest.fixture(scope="module")
def study(here, tmp_path_factory):
    """Train three arms of eight seeds, with long labels, and without a column in one of them."""
    folder = tmp_path_factory.mktemp("study")
    plain = STEPPED.replace(",reg-norm", "").replace("1,0.1,0.5", "1,0.5").replace("step,,0,,", "step,,,").replace(",,,,,,", ",,,,,")
    plain = plain.replace("0.001,,,1 step", "0.001,,1 step").replace("Full color space,,,,,", "Full color space,,,,")
    for name, text in (("smooth", SMOOTH), ("stepped", STEPPED), ("plain", plain)):
        (folder / f"{name}.csv").write_text(text)
    (folder / "study.yaml").write_text(STUDY)
    made = here("experiment", folder / "study.yaml", "--runs", folder / "runs")
    assert made.code == 0, made.err
    return folder


class Drawn(dict):
    """The figures of comparisons by their names, by the runs that are compared and the width; drawn when they are asked for."""

    def __init__(self, compared, folder):
        super().__init__()
        self.compared, self.folder = compared, folder

    def __missing__(self, key):
        name, width = key
        runs, found = self.compared(name)
        self[key] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(style, "save", lambda figure, path: self[key].update({path.stem: figure}))
            draw_comparison(runs, found, self.folder, width)
        return self[key]


@pytest.fixture(scope="module")
def drawn(study, classifiers, tmp_path_factory):
    """Draw the figures of comparisons of some runs at some widths, and keep them as figures."""
    folder = tmp_path_factory.mktemp("more")

    def seven():
        rng = np.random.default_rng(0)
        for place in range(7):
            accuracy = 0.9 + 0.01 * place + rng.normal(scale=0.004, size=8)
            path = folder / f"arm-{place}{'-with-a-long-name' * (place % 4)}"
            yield stored_classifier(path, accuracy=accuracy, sheet=(EASY, HARD)[place % 2])

    def short():
        for name, text in (("a", SMOOTH), ("b", STEPPED)):
            yield run("color", parse(text), seeds="0:2", steps=12, folder=folder, name=name).run

    @cache
    def compared(name):
        three, _ = find_runs(["study"], study / "runs")
        runs = {"three": lambda: three, "two": lambda: three[:2], "scores": lambda: classifiers, "seven": seven, "short": short}[name]()
        found = list(runs)
        return found, compare(found)

    return Drawn(compared, tmp_path_factory.mktemp("figures"))


@pytest.mark.parametrize(("name", "width"), [("three", None), ("three", 3.3), ("scores", None), ("scores", 3.3)])
def test_no_text_is_cut_or_lies_on_another_in_a_few(drawn, name, width):
    test_no_text_is_cut_or_lies_on_another(drawn, name, width)


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["three", "two", "scores", "seven", "short"])
def test_no_text_is_cut_or_lies_on_another(drawn, name, width):
    figures = drawn[name, width]
    assert {"bands", "losses", "schedules"} <= set(figures)
    for own, figure in figures.items():
        if width is not None:
            assert figure.get_figwidth() == width
        assert unreadable(figure) == [], own


@pytest.mark.parametrize("name", ["scores", *(pytest.param(name, marks=pytest.mark.slow) for name in ("three", "two"))])
def test_text_has_one_size_in_points_at_every_width(drawn, name):
    for own in drawn[name, 3.3]:
        sizes = [{round(text.get_fontsize(), 2) for text in written(drawn[name, width][own])} for width in (3.3, 6.75)]
        assert min(map(min, sizes)) >= 7
        assert max(map(max, sizes)) < 10


@pytest.mark.parametrize("width", [None, 3.3])
def test_a_figure_has_one_legend_in_the_names_and_colors_of_the_experiment(drawn, width):
    names = ["Smooth paths of every column", "Steps with a warm-up of their own", "plain"]
    for own in ("bands", "losses", "schedules"):
        figure = drawn["three", width][own]
        (legend,) = [found for found in figure.findobj(Legend) if found.get_texts()]
        assert [" ".join(text.get_text().split()).removesuffix(" (8 seeds)") for text in legend.get_texts()] == names
        assert [line.get_color() for line in legend.get_lines()] == ["#4f3a6b", *style.LIGHT.runs[1:3]]


@pytest.mark.parametrize("form", ["svg", *(pytest.param(form, marks=pytest.mark.slow) for form in ("png", "pdf"))])
def test_figures_are_written_in_a_format_and_width_the_same_bytes_each_time(study, here, form):
    folders = []
    for _ in range(2):
        made = here("compare", "study", "--runs", study / "runs", "--figures", form, "--width", "8.4cm")
        assert made.code == 0, made.err
        (folder,) = (study / "runs" / "comparisons").iterdir()
        folders.append({path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"})
    assert folders[0] == folders[1]
    assert set(folders[0]) == {f"{name}.{form}" for name in ("bands", "effects", "latents", "losses", "schedules")}
    for data in folders[0].values():
        if form == "pdf":
            assert b"/FontFile2" in data  # TrueType, which journals ask for
            assert b"/Type3" not in data
            assert b"CreationDate" not in data
            (width,) = {float(box.split()[2]) for box in re.findall(rb"/MediaBox \[([^]]*)\]", data)}
            assert width == pytest.approx(8.4 / 2.54 * 72, abs=0.1)
        elif form == "svg":
            assert b"<dc:date>" not in data
            assert re.search(rb'width="238\.\d*pt"', data)
    if form == "png":
        assert imread(folder / "bands.png").shape[1] == pytest.approx(8.4 / 2.54 * 300, abs=1)


def test_figures_are_png_of_the_usual_width_by_default(study, here):
    made = here("compare", "study", "--runs", study / "runs")
    (folder,) = (study / "runs" / "comparisons").iterdir()
    assert made.code == 0
    assert imread(folder / "bands.png").shape[1] == 12 * style.DPI


@pytest.mark.parametrize(
    ("width", "message"),
    [
        ("3.3", "cannot read --width '3.3': write a number with its unit (in, cm or mm), as in --width 3.3in"),
        ("wide", "cannot read --width 'wide'"),
        ("nanin", "cannot read --width 'nanin'"),
        ("1in", "--width 1in is out of range: use 3in to 20in"),
        ("900mm", "--width 900mm is out of range: use 76.2mm to 508mm"),
    ],
)
def test_a_width_that_cannot_be_is_refused(study, here, width, message):
    refused = here("compare", "study", "--runs", study / "runs", "--width", width)
    assert refused.code == 2
    assert message in refused.err


def panel_of(figure: Figure, text: str):
    """Find the panel in whose title, or beside which, a text stands."""
    return next(axes for axes in figure.axes if text in axes.get_title(loc="left") or any(text in own.get_text() for own in axes.texts))


def test_effects_run_from_minus_to_plus_and_say_what_is_better(drawn, classifiers):
    figure = drawn["scores", None]["effects"]
    accuracy, error = panel_of(figure, "accuracy"), panel_of(figure, "final error")
    assert accuracy.get_xlim()[0] < 0 < accuracy.get_xlim()[1]
    assert (accuracy.get_xlabel()[:6], error.get_xlabel()[-6:]) == ("better", "better")
    found = compare(list(classifiers))
    verdict = next(own for own in found.verdicts if own.id == "accuracy")
    said = lines(figure)
    for text in ("accuracy on the test data, points", f"p = {verdict.chance}", "margin \N{PLUS-MINUS SIGN}0.50 points", verdict.verdict):
        assert text in said, text
    assert f"{verdict.amount} [{verdict.low:+.2g}" in said
    assert "Each measure has a scale of its own" in said


def test_effects_that_are_equal_are_stacked_from_top_to_bottom(tmp_path):
    accuracy = np.linspace(0.9, 0.92, 9)
    one = stored_classifier(tmp_path / "one", accuracy=accuracy, error=np.full(9, 0.5))
    two = stored_classifier(tmp_path / "two", accuracy=accuracy, error=np.full(9, 0.5), sheet=HARD)
    figure = effects.draw(compare([one, two]))
    dots = next(line for line in panel_of(figure, "accuracy").lines if line.get_marker() == "o")
    assert set(dots.get_xdata()) == {0}
    assert len(set(np.round(np.diff(dots.get_ydata()), 9))) == 1
    assert np.ptp(dots.get_ydata()) > 0.2


def test_effects_of_three_runs_are_grouped_by_measure_on_one_scale(drawn):
    figure = drawn["three", None]["effects"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == len(set(titles))
    for axes in figure.axes:
        said = " ".join(" ".join(text.get_text().split()) for text in axes.texts)
        assert said.index("against Steps with a warm-up") < said.index("against plain")


def test_losses_name_their_seed_and_a_term_that_ends_early_has_an_axis_of_its_own(drawn, study):
    figure = drawn["two", None]["losses"]
    runs, _ = find_runs(["study"], study / "runs")
    said = lines(figure)
    assert re.search(r"Losses, seed \d", said)
    assert re.search(r"Seed \d has the median final error of Smooth paths of every column's 8 seeds\.", said)
    assert "before their weights" in said
    assert "Dashed: a phase starts, in the color of its run." in said
    total, early = panel_of(figure, "total"), panel_of(figure, "reg-norm")
    assert total.get_xlim()[1] == 599
    assert early.get_title(loc="left") == "reg-norm (until step 59)"
    assert 59 <= early.get_xlim()[1] < 66
    alone = losses.draw(runs[:1], ["one"], [3])
    assert "Losses of one, seed 3" in lines(alone)


def test_a_loss_that_is_its_only_term_is_drawn_once(classifiers):
    figure = losses.draw(classifiers, ["a", "b"], [0, 0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss"]


def test_schedules_list_what_rests_and_draw_a_missing_column_at_its_default(drawn):
    figure = drawn["three", None]["schedules"]
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["lr", "reg-norm", "data-hues", "data-vibrancies"]
    said = lines(figure)
    assert "The same at every step of all runs: loss-recon 1." in said
    assert "reg-norm is not a column of plain (dotted: its default, 0)." in said
    norm = panel_of(figure, "reg-norm")
    missing = [line for line in norm.lines if line.get_color() == style.LIGHT.runs[2] and len(line.get_xdata()) > 2]
    assert [set(line.get_ydata()) for line in missing] == [{0.0}]


def test_what_a_column_is_without_one_is_stored_with_a_run(study):
    (one, *_), _ = find_runs(["study"], study / "runs")
    defaults = one.manifest["defaults"]
    assert (defaults["reg-norm"], defaults["momentum"]) == (0, 0.9)


def test_of_runs_that_do_not_say_their_defaults_a_missing_column_is_named(tmp_path):
    one = stored_classifier(tmp_path / "one", accuracy=np.linspace(0.9, 0.92, 3))
    two = stored_classifier(tmp_path / "two", accuracy=np.linspace(0.9, 0.92, 3), sheet="STEP,lr,loss\n0,0.01,1\n399,0.001,\n")
    said = lines(schedules.draw([one, two], ["one", "two"]))
    assert "smoothing is not a column of two." in said
    assert EASY.startswith("STEP,lr,loss,smoothing")


def test_errors_have_as_many_digits_as_tell_them_apart():
    assert list(apart([0.0011, 0.00114])) == ["0.00110", "0.00114"]
    assert list(apart([0.001, 0.02, 0.3])) == ["0.0010", "0.020", "0.30"]
    assert list(apart([15.1932, 15.2041, 15.9])) == ["15.19", "15.20", "15.90"]
    # No number of digits is worth telling these apart.
    assert list(apart([0.445988, 0.4459881])) == ["0.45", "0.45"]
    assert list(apart([2000.0, 10.0, 0.5])) == ["2000", "10", "0.50"]


def test_latents_have_limits_that_fit_them(tmp_path):
    stored = run("color", parse(SMOOTH), seeds="0:3", steps=80, folder=tmp_path, name="a", overrides=["threads=1"]).run
    found = compare([stored, run("color", parse(STEPPED), seeds="0:3", steps=80, folder=tmp_path, name="b", overrides=["threads=1"]).run])
    figure = finals.draw([stored], ["a"], [found.final_errors(0)])
    for axes in figure.axes:
        (points,) = [own for own in axes.collections if len(own.get_offsets()) > 5]
        for (low, high), own in zip((axes.get_xlim(), axes.get_ylim()), points.get_offsets().T, strict=True):
            assert low <= own.min() <= own.max() <= high
    assert "Circle: radius 1." in lines(figure)


def test_latents_of_many_dimensions_lie_along_the_principal_axes_of_all_moments():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    moments = [(rng.normal(size=(40, 64)) * ([5, 3] + 62 * [0.01])) @ turn for _ in range(3)]
    shown, titles = along(moments, ())
    assert [re.sub(r"\d+%", "N%", title) for title in titles] == ["PC 1 (N% of variance)", "PC 2 (N% of variance)"]
    np.testing.assert_allclose(np.concatenate(shown).std(axis=0), [5, 3], rtol=0.2)
    # As they are: few dimensions, and those of a task that draws circles about the origin.
    assert along([own[:, :3] for own in moments], ())[1] == ["z0", "z1"]
    assert along(moments, (1.0,))[1] == ["z0", "z1"]
    assert along([own[:, :1] for own in moments], ())[0][0].shape == (40, 2)


def test_a_text_is_broken_between_words_and_within_one_that_is_too_long():
    figure = page(style.LIGHT, 3, 1)
    text = "the quick brown fox jumps over a dog " + 60 * "x"
    broken = wrapped(figure, text, 1.0, 9)
    assert "".join(broken.split()) == "".join(text.split())
    assert broken.count("\n") >= 7
    assert fitted(figure, "a name that is long", 0.7, 20, 8)[0].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert fitted(figure, "short", 2, 12, 8) == ("short", 12)
