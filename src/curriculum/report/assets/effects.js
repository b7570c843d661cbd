// The effects of the comparison: a row for each, with the effect in every pair of seeds, the interval, and what is too small to matter.

const SVG = "http://www.w3.org/2000/svg";
const ROW = 58;

/** Make an element of a drawing. @param {string} tag @param {Record<string, any>} settings @param {string} [text] @returns {any} */
function shape(tag, settings, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(settings)) element.setAttribute(key, String(value));
  if (text) element.textContent = text;
  return element;
}

/** Write an effect: ratios as x0.45, differences with their sign. @param {Effect} effect @param {number} value */
function effectText(effect, value) {
  return effect.scaled ? `×${numberText(value)}` : `${value > 0 ? "+" : value < 0 ? "−" : ""}${numberText(Math.abs(value))}${effect.unit ? ` ${effect.unit}` : ""}`;
}

/** Put the effects on the page, where there are any. */
function showEffects() {
  const place = byId("effects");
  if (!place || !page.effects.length) return;
  const pairs = new Set(page.effects.map((own) => `${own.first} ${own.other}`)).size;
  const order = [...page.effects].sort((one, other) => labels.indexOf(one.label) - labels.indexOf(other.label));
  const rows = order.map((effect) => {
    const drawing = shape("svg", { class: "effect-plot", role: "img", "aria-label": effect.sentence });
    const between = `${page.names[effect.first]} against ${page.names[effect.other]}`;
    const head = make("div", { className: "effect-label" }, make("strong", {}, effect.label), ...(pairs > 1 ? [make("span", { className: "muted" }, between)] : []));
    const said = make("div", { className: "effect-verdict" }, effect.verdict);
    place.append(make("div", { className: "effect" }, head, drawing, said));
    return { effect, drawing };
  });
  const against = pairs > 1 ? "the first run named against the other" : `${page.names[page.effects[0].first]} against ${page.names[page.effects[0].other]}`;
  place.append(make("p", { className: "muted" }, `Effects of ${against}, each row on a scale of its own. Dots: pairs of seeds; click one to see its seed below. Bar: the estimate and its interval. Gray: too small to matter.`));
  const draw = () => rows.forEach(({ effect, drawing }) => drawEffect(effect, drawing));
  const light = () =>
    place.querySelectorAll("[data-seed]").forEach((/** @type {Element} */ dot) => {
      dot.classList.toggle("lit", Number(dot.getAttribute("data-seed")) === state.hover);
      dot.classList.toggle("chosen", dot.getAttribute("data-seed") === state.seed);
    });
  new ResizeObserver(() => {
    draw();
    light();
  }).observe(place);
  watch(["hover", "seed"], light);
}

const labels = [...new Set(page.effects.map((own) => own.label))];

/** @param {Effect} effect @param {any} drawing */
function drawEffect(effect, drawing) {
  const width = drawing.clientWidth || 300;
  const none = effect.scaled ? 1 : 0;
  const to = effect.scaled ? Math.log10 : (/** @type {number} */ own) => own;
  const all = [effect.low, effect.high, effect.value, none, ...(effect.margin || []), ...effect.pairs];
  const ends = /** @type {number[]} */ (all.filter((own) => typeof own === "number" && Number.isFinite(to(own))));
  const [low, high] = [Math.min(...ends.map(to)), Math.max(...ends.map(to))];
  const room = 0.06 * (high - low) || 0.1;
  const x = (/** @type {number} */ own) => 8 + ((to(own) - low + room) / (high - low + 2 * room)) * (width - 16);
  const parts = [];
  const middle = 20;
  if (effect.margin) parts.push(shape("rect", { class: "margin", x: x(effect.margin[0]), width: Math.max(1, x(effect.margin[1]) - x(effect.margin[0])), y: 2, height: 36 }));
  parts.push(shape("line", { class: "axis", x1: 4, x2: width - 4, y1: 39, y2: 39 }));
  parts.push(shape("line", { class: "none", x1: x(none), x2: x(none), y1: 2, y2: 39 }));
  effect.pairs.forEach((own, place) => {
    if (typeof own !== "number" || !Number.isFinite(to(own))) return;
    const seed = effect.seeds[place];
    const y = middle + (((place * 7) % 13) - 6) * 2; // spread up and down, so that equal effects are seen
    const dot = shape("circle", { class: "pair", cx: x(own), cy: y, r: 3.4 });
    if (seed !== undefined) {
      dot.setAttribute("data-seed", String(seed));
      dot.addEventListener("pointerenter", (/** @type {PointerEvent} */ event) => {
        set({ hover: seed });
        tip([`seed ${seed}: ${effectText(effect, own)}`], event);
      });
      dot.addEventListener("pointerleave", () => {
        set({ hover: null });
        tip([]);
      });
      dot.addEventListener("click", () => set({ seed: String(seed) }));
    }
    parts.push(dot);
  });
  if (typeof effect.low === "number" && typeof effect.high === "number") parts.push(shape("line", { class: "interval", x1: x(effect.low), x2: x(effect.high), y1: middle, y2: middle }));
  if (typeof effect.value === "number" && Number.isFinite(to(effect.value))) parts.push(shape("line", { class: "estimate", x1: x(effect.value), x2: x(effect.value), y1: middle - 8, y2: middle + 8 }));
  let used = -Infinity;
  for (const own of ticks(effect, low - room, high + room)) {
    const text = effectText(effect, own);
    if (x(own) - 3.4 * text.length < used + 6 || x(own) + 3.4 * text.length > width || x(own) < 3.4 * text.length) continue;
    used = x(own) + 3.4 * text.length;
    parts.push(shape("text", { class: "tick", x: x(own), y: 52, "text-anchor": "middle" }, text));
  }
  const better = effect.better === "lower" ? { x: 4, "text-anchor": "start" } : { x: width - 4, "text-anchor": "end" };
  parts.push(shape("text", { class: "better", ...better, y: 11 }, effect.better === "lower" ? "← better" : "better →"));
  drawing.setAttribute("viewBox", `0 0 ${width} ${ROW}`);
  drawing.setAttribute("height", String(ROW));
  drawing.replaceChildren(...parts);
}

/** Choose ticks: no effect, and round values on both sides. @param {Effect} effect @param {number} low @param {number} high */
function ticks(effect, low, high) {
  if (effect.scaled) {
    const leads = high - low > 2 ? [1] : high - low > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
    const found = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power++) for (const lead of leads) found.push(lead * 10 ** power);
    const inside = found.filter((own) => Math.log10(own) > low && Math.log10(own) < high);
    return inside.length > 1 ? inside : [10 ** low, 1, 10 ** high].map((own) => Number(own.toPrecision(2)));
  }
  const raw = (high - low) / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * (raw / unit < 1.5 ? 1 : raw / unit < 3.5 ? 2 : raw / unit < 7.5 ? 5 : 10);
  return Array.from({ length: 12 }, (_, i) => (Math.ceil(low / step) + i) * step).filter((own) => own <= high);
}
