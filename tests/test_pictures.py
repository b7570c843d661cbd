"""Figures and videos: what they show, not how pretty they are."""

import json
import re
import subprocess
from itertools import combinations, pairwise

import imageio_ffmpeg
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.legend import Legend
from matplotlib.text import Text

from color_vision import KINDS, distance, lab
from curriculum import track
from curriculum.draw import style
from curriculum.draw.conclusion import Conclusion, Line, conclusion_of
from curriculum.draw.ffmpeg import encode
from curriculum.draw.film import Look
from curriculum.draw.frames import frame_steps
from curriculum.draw.motion import Motion
from curriculum.draw.plots import bands, effects, finals, latents, losses, schedules, timeline
from curriculum.draw.video import animate, make_scene, render
from curriculum.errors import InputError, RunError
from curriculum.measure import comparison
from curriculum.measure.bands import curves
from curriculum.measure.comparison import compare
from curriculum.measure.geometry import orientation, principal_axes
from curriculum.measure.trace import error_curves
from curriculum.runner.execute import run
from curriculum.sheet.parse import parse
from curriculum.sheet.schedule import Schedule, compile_sheet
from curriculum.store.reader import Run
from curriculum.store.shelf import stored_comparison
from readable import lines, unreadable, written

SMALL = Look(width=480, height=270)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    short, long = (run("color", "smooth.csv", steps=steps, folder=folder, name=f"s{steps}").run for steps in (25, 40))
    sparse = run("color", "stepped.csv", steps=40, folder=folder, name="sparse", overrides=["record.snapshot_every=4"]).run
    return short, long, sparse


def test_a_run_of_10001_steps_has_1342_frames():
    frames = frame_steps(10001)
    assert len(frames) == 1342
    assert frames[:4] == [0, 1, 2, 3]
    assert frames[-1] == 10000
    assert frames == sorted(set(frames))


@pytest.mark.parametrize(("steps", "stride", "expected"), [(1, None, [0]), (11, 5, [0, 5, 10]), (10, 4, [0, 4, 8, 9]), (3, 100, [0, 2])])
def test_the_last_step_is_always_shown(steps, stride, expected):
    assert frame_steps(steps, stride) == expected


def test_a_frame_drawn_on_the_background_is_the_full_drawing(runs):
    scene = make_scene(runs[:2], SMALL)
    quick = {index: np.frombuffer(frame, np.uint8).copy() for index, frame in enumerate(render(scene)) if index in (0, 7, 30)}
    for artist in scene.moving:
        artist.set_animated(False)
    for index, frame in quick.items():
        scene.show(index)
        scene.figure.canvas.draw()
        full = np.frombuffer(memoryview(scene.figure.canvas.buffer_rgba()).cast("B"), np.uint8)
        assert np.abs(full.astype(int) - frame.astype(int)).max() <= 1


def test_paths_of_all_seeds_end_where_the_shown_seed_ends(tmp_path):
    stored = run("color", "smooth.csv", seeds="0:3", steps=60, folder=tmp_path, name="three").run
    scene = make_scene([stored], SMALL, all_seeds=True)
    (column,) = scene.columns
    others = column.panel.others
    assert others.shape == (3, len(scene.frames), 6, 2)
    shown = column.panel.latents[:, list(column.panel.marks.traced)][..., :2]
    own = stored.seeds.index(int(column.subtitle.split("seed ")[1].split(";")[0]))
    np.testing.assert_allclose(others[own], shown, atol=1e-5)
    # Turning changes no distance.
    apart = np.linalg.norm(np.diff(others[:, -1], axis=1), axis=-1)
    raw = Motion(stored)
    for index in range(3):
        z = raw.latents([scene.frames[-1]], index, column.panel.marks.traced)[0][:, :2]
        np.testing.assert_allclose(apart[index], np.linalg.norm(np.diff(z, axis=0), axis=-1), atol=1e-5)
    moment = make_scene([stored], SMALL, at=30, all_seeds=True)
    assert moment.frames[-1] == 30
    assert moment.columns[0].panel.others.shape[1] == len(moment.frames) > 1


def test_a_map_is_turned_to_lie_as_what_it_stands_for():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 2))
    for flip in (1, -1):
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-flip * np.sin(angle), flip * np.cos(angle)]])
        np.testing.assert_allclose((3 * truth @ turn) @ orientation(3 * truth @ turn, truth), 3 * truth)
    assert np.array_equal(orientation(np.full((40, 2), np.nan), truth), np.eye(2))


@pytest.mark.parametrize("theme", style.THEMES.values(), ids=style.THEMES)
@pytest.mark.parametrize("kind", KINDS)
def test_colors_are_told_apart_by_color_blind_readers_too(theme, kind):
    # Runs share a panel: all of them must differ, and more so the first four, which a video shows. Of the properties, neighbours.
    runs = [distance(one, other, kind) for one, other in combinations(theme.runs, 2)]
    first = [distance(one, other, kind) for one, other in combinations(theme.runs[:4], 2)]
    assert (min(first) > 20, min(runs) > 17) == (True, True)
    assert min(distance(one, other, kind) for one, other in pairwise((*theme.palette, theme.palette[0]))) > 25
    assert min(distance(one, other, kind) for one, other in combinations(theme.palette, 2)) > 15
    assert min(distance(color, theme.back, kind) for color in (*theme.runs, *theme.palette)) > 30
    # Supported and contradicted.
    assert distance(theme.palette[2], theme.palette[1], kind) > 25


def test_simulated_color_blindness_takes_red_and_green_together_and_keeps_gray():
    for kind in KINDS:
        np.testing.assert_allclose(lab("#808080", kind), lab("#808080"), atol=0.01)
    np.testing.assert_allclose(lab("#ff0000"), [53.24, 80.09, 67.20], atol=0.05)
    for kind in ("protanopia", "deuteranopia"):
        assert distance("#b06060", "#60a060", kind) < distance("#b06060", "#60a060", "usual") / 2
    assert distance("#4060b0", "#40a0a0", "tritanopia") < distance("#4060b0", "#40a0a0", "usual")


def test_principal_axes_are_those_of_all_frames_and_have_fixed_signs():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    latents = (rng.normal(size=(30, 50, 64)) * ([9, 4] + 62 * [0.1])) @ turn + 7.0
    found = principal_axes(latents)
    np.testing.assert_allclose(found.center, latents.mean((0, 1)), rtol=1e-9)
    # The same by a decomposition of all points at once.
    _, singular, axes = np.linalg.svd((latents - found.center).reshape(-1, 64), full_matrices=False)
    np.testing.assert_allclose(np.abs((found.axes * axes[:2]).sum(axis=1)), 1, atol=1e-9)
    np.testing.assert_allclose(found.share, (singular**2 / (singular**2).sum())[:2])
    assert (found.axes[[0, 1], np.abs(found.axes).argmax(axis=1)] > 0).all()
    assert found.project(latents).shape == (30, 50, 2)
    np.testing.assert_allclose(found.project(latents).std(axis=(0, 1)), [9, 4], rtol=0.1)
    assert found.titles()[0] == f"PC 1 ({found.share[0]:.0%} of variance)"
    # A point that is lost changes nothing but itself, and what stands still has axes too.
    lost = latents.copy()
    lost[3, 4, 5] = np.nan
    np.testing.assert_allclose(principal_axes(lost).axes, found.axes, atol=1e-2)
    still = principal_axes(np.full((4, 5, 3), 2.0), 5)
    assert (still.axes.shape, still.share.tolist()) == ((3, 3), [0, 0, 0])
    assert principal_axes(np.full((4, 5, 3), np.nan)).axes.shape == (2, 3)


def test_frames_are_paired_by_step_and_a_run_that_is_over_stays(runs):
    short, long, _ = runs
    scene = make_scene([short, long], SMALL)
    assert scene.frames[-1] == 39
    alone = make_scene([long], SMALL, at=30)
    np.testing.assert_allclose(scene.columns[1].panel.latents[scene.frames.index(30)], alone.columns[0].panel.latents[0])
    last = make_scene([short], SMALL, at=24).columns[0].panel.latents[0]
    np.testing.assert_allclose(scene.columns[0].panel.latents[-1], last)


def test_runs_with_fewer_snapshots_are_shown_at_steps_that_both_have(runs):
    _, long, sparse = runs
    scene = make_scene([long, sparse], SMALL)
    assert set(scene.frames) <= set(range(0, 40, 4))
    assert scene.frames == sorted(set(scene.frames))


def test_all_columns_have_the_same_limits(runs):
    scene = make_scene(runs, SMALL)
    squares = [axes for axes in scene.figure.axes if axes.get_aspect() == 1]
    assert len(squares) == 3
    assert len({axes.get_xlim() + axes.get_ylim() for axes in squares}) == 1
    ends = [squares[0].get_xlim(), squares[0].get_ylim()]
    for column in scene.columns:
        for (low, high), own in zip(ends, np.moveaxis(column.panel.latents, -1, 0), strict=True):
            assert low < own.min() <= own.max() < high


@pytest.mark.parametrize(
    ("look", "options", "message"),
    [
        (Look(dims=(0, 7)), {}, "no dimension 7: it has 0 to 3"),
        (Look(width=481), {}, "even numbers"),
        (SMALL, {"seed": 3}, "has no seed 3"),
        (SMALL, {"at": 99}, "step 99 does not exist"),
    ],
)
def test_what_cannot_be_shown_is_refused(runs, look, options, message):
    with pytest.raises(InputError, match=message):
        make_scene(runs[:1], look, **options)
    with pytest.raises(InputError, match="1 to 4 runs"):
        make_scene([runs[0]] * 5, SMALL)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_every_number_of_columns_fits_into_the_picture(runs, columns, theme):
    scene = make_scene((*runs, runs[0])[:columns], Look(theme=theme), at=20)
    scene.figure.canvas.draw()
    box = scene.figure.bbox
    for axes in scene.figure.axes:
        tight = axes.get_tightbbox()
        if tight is not None:
            assert tight.x0 >= box.x0 - 1
            assert tight.x1 <= box.x1 + 1
            assert tight.y0 >= box.y0 - 1
            assert tight.y1 <= box.y1 + 1


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_a_talk_can_read_every_text_of_a_video(runs, columns):
    scene = make_scene((*runs, runs[0])[:columns], Look(), at=20)
    texts = written(scene.figure)
    assert min(text.get_fontsize() * 100 / 72 for text in texts) > 17.9
    assert unreadable(scene.figure) == []
    assert len([legend for legend in scene.figure.findobj(Legend) if legend.get_texts()]) == 1
    # What moves has most of the height, or of the width of its column.
    side = scene.layout.square.width
    assert side > 0.6 * 900 or side > 0.84 * 1600 / columns


def test_a_video_says_the_error_of_the_moment_and_how_its_seed_was_chosen(tmp_path):
    three = [run("color", sheet, seeds="100:103", steps=60, folder=tmp_path, name=sheet[:2]).run for sheet in ("smooth.csv", "stepped.csv")]
    scene = make_scene(three, Look())
    index = three[0].seeds.index(int(scene.columns[0].subtitle.rpartition("seed ")[2]))
    errors = error_curves(three[0])
    for frame in (0, len(scene.frames) - 1):
        scene.show(frame)
        at = np.searchsorted(errors[0], scene.frames[frame], side="right") - 1
        assert f"error {10 ** errors[1][at, index]:#.3g} MSE" in lines(scene.figure)
    said = lines(scene.figure)
    assert f"smooth.csv, median seed {three[0].seeds[index]}" in said
    assert f"stepped.csv, same seed {three[0].seeds[index]}" in said
    narrow = lines(make_scene(three * 2, Look(), at=10).figure)
    assert f"median seed {three[0].seeds[index]}" in narrow
    chosen = make_scene(three, Look(), seed=102, at=10)
    assert [column.subtitle for column in chosen.columns] == ["smooth.csv, seed 102", "stepped.csv, seed 102"]


def test_curves_are_labelled_at_their_ends_and_only_the_others_are_in_the_legend(tmp_path):
    columns = "STEP,PHASE,lr,loss-recon,reg-norm,data-hues,data-vibrancies"
    sheet = parse(f"{columns}\n0,All hues,0.01,1,0.1,0.5,0.5\n59,,0.001,1,0.3,1,1\n")
    scene = make_scene([run("color", sheet, folder=tmp_path, name="a").run], Look())
    (legend,) = [found for found in scene.figure.findobj(Legend) if found.get_texts()]
    named = [text.get_text() for text in legend.get_texts()]
    # Two columns end at 1, the third far below; what rests is not drawn.
    assert {"data-hues", "data-vibrancies"} <= set(named)
    assert "loss-recon" not in [text.get_text() for text in scene.figure.axes[1].texts]
    labels = {text.get_text() for axes in scene.figure.axes for text in axes.texts}
    assert {*named} & labels == set()
    assert len({*named, *labels} & {"data-hues", "data-vibrancies", "reg-norm", "loss-recon", "total"}) == 5


@pytest.fixture(scope="module")
def compared(here, tmp_path_factory):
    """Train and compare two arms of eight seeds, of which final errors are judged."""
    folder = tmp_path_factory.mktemp("compared")
    for sheet in ("smooth", "stepped"):
        assert here("train", "--dopesheet", f"{sheet}.csv", "--name", sheet, "--steps", 60, "--seeds", "0:8", "--runs", folder).code == 0
    assert here("compare", "smooth", "stepped", "--runs", folder).code == 0
    return folder


def test_a_video_ends_with_the_verdicts_for_two_seconds(compared, here, monkeypatch):
    small = ("--size", "800x450", "--fps", 10, "--stride", 10, "--runs", compared, "--json")
    monkeypatch.setattr(comparison, "compare", None)  # the one that is stored is used
    made = here("animate", "smooth", "stepped", *small)
    assert made.code == 0, made.err
    document = json.loads(made.out)
    assert document["frames"] == 7 + 20
    frames = decoded(document["path"], 800, 450)
    assert len(frames) == 27
    # The same picture for two seconds, which hides the panels and not the latents.
    apart = [np.abs(frames[-1].astype(int) - frame.astype(int)).mean() for frame in frames]
    assert max(apart[8:]) < 1 < apart[6]
    assert np.abs(frames[-1][:250].astype(int) - frames[6][:250].astype(int)).mean() < 1
    alone = json.loads(here("animate", "smooth", *small).out)
    assert alone["frames"] == 7


def test_the_verdicts_of_a_video_are_those_of_the_comparison_of_its_runs(compared, here, tree):
    runs = [Run(compared / name) for name in ("smooth", "stepped")]
    found = compare(runs)
    stored = stored_comparison(compared, runs)
    assert conclusion_of(stored) == conclusion_of(found.to_json())
    said = conclusion_of(stored)
    assert said.title == "smooth against stepped"
    first = found.guards[0]
    assert (said.lines[0].sentence, said.lines[0].verdict) == (first.sentence(found.names), first.verdict)
    assert said.lines[0].short == f"{first.title}: smooth {first.amount} of stepped {first.interval}: {first.verdict}"
    scene = make_scene(runs, Look(), at=59, conclusion=said)
    scene.conclude()
    assert all(own.sentence in lines(scene.figure) for own in said.lines)


@pytest.mark.parametrize(("count", "shown"), [(3, "sentence"), (7, "short"), (30, "some")])
def test_a_video_ends_with_every_verdict_or_says_how_many_it_leaves_out(compared, count, shown):
    runs = [Run(compared / name) for name in ("smooth", "stepped")]
    every = tuple(Line(f"{'a long sentence ' * 12}{place}", f"short {place}", "contradicted") for place in range(count))
    scene = make_scene(runs, Look(), at=59, conclusion=Conclusion("smooth against stepped", every))
    bottom = [own.get_window_extent().y0 for own in scene.conclude()[1:]]
    assert min(bottom) > 0
    drawn = lines(scene.figure)
    if shown == "some":
        rest = re.search(r"and (\d+) more, which `curriculum compare` says", drawn)
        assert len(re.findall(r"short \d+", drawn)) == count - int(rest[1]) > 5
    else:
        assert all(getattr(own, shown) in drawn for own in every)


def test_the_verdicts_of_a_video_are_made_anew_for_runs_that_were(compared, tree):
    runs = [Run(compared / name) for name in ("smooth", "stepped")]
    assert stored_comparison(compared, runs[:1]) is None
    assert stored_comparison(compared / "nothing", runs) is None
    # Runs that were trained anew since are compared anew, for the video alone.
    (path,) = (compared / "comparisons").glob("*/compare.json")
    before, text = tree(compared / "comparisons"), path.read_text()
    path.write_text(re.sub(r'"created": "\d+', '"created": "1999', text))
    assert stored_comparison(compared, runs) is None
    path.write_text(text)
    assert tree(compared / "comparisons") == before


def test_latents_of_many_dimensions_are_shown_along_axes_that_stay_the_same(tmp_path):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    shape = rng.normal(size=(30, 64)) * ([5, 3] + 62 * [0.01])
    labels = np.arange(30) % 3
    with track(tmp_path / "mine", sheet=Schedule.from_values({"lr": np.full(40, 0.1)}), seed=0) as mine:
        for step, _ in mine.steps():
            mine.log(loss=1 / (step + 1))
            mine.look(hidden=(1 + step / 40) * shape @ turn, labels=labels)
    stored = Run(tmp_path / "mine")
    scene = make_scene([stored], Look())
    panel = scene.columns[0].panel
    assert [re.sub(r"\d+%", "N%", title) for title in panel.titles] == ["PC 1 (N% of variance)", "PC 2 (N% of variance)"]
    # The same axes whatever is shown of the run; growing latents only grow.
    moment = make_scene([stored], Look(), at=10).columns[0].panel.latents[0]
    np.testing.assert_allclose(panel.latents[scene.frames.index(10)], moment, rtol=1e-4)
    np.testing.assert_allclose(
        panel.latents[-1] - panel.latents[-1].mean(0), 1.975 * (panel.latents[0] - panel.latents[0].mean(0)), atol=0.02
    )
    (legend,) = [found for found in scene.figure.findobj(Legend) if found.get_texts()]
    assert [text.get_text() for text in legend.get_texts()] == ["class 0", "1", "2"]
    assert {*panel.titles} <= {text.get_text() for text in written(scene.figure)}
    raw = make_scene([stored], Look(dims=(0, 5))).columns[0].panel
    assert raw.titles == ("z0", "z5")


def decoded(path, width, height) -> np.ndarray:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_video_decodes_to_the_frames_that_were_drawn(runs, tmp_path, suffix):
    scene = make_scene(runs[:2], SMALL, stride=8)
    path = tmp_path / f"video{suffix}"
    animate(scene, path)
    frames = decoded(path, 480, 270)
    assert len(frames) == len(scene.frames)
    drawn = [np.frombuffer(frame, np.uint8).reshape(270, 480, 4)[..., :3].copy() for frame in render(scene)]
    assert np.abs(frames[-1].astype(int) - drawn[-1].astype(int)).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_stopped_video_leaves_nothing(tmp_path):
    def frames():
        yield memoryview(bytes(480 * 270 * 4))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(frames(), tmp_path / "video.mp4", 480, 270, 30)
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_fails_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    with pytest.raises(RunError, match="the encoder failed"):
        encode(iter([memoryview(bytes(64))] * 3), tmp_path / "video.mp4", 4, 4, 30)
    assert not list(tmp_path.iterdir())


def test_no_spike_is_lost_where_points_outnumber_pixels():
    x, y = np.arange(10001), np.full(10001, 1e-4)
    y[[17, 5003, 9999]] = [1.0, 3.0, 0.5]
    at, low, high = style.envelope(x, y, 300)
    assert len(at) <= 300
    assert sorted(high[high > 1e-3]) == [0.5, 1.0, 3.0]
    assert low.max() == 1e-4


def test_the_envelope_of_missing_values_is_missing():
    y = np.ones(1000)
    y[:500] = np.nan
    _, low, high = style.envelope(np.arange(1000), y, 10)
    assert np.isnan(low[:5]).all()
    assert (high[5:] == 1).all()


def test_a_curve_of_many_points_is_drawn_with_its_band():
    figure = style.figure(4, 3)
    axes = figure.subplots()
    axes.set_yscale("log")
    y = np.full(5000, 1e-3)
    y[2500] = 1.0
    style.curve(axes, np.arange(5000), y, 200, "black")
    (band,) = [artist for artist in axes.collections if isinstance(artist, PolyCollection)]
    assert band.get_paths()[0].vertices[:, 1].max() == 1.0


# names that TeX would read otherwise, and one that matplotlib would hide

ODD = ("$$", "a$b_c", "_x_y", "\\alpha")


def legends(figure) -> list[list[str]]:
    figure.canvas.draw()
    return [[text.get_text() for text in legend.get_texts()] for legend in figure.findobj(Legend) if legend.get_texts()]


def shown(figure) -> set[str]:
    """Collect the lines of text that a figure shows; none of them is TeX."""
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert [text.get_text() for text in texts if "mathdefault" in text.get_text()] == []
    assert [text.get_text() for text in texts if text.get_parse_math() and "$" in text.get_text()] == []
    return {line for text in texts for line in text.get_text().splitlines()}


@pytest.fixture(scope="module")
def odd(process, tmp_path_factory):
    """Train two runs whose phases, actions, sheets and names are odd, with the real command."""
    folder = tmp_path_factory.mktemp("odd")
    phases = "".join(f"    '{name}': {{train: full, validate: rgb}}\n" for name in ODD)
    hooks = "".join(f"  - {{on: 'action:{name}', call: 'odd_hooks:look'}}\n" for name in ODD)
    (folder / "c.yaml").write_text(f"task:\n  name: color\n  phases:\n{phases}hooks:\n{hooks}threads: 1\n")
    (folder / "odd_hooks.py").write_text("def look(event):\n    assert event.name\n")
    rows = "".join(f"{5 * k},{name},{name},,,,\n" for k, name in enumerate(ODD) if k)
    (folder / "$$.csv").write_text(
        f"STEP,PHASE,ACTION,lr:log,loss-recon,data-hues,data-vibrancies\n0,$$,$$,0.01,1,0.5,0.5\n{rows}29,,,0.1,,,\n"
    )
    for name in ("_x_y", "_z"):
        done = process("train", "-d", "$$.csv", "-c", "c.yaml", "--name", name, "--seeds", "0:8", cwd=folder)
        assert done.code == 0, done.err
    return folder


@pytest.mark.slow
def test_a_sheet_with_odd_names_is_plotted_with_all_of_them(process, tmp_path):
    columns = ",".join(f"{name}:log" for name in ODD)
    phases = "".join(f"{9 * k},{name},{name},{f'{k + 1},' * 4}1\n" for k, name in enumerate(ODD))
    (tmp_path / "$$.csv").write_text(f"STEP,PHASE,ACTION,lr,{columns}\n{phases}99,,,,,,,\n")
    for more in ((), ("--derivatives",)):
        done = process("dopesheet", "plot", "$$.csv", "-o", f"plot{len(more)}.png", *more, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
    figure = timeline.draw(compile_sheet(parse((tmp_path / "$$.csv").read_text())), "$$.csv", derivatives=True)
    assert {*ODD, "$$.csv", "lr"} <= shown(figure)
    # The last one rests, and is listed below.
    assert [[*ODD[:-1]]] == legends(figure)
    assert f"The same at every step: {ODD[-1]} 1." in shown(figure)


@pytest.mark.slow
def test_runs_with_odd_names_are_drawn_compared_and_shown_with_all_of_them(process, odd):
    runs = [Run(odd / "runs" / name) for name in ("_x_y", "_z")]
    assert sorted(path.name for path in runs[0].figure("losses.png").parent.iterdir()) == ["latents.png", "losses.png", "timeline.png"]
    compared = process("compare", "_x_y", "_z", cwd=odd)
    assert compared.code == 0, compared.err
    poster = process("animate", "_x_y", "_z", "-o", "p.png", "--at", 20, "--size", "640x360", cwd=odd)
    assert (poster.code, (odd / "p.png").is_file()) == (0, True), poster.err
    found = compare(runs)
    names = [run.name for run in runs]
    error = bands.draw(runs, names, curves(runs), found.pairs[0].windows["transitions"], "error")
    for figure in (losses.draw(runs, names, [0, 0]), schedules.draw(runs, names)):
        assert legends(figure) == [names]
    assert legends(error) == [[f"{name} (8 seeds)" for name in names]]
    alone = (timeline.draw(runs[0].schedule, "$$.csv"), latents.draw(runs[0]), losses.draw(runs[:1], names[:1], [0]))
    for figure in (*alone, finals.draw(runs, names, found.final[0].values), effects.draw(found), error):
        assert any("_x_y" in line for line in shown(figure))
    scene = make_scene(runs, SMALL)
    assert {"_x_y", "$$   step"} <= shown(scene.figure)
    scene.show(len(scene.frames) - 1)
    assert "\\alpha   step" in shown(scene.figure)


def test_the_ticks_of_a_log_scale_are_powers_of_ten():
    with style.themed(style.LIGHT):
        figure = style.figure(4, 3)
        axes = figure.subplots()
        style.log_scale(axes)
        axes.set_ylim(1e-3, 1e2)
    assert {"10⁻³", "10⁰", "10²"} <= shown(figure)
    axes.set_ylim(0.2, 0.7)
    assert {"0.2", "0.6"} <= shown(figure)
    axes.set_ylim(2e-5, 7e-5)
    assert {f"{digit}\N{MULTIPLICATION SIGN}10⁻⁵" for digit in (2, 6)} <= shown(figure)


def test_properties_of_very_different_size_get_panels_of_their_own():
    schedule = compile_sheet(parse("STEP,lr,a,b,c,d:log\n0,1,1,0.5,1000,1\n9,1,0,0,0,2\n"))
    assert timeline.panels(schedule) == [["c"], ["a", "b"], ["d"], ["lr"]]


@pytest.mark.parametrize("derivatives", [False, True])
def test_a_timeline_marks_keys_phases_and_actions(derivatives):
    sheet = parse("STEP,PHASE,ACTION,lr,a\n0,warm up,,1,0\n50,,anchor,,1\n60,main,,,\n99,,,2,0\n")
    figure = timeline.draw(compile_sheet(sheet), "a sheet", derivatives)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"warm up", "main", "anchor"} <= texts
    assert len(figure.axes) == (4 if derivatives else 2)
    keys = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert keys[0].get_xdata().tolist() == [0, 50, 99]


def test_train_draws_a_row_of_latents_for_each_phase(tmp_path):
    sheet = parse(
        "STEP,PHASE,lr,loss-recon,data-hues,data-vibrancies\n0,Primary & secondary,0.01,1,0,0\n5,All hues,,,,\n9,All hues,,,,\n12,,,,,\n"
    )
    stored = run("color", sheet, folder=tmp_path).run
    ends = stored.phase_ends
    assert [len(ends[f"{k}.latents"][0]) for k in range(3)] == [6, 512, 512]
    for name in ("timeline.png", "losses.png", "latents.png"):
        assert stored.figure(name).read_bytes().startswith(b"\x89PNG")
