// The state of the page: one step, one seed, one selection. The address holds it, so that a link is a finding.

/**
 * @typedef {{step: number, seed: string, hover: number | null, zoom: [number, number] | null, log: boolean, every: boolean,
 *   dims: number[], turn: [number, number], scale: number, shift: [number, number], marked: number[], point: number | null, theme: string,
 *   playing: boolean, speed: number, loaded: number}} State
 */

/** @type {State} */
const state = {
  step: lastStep,
  seed: "median",
  hover: null,
  zoom: null,
  log: true,
  every: false,
  dims: [0, 1, -1],
  turn: [0.6, 0.4],
  scale: 1,
  shift: [0, 0],
  marked: [],
  point: null,
  theme: "",
  playing: false,
  speed: 1,
  loaded: 0,
};
const initial = { ...state };

/** @type {{keys: (keyof State)[], call: () => void}[]} */
const watchers = [];
/** @type {Set<keyof State>} */
const changed = new Set();

/**
 * Call a function before the next frame whenever one of these parts of the state has changed.
 * @param {(keyof State)[]} keys
 * @param {() => void} call
 */
function watch(keys, call) {
  watchers.push({ keys, call });
}

/**
 * Change the state; whoever watches it hears of it before the next frame.
 * @param {Partial<State>} changes
 */
function set(changes) {
  for (const key of /** @type {(keyof State)[]} */ (Object.keys(changes))) {
    if (state[key] === changes[key]) continue;
    if (!changed.size) requestAnimationFrame(tell);
    changed.add(key);
  }
  Object.assign(state, changes);
}

function tell() {
  const keys = new Set(changed);
  changed.clear();
  for (const { keys: own, call } of watchers) if (own.some((key) => keys.has(key))) call();
}

/** Go to a step, within the run. @param {number} step */
function goTo(step) {
  set({ step: Math.max(0, Math.min(lastStep, Math.round(step))) });
}

/**
 * Give the place of the seed that is shown of a run; -1 where the run does not have it.
 * @param {number} arm
 */
function shownSeed(arm) {
  const own = page.arms[arm];
  if (state.seed === "median") return own.median;
  if (state.seed === "best") return own.best;
  if (state.seed === "worst") return own.worst;
  return own.seeds.indexOf(Number(state.seed));
}

/** Name the seed that is shown of a run. @param {number} arm */
function seedName(arm) {
  const place = shownSeed(arm);
  if (place < 0) return `no seed ${state.seed}`;
  const own = page.arms[arm];
  const rank = own.seeds.length < 2 ? "" : { [own.worst]: " (worst)", [own.best]: " (best)", [own.median]: " (median)" }[place] || "";
  const diverged = own.diverged[own.seeds[place]] ? ", diverged" : "";
  return `seed ${own.seeds[place]}${rank}${diverged}`;
}

const numbersOf = (/** @type {string} */ text) => text.split("_").map(Number);
const tidy = (/** @type {number} */ value) => Number(value.toFixed(3));

/** The parts of the address: how each is written, and how it is read. Whatever cannot be read is left as it is. */
const addressed = /** @type {Record<string, {write: () => string, read: (text: string) => Partial<State> | null}>} */ ({
  step: { write: () => String(state.step), read: (text) => (/^\d+$/.test(text) && Number(text) <= lastStep ? { step: Number(text) } : null) },
  seed: {
    write: () => state.seed,
    read: (text) => (/^(median|best|worst)$/.test(text) || page.arms.some((arm) => arm.seeds.map(String).includes(text)) ? { seed: text } : null),
  },
  zoom: {
    write: () => (state.zoom ? state.zoom.map(tidy).join("_") : ""),
    read: (text) => {
      const [low, high] = numbersOf(text);
      return low >= 0 && high > low && high <= lastStep ? { zoom: [low, high] } : null;
    },
  },
  log: { write: () => String(Number(state.log)), read: (text) => ({ log: text !== "0" }) },
  every: { write: () => String(Number(state.every)), read: (text) => ({ every: text === "1" }) },
  dims: {
    write: () => state.dims.join("_"),
    read: (text) => {
      const dims = numbersOf(text);
      const count = typeof page.space === "string" ? 0 : Math.min(...page.space.arms.map((arm) => arm.dimensions.length));
      const known = dims.length === 3 && dims.every((own, i) => Number.isInteger(own) && own >= (i < 2 ? 0 : -1) && own < count);
      return known && new Set(dims).size === 3 ? { dims } : null;
    },
  },
  turn: { write: () => state.turn.map(tidy).join("_"), read: (text) => pair(text, (turn) => ({ turn })) },
  scale: { write: () => String(tidy(state.scale)), read: (text) => (Number(text) >= 0.2 && Number(text) <= 50 ? { scale: Number(text) } : null) },
  shift: { write: () => state.shift.map(tidy).join("_"), read: (text) => pair(text, (shift) => ({ shift })) },
  marked: {
    write: () => state.marked.join("_"),
    read: (text) => {
      const count = typeof page.space === "string" ? 0 : page.space.arms[0].colors.length;
      return { marked: numbersOf(text).filter((own) => Number.isInteger(own) && own >= 0 && own < count) };
    },
  },
  theme: { write: () => state.theme, read: (text) => (/^(light|dark)$/.test(text) ? { theme: text } : null) },
});

/** @param {string} text @param {(own: [number, number]) => Partial<State>} make */
function pair(text, make) {
  const [x, y] = numbersOf(text);
  return Number.isFinite(x) && Number.isFinite(y) ? make([x, y]) : null;
}

/** Write what differs from the beginning into the address. */
function writeAddress() {
  const now = Object.entries(addressed).map(([key, own]) => [key, own.write()]);
  const current = { ...state };
  Object.assign(state, initial);
  const usual = Object.fromEntries(Object.entries(addressed).map(([key, own]) => [key, own.write()]));
  Object.assign(state, current);
  const text = now.filter(([key, own]) => own !== usual[key]).map((own) => own.join("=")).join("&");
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

/** Read the address: what it says, and for the rest what was at the beginning. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if ([...given.keys()].every((key) => !(key in addressed)) && location.hash) return; // the name of a place in the page
  const found = { ...initial, loaded: state.loaded };
  for (const [key, text] of given) if (key in addressed) Object.assign(found, addressed[key].read(text));
  set(found);
}
