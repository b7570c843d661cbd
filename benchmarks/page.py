"""Measure the interactive page in headless Chromium with software rendering: how soon it is there, and how smoothly it moves."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXPERIMENT = "smooth-vs-stepped"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
DRAWN = "() => [...document.querySelectorAll('.space-figure .muted')].some((own) => /step/.test(own.textContent))"
WATCHED = """
  const frame = window.requestAnimationFrame.bind(window);
  window.work = [];
  window.requestAnimationFrame = (call) => frame((now) => {
    const began = performance.now();
    call(now);
    window.work.push(performance.now() - began);
  });
"""
# Frames in two seconds in which the step, or the view, is another than before.
COUNTED = """(kind) => new Promise((done) => {
  const canvas = document.querySelector("canvas.space");
  const began = performance.now();
  let frames = 0, before = "";
  window.work.length = 0;
  const next = () => {
    if (kind === "turn") canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "d", bubbles: true }));
    const now = kind === "turn" ? String(frames) : document.getElementById("step").value;
    if (now !== before) frames++;
    before = now;
    if (performance.now() - began < 2000) requestAnimationFrame(next);
    else done(1000 * frames / (performance.now() - began));
  };
  requestAnimationFrame(next);
})"""


def bench_page(folder: Path) -> dict[str, float]:
    """Time a page of two arms with 32 seeds, and the opening of one with four arms of 64."""
    from playwright.sync_api import sync_playwright

    name = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if name is None:
        print("the page: not measured, as there is no Chromium")
        return {}
    usual, large = _written(folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=name, args=FLAGS)
        found = _moved(browser, usual)
        found["open_large_s"] = statistics.median(_opened(browser, large)[1] for _ in range(3))
        browser.close()
    found["megabytes"] = usual.stat().st_size / 1e6
    print("the page of two arms of 32 seeds, 512 points each, in headless Chromium with software rendering:")
    print(f"  size                      {found['megabytes']:6.1f} MB        (target: under 12)")
    print(f"  from opening to drawn     {found['open_s']:6.2f} s         (target: 1)")
    print(f"  turning                   {found['turn_fps']:6.0f} frames/s  (target: 60)")
    print(f"  playing at four times     {found['play_fps']:6.0f} frames/s  (target: 30)")
    print(f"  work from key to drawn    {found['key_ms']:6.1f} ms        (median of 60; longest {found['longest_ms']:.1f}; target: 16)")
    opened, size = found["open_large_s"], large.stat().st_size / 1e6
    print(f"  four arms of 64 seeds     {opened:6.2f} s         (from opening to drawn; {size:.1f} MB; target: 3)")
    return found


def _written(folder: Path) -> tuple[Path, Path]:
    """Train what is shown, and write both pages."""
    pages = folder / "usual.html", folder / "large.html"
    for seeds, page in zip(("0:32", "0:64"), pages, strict=True):
        runs = folder / page.stem
        _curriculum("experiment", EXPERIMENT, "--seeds", seeds, "--runs", runs)
        arms = ["smooth", "stepped"]
        if page is pages[1]:
            for arm in ("smooth", "stepped"):
                shutil.copytree(runs / EXPERIMENT / arm, runs / EXPERIMENT / f"{arm}-again")
                arms.append(f"{arm}-again")
        _curriculum("report", *(f"{EXPERIMENT}/{arm}" for arm in arms), "--runs", runs, "-o", page)
    return pages


def _curriculum(*words: str | Path) -> None:
    subprocess.run([Path(sys.executable).with_name("curriculum"), *map(str, words)], check=True, capture_output=True)


def _opened(browser: Any, path: Path) -> tuple[Any, float]:
    page = browser.new_page(viewport={"width": 1600, "height": 1400})
    page.add_init_script(WATCHED)
    began = time.perf_counter()
    page.goto(f"file://{path}#step=5000")
    page.wait_for_function(DRAWN, polling="raf")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
    return page, time.perf_counter() - began


def _moved(browser: Any, path: Path) -> dict[str, float]:
    times: Sequence[float] = [_opened(browser, path)[1] for _ in range(3)]
    page, _ = _opened(browser, path)
    page.locator("#spaces").scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    page.locator("select[aria-label^=Depth]").select_option("2")
    turning = page.evaluate(COUNTED, "turn")
    page.locator("#speed").select_option("4")
    page.keyboard.press("Home")
    page.locator("#play").click()
    playing = page.evaluate(COUNTED, "play")
    page.locator("#play").click()
    page.keyboard.press("Home")
    lengths = []
    for _ in range(60):
        page.evaluate("window.work.length = 0")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => window.work.length > 0", polling="raf")
        lengths.append(page.evaluate("Math.max(...window.work)"))
    return {
        "open_s": statistics.median(times),
        "turn_fps": turning,
        "play_fps": playing,
        "key_ms": statistics.median(lengths),
        "longest_ms": max(lengths),
    }
