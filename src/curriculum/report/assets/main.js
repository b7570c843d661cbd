// The bar with the step, the strip of phases, the values at the step, the keys, and the beginning.

const playedSteps = stepsOf(page.frames);

/** Go so many stored steps on, or back. @param {number} count */
function stepBy(count) {
  const place = placeOf(playedSteps, state.step);
  const back = count < 0 && place >= 0 && playedSteps[place] !== state.step ? 1 : 0; // from between two steps, back is to the one before
  goTo(playedSteps[Math.max(0, Math.min(playedSteps.length - 1, place + count + back))]);
}

/** Where something happens: phases, actions, and the ends. */
const landmarks = [...new Set([0, lastStep, ...page.arms.flatMap((arm) => [...arm.phases.map((own) => own.start), ...arm.actions.map((own) => own.step)])])].sort((one, other) => one - other);

/** Go to the next landmark, or the one before. @param {number} way */
function jump(way) {
  const found = way > 0 ? landmarks.find((own) => own > state.step) : [...landmarks].reverse().find((own) => own < state.step);
  if (found !== undefined) goTo(found);
}

/** Name the phase of a run at a step. @param {number} arm @param {number} step */
function phaseName(arm, step) {
  const found = page.arms[arm].phases.find((own) => step >= own.start && step <= own.end);
  return found ? found.name : "";
}

function phasesText() {
  const names = page.arms.map((_, arm) => phaseName(arm, state.step));
  return new Set(names).size === 1 ? names[0] : names.map((name, arm) => `${page.names[arm]}: ${name || "over"}`).join(", ");
}

function showBar() {
  const [slider, where, play, seed, speed] = ["step", "where", "play", "seed", "speed"].map(byId);
  slider.max = String(lastStep);
  const update = () => {
    const phase = phasesText();
    slider.value = String(state.step);
    slider.setAttribute("aria-valuetext", `step ${stepText(state.step)}${phase ? `, ${phase}` : ""}`);
    where.textContent = `step ${stepText(state.step)} of ${stepText(lastStep)}${phase ? ` · ${phase}` : ""}`;
  };
  watch(["step"], update);
  watch(["step", "playing"], () => {
    if (state.playing) return;
    const main = page.charts.find((chart) => chart.group === "error" || chart.group === "score");
    const values = main ? shownArms(main).map((arm) => `${page.names[arm]} ${numberText(valueAt(bandCurve(main.arms[arm], 1), state.step))}`) : [];
    speak(`step ${stepText(state.step)}, ${phasesText()}${main ? `. ${main.title}: ${values.join(", ")}` : ""}`);
  });
  slider.addEventListener("input", () => set({ step: Number(slider.value), playing: false }));
  play.addEventListener("click", () => togglePlay());
  watch(["playing"], () => (play.textContent = state.playing ? "Pause" : "Play"));
  const seeds = [...new Set(page.arms.flatMap((arm) => arm.seeds))].sort((one, other) => one - other);
  const same = (/** @type {"median" | "best" | "worst"} */ rank) => [...new Set(page.arms.map((arm) => arm.seeds[arm[rank]]))].join(", ");
  const ranks = seeds.length > 1 ? /** @type {const} */ (["median", "best", "worst"]) : [];
  seed.append(...ranks.map((rank) => make("option", { value: rank }, `${rank} (${same(rank)})`)));
  seed.append(...seeds.map((own) => make("option", { value: String(own) }, `seed ${own}${page.arms.some((arm) => arm.diverged[own]) ? ", diverged" : ""}`)));
  if (seeds.length < 2) set({ seed: String(seeds[0]) });
  const pick = () => (seed.value = state.seed);
  watch(["seed"], pick);
  seed.addEventListener("change", () => set({ seed: seed.value }));
  speed.addEventListener("change", () => set({ speed: Number(speed.value) }));
  byId("zoom-in").addEventListener("click", () => zoomBy(0.5));
  byId("zoom-out").addEventListener("click", () => zoomBy(2));
  byId("zoom-all").addEventListener("click", () => set({ zoom: null }));
  for (const key of /** @type {const} */ (["log", "every"])) {
    const box = byId(key);
    box.addEventListener("change", () => set({ [key]: box.checked }));
    watch([key], () => (box.checked = state[key]));
  }
  byId("every").closest("label").hidden = seeds.length < 2;
  update();
  pick();
}

/** Draw the phases and actions of each run, each a button that goes there. */
function showStrip() {
  const rows = page.arms.map((arm, place) => {
    const row = make("div", { className: "strip-row", role: "group", "aria-label": `Phases and actions of ${page.names[place]}` });
    const at = (/** @type {number} */ step) => `${(100 * step) / Math.max(1, lastStep)}%`;
    for (const phase of arm.phases) {
      const button = make("button", { type: "button", className: "phase", title: `${phase.name || "phase"}, from step ${stepText(phase.start)}` }, phase.name || "–");
      button.style.left = at(phase.start);
      button.style.width = `calc(${at(phase.end - phase.start)} - 1px)`;
      button.addEventListener("click", () => goTo(phase.start));
      row.append(button);
    }
    for (const action of arm.actions) {
      const title = `action ${action.name}, step ${stepText(action.step)}`;
      const button = make("button", { type: "button", className: "action", title, "aria-label": title }, "▼");
      button.style.left = at(action.step);
      button.addEventListener("click", () => goTo(action.step));
      row.append(button);
    }
    const cursor = make("div", { className: "cursor" });
    row.append(cursor);
    watch(["step"], () => (cursor.style.left = at(state.step)));
    cursor.style.left = at(state.step);
    return make("div", { className: "strip-line" }, make("span", { className: "strip-name" }, page.names[place]), row);
  });
  byId("strip").append(...rows);
}

function showValues() {
  const table = byId("values");
  const [head, body] = [table.tHead, table.tBodies[0]];
  const update = () => {
    if (state.playing) return;
    const names = page.names.map((name, arm) => make("th", { scope: "col" }, `${name}, ${seedName(arm)}`));
    head.replaceChildren(make("tr", {}, make("th", { scope: "col" }, `step ${stepText(state.step)}`), ...names));
    body.replaceChildren(
      ...page.charts.map((chart) => {
        const cells = page.names.map((_, arm) => make("td", {}, chart.arms[arm] ? valuesText(chart, arm, state.step) : "–"));
        const what = chart.group === "schedule" ? `${chart.title} (schedule)` : `${chart.title}${chart.unit ? ` (${chart.unit})` : ""}`;
        return make("tr", {}, make("th", { scope: "row" }, what), ...cells);
      }),
    );
  };
  watch(["step", "seed", "playing", "loaded"], update);
  update();
}

let before = 0;
let position = 0;

/** @param {boolean} [on] */
function togglePlay(on = !state.playing) {
  if (on && state.step >= playedSteps[playedSteps.length - 1]) set({ step: playedSteps[0] });
  if (on && !state.playing) {
    before = performance.now();
    position = Math.max(0, placeOf(playedSteps, state.step));
    requestAnimationFrame(advance);
  }
  set({ playing: on });
}

/** @param {number} now */
function advance(now) {
  if (!state.playing) return;
  position += Math.min(0.25, (now - before) / 1000) * 30 * state.speed;
  before = now;
  const place = Math.min(playedSteps.length - 1, Math.floor(position));
  set({ step: playedSteps[place], playing: place < playedSteps.length - 1 });
  requestAnimationFrame(advance);
}

/** @param {KeyboardEvent} event */
function key(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(SELECT|TEXTAREA)$/.test(target.tagName) || target.isContentEditable) return;
  const onButton = /^(BUTTON|SUMMARY|A)$/.test(target.tagName) || (target.tagName === "INPUT" && /** @type {HTMLInputElement} */ (target).type === "checkbox");
  if (target.closest(".scroll") && event.key.startsWith("Arrow")) return; // scrolls the table
  const act = /** @type {Record<string, () => void>} */ ({
    ArrowLeft: () => (event.shiftKey ? jump(-1) : stepBy(-1)),
    ArrowRight: () => (event.shiftKey ? jump(1) : stepBy(1)),
    Home: () => goTo(0),
    End: () => goTo(lastStep),
    " ": () => togglePlay(),
  })[event.key];
  if (!act || (event.key === " " && onButton)) return;
  event.preventDefault();
  if (event.key !== " ") set({ playing: false });
  act();
}

function showTheme() {
  const button = byId("theme");
  const apply = () => {
    document.documentElement.dataset.theme = themeName();
    button.textContent = themeName() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use the ${themeName() === "dark" ? "light" : "dark"} theme`);
  };
  button.addEventListener("click", () => set({ theme: themeName() === "dark" ? "light" : "dark" }));
  watch(["theme"], apply);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => set({ theme: "" }));
  // Paper is white.
  let shown = "";
  addEventListener("beforeprint", () => {
    shown = state.theme;
    Object.assign(state, { theme: "light" });
    for (const { keys, call } of watchers) if (keys.includes("theme")) call();
  });
  addEventListener("afterprint", () => set({ theme: shown }));
  apply();
}

function showLink() {
  const button = byId("link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy it from the address bar";
    }
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  });
}

/** @type {ReturnType<typeof setTimeout>} */
let writing;

function begin() {
  readAddress();
  document.querySelectorAll(".live-only").forEach((own) => own.removeAttribute("hidden"));
  showTheme();
  showLink();
  showBar();
  showStrip();
  showEffects();
  showSpaces();
  showCharts();
  showValues();
  addEventListener("keydown", key);
  addEventListener("hashchange", readAddress);
  watch(["step", "seed", "zoom", "log", "every", "dims", "turn", "scale", "shift", "marked", "theme", "playing"], () => {
    clearTimeout(writing);
    if (!state.playing) writing = setTimeout(writeAddress, 150);
  });
}

begin();
