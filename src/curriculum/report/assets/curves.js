// The curves: a chart for each metric and each column of the schedules. uPlot draws the axes; the curves hide nothing, as each pixel
// column is drawn from its least to its largest value.

const HEIGHT = 190;
const NEAR = 12; // pixels from a click within which it takes hold of a point of a curve

/** A chart on the page. */
class Chart {
  /** @param {ChartData} data */
  constructor(data) {
    this.data = data;
    this.plot = /** @type {any} */ (null);
    this.range = [0, 1];
    this.empty = true;
    const unit = data.unit ? ` (${data.unit})` : "";
    this.title = data.group === "schedule" ? `${data.title} (schedule)` : `${data.title}${unit}`;
    this.place = make("div", { className: "plot", tabindex: "0", role: "img", "aria-label": this.title });
    this.cursor = make("div", { className: "cursor" });
    this.box = make("div", { className: "zoom-box", hidden: true });
    const copy = copyButton(this.title, () => framed(this.plot.ctx.canvas, this.title, shownArms(data).map((arm) => ({ arm, name: page.names[arm] }))));
    const head = make("div", { className: "chart-head" }, make("h4", {}, data.group === "schedule" ? data.title : this.title), copy);
    this.figure = make("figure", { className: "chart", role: "group", "aria-label": this.title }, head, this.place);
    this.place.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => zoomByKey(event));
  }

  get log() {
    return this.data.log && state.log;
  }

  /** Find the smallest range that holds all that is drawn in the steps that are shown. */
  fit() {
    let low = Infinity;
    let high = -Infinity;
    for (const { curve } of this.lines(true)) {
      const [from, to] = span(curve.steps, this.steps());
      for (let i = from; i < to; i++) {
        const value = curve.values[i];
        if (Number.isFinite(value) && (!this.log || value > 0)) {
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
    }
    this.empty = low > high;
    if (this.empty) [low, high] = this.log ? [0.1, 1] : [0, 1];
    if (this.log) {
      const room = Math.max(0.04 * Math.log10(high / low), 0.02);
      this.range = [low / 10 ** room, high * 10 ** room];
    } else {
      const room = 0.06 * (high - low) || 0.1 * Math.abs(high) || 0.5;
      this.range = [low - room, high + room];
    }
  }

  /** The steps that are shown: all, or those that were zoomed to. @returns {[number, number]} */
  steps() {
    return state.zoom || [0, Math.max(1, lastStep)];
  }

  /**
   * List the curves that are drawn, those below first. With `bands`, also the ends of the bands.
   * @param {boolean} [bands]
   * @returns {{curve: {steps: Int32Array, values: Float32Array}, arm: number, kind: string}[]}
   */
  lines(bands) {
    const found = [];
    for (const arm of shownArms(this.data)) {
      const own = this.data.arms[arm];
      const several = page.arms[arm].seeds.length > 1 && this.data.group !== "schedule";
      if (bands && several) for (const which of [0, 2]) found.push({ curve: bandCurve(own, which), arm, kind: "band" });
      if (state.every && several) for (let seed = 0; seed < page.arms[arm].seeds.length; seed++) found.push({ curve: seedCurve(own, seed), arm, kind: "every" });
      if (several) found.push({ curve: seedCurve(own, shownSeed(arm)), arm, kind: "seed" });
      found.push({ curve: bandCurve(own, 1), arm, kind: several ? "median" : "line" });
      const lit = state.hover === null ? -1 : page.arms[arm].seeds.indexOf(state.hover);
      if (lit >= 0 && several) found.push({ curve: seedCurve(own, lit), arm, kind: "lit" });
    }
    return /** @type {any} */ (found.filter(({ curve }) => curve));
  }

  draw() {
    if (!this.plot) return;
    this.fit();
    const [min, max] = this.steps();
    this.plot.batch(() => {
      this.plot.setScale("x", { min, max });
      this.plot.setScale("y", { min: this.range[0], max: this.range[1] });
    });
    this.plot.redraw(false, true);
  }

  /** Make the plot anew, as where the scale or the colors change. */
  remake() {
    if (this.plot) this.plot.destroy();
    this.fit();
    const [min, max] = this.steps();
    const line = { stroke: colorOf("muted"), grid: { stroke: colorOf("line"), width: 1 }, ticks: { stroke: colorOf("line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
    const keep = (/** @type {any} */ _, /** @type {number[]} */ splits) => splits; // uPlot would leave out ticks of a log scale
    const options = /** @type {uPlot.Options} */ ({
      width: this.place.clientWidth || 400,
      height: HEIGHT,
      padding: [8, 24, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: () => this.steps() },
        y: { distr: this.log ? 3 : 1, range: () => /** @type {[number, number]} */ (this.range) },
      },
      axes: [
        { ...line, size: 28, space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((own) => (Number.isInteger(own) ? stepText(own) : "")) },
        { ...line, size: 62, ...(this.log ? { splits: () => this.ticks() } : {}), filter: keep, grid: { ...line.grid, filter: keep }, ticks: { ...line.ticks, filter: keep }, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map(numberText) },
      ],
      series: [{}, {}],
      hooks: { draw: [() => this.paint()] },
    });
    this.plot = new uPlot(options, [[min, max], [null, null]], this.place);
    this.plot.over.append(this.cursor, this.box);
    this.listen(this.plot.over);
    this.describe();
  }

  /** Choose ticks of the values: on a log scale powers of ten, and where there are few of them 2 and 5 times these. */
  ticks() {
    const [low, high] = this.range;
    const decades = Math.log10(high / low);
    const every = Math.ceil(decades / 5);
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      const leads = decades < 0.6 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 2.2 ? [1, 2, 5] : power % every ? [] : [1];
      for (const lead of leads) found.push(Number((lead * 10 ** power).toPrecision(3)));
    }
    const inside = found.filter((own) => own >= low && own <= high);
    return inside.length > 1 ? inside : [low, Math.sqrt(low * high), high].map((own) => Number(own.toPrecision(3)));
  }

  paint() {
    const { ctx, bbox } = this.plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const ratio = devicePixelRatio || 1;
    ctx.lineJoin = "round";
    for (const arm of shownArms(this.data)) this.paintPhases(ctx, arm, ratio);
    for (const arm of shownArms(this.data)) this.paintBand(ctx, arm);
    const looks = /** @type {Record<string, {width: number, alpha: number, dashed?: boolean}>} */ ({
      every: { width: 0.8, alpha: 0.3 },
      seed: { width: 1, alpha: 0.75 },
      median: { width: 2.2, alpha: 1, dashed: true },
      line: { width: 2, alpha: 1, dashed: true },
      lit: { width: 2.4, alpha: 1, dashed: true },
    });
    for (const { curve, arm, kind } of this.lines()) {
      const look = looks[kind];
      ctx.globalAlpha = state.hover !== null && kind !== "lit" && this.data.group !== "schedule" ? 0.35 * look.alpha : look.alpha;
      ctx.strokeStyle = kind === "lit" ? colorOf("ink") : armColor(arm);
      ctx.lineWidth = look.width * ratio;
      ctx.setLineDash(look.dashed ? dashOf(arm).map((own) => own * ratio) : []);
      this.trace(ctx, this.columns(curve));
    }
    if (this.empty) {
      ctx.globalAlpha = 1;
      ctx.fillStyle = colorOf("muted");
      ctx.font = `${13 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      ctx.fillText("no values at these steps", bbox.left + bbox.width / 2, bbox.top + bbox.height / 2);
    }
    ctx.restore();
    this.moveCursor();
  }

  /** @param {CanvasRenderingContext2D} ctx @param {number} arm @param {number} ratio */
  paintPhases(ctx, arm, ratio) {
    const { bbox } = this.plot;
    ctx.strokeStyle = armColor(arm);
    ctx.globalAlpha = 0.45;
    ctx.lineWidth = ratio;
    ctx.setLineDash([ratio, 3 * ratio]);
    for (const phase of page.arms[arm].phases.slice(1)) {
      const x = Math.round(this.plot.valToPos(phase.start, "x", true)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
  }

  /** @param {CanvasRenderingContext2D} ctx @param {number} arm */
  paintBand(ctx, arm) {
    const own = this.data.arms[arm];
    const low = bandCurve(own, 0);
    const high = bandCurve(own, 2);
    if (!low || !high) return;
    ctx.fillStyle = armColor(arm);
    ctx.globalAlpha = 0.16;
    const [below, above] = [this.columns(low), this.columns(high)];
    ctx.beginPath();
    for (let i = 0; i < above.x.length; i++) ctx.lineTo(above.x[i], above.low[i]);
    for (let i = below.x.length - 1; i >= 0; i--) ctx.lineTo(below.x[i], below.high[i]);
    ctx.fill();
  }

  /**
   * Bring a curve to the pixels of the plot: for each column that has a value its first, least, largest and last, in pixels from the top.
   * @param {{steps: Int32Array, values: Float32Array}} curve
   */
  columns({ steps, values }) {
    const { bbox } = this.plot;
    const [min, max] = this.steps();
    const [bottom, top] = this.log ? this.range.map(Math.log10) : this.range;
    const found = { x: /** @type {number[]} */ ([]), first: /** @type {number[]} */ ([]), low: /** @type {number[]} */ ([]), high: /** @type {number[]} */ ([]), last: /** @type {number[]} */ ([]), gap: /** @type {boolean[]} */ ([]) };
    const [from, to] = span(steps, [min, max]);
    let column = NaN;
    let gap = true;
    for (let i = Math.max(0, from - 1); i < Math.min(steps.length, to + 1); i++) {
      const value = values[i];
      if (!(this.log ? value > 0 : Number.isFinite(value))) {
        gap = gap || Number.isNaN(value) || this.log;
        continue;
      }
      const x = bbox.left + ((steps[i] - min) / (max - min)) * bbox.width;
      const y = bbox.top + (1 - ((this.log ? Math.log10(value) : value) - bottom) / (top - bottom)) * bbox.height;
      const own = found.x.length - 1;
      if (Math.round(x) === column && !gap) {
        if (y < found.low[own]) found.low[own] = y;
        if (y > found.high[own]) found.high[own] = y;
        found.last[own] = y;
      } else {
        column = Math.round(x);
        found.x.push(x);
        for (const part of [found.first, found.low, found.high, found.last]) part.push(y);
        found.gap.push(gap);
        gap = false;
      }
    }
    return found;
  }

  /** Draw a line through columns. @param {CanvasRenderingContext2D} ctx @param {ReturnType<Chart["columns"]>} columns */
  trace(ctx, { x, first, low, high, last, gap }) {
    ctx.beginPath();
    for (let i = 0; i < x.length; i++) {
      if (gap[i]) ctx.moveTo(x[i], first[i]);
      else ctx.lineTo(x[i], first[i]);
      if (low[i] !== high[i]) {
        ctx.lineTo(x[i], low[i]);
        ctx.lineTo(x[i], high[i]);
        ctx.lineTo(x[i], last[i]);
      }
      // A point without neighbors has no line, so it is a dot.
      if (gap[i] && (i + 1 === x.length || gap[i + 1])) ctx.arc(x[i], first[i], ctx.lineWidth, 0, 7);
    }
    ctx.stroke();
  }

  moveCursor() {
    if (!this.plot) return;
    const x = this.plot.valToPos(state.step, "x");
    this.cursor.hidden = !(x >= 0 && x <= this.plot.over.clientWidth);
    this.cursor.style.transform = `translateX(${x}px)`;
  }

  /**
   * Find the point of a curve beside the pointer; null where none is near.
   * @param {number} left
   * @param {number} top
   */
  nearest(left, top) {
    const ratio = devicePixelRatio || 1;
    const { bbox } = this.plot;
    const [bottom, ceiling] = this.log ? this.range.map(Math.log10) : this.range;
    const reach = [this.plot.posToVal(left - NEAR / 2, "x"), this.plot.posToVal(left + NEAR / 2, "x")];
    let best = NEAR ** 2;
    let found = null;
    for (const { curve, arm, kind } of this.lines().reverse()) {
      const [from, to] = span(curve.steps, /** @type {[number, number]} */ (reach));
      for (let i = from; i < to; i++) {
        const value = curve.values[i];
        const y = ((1 - ((this.log ? Math.log10(value) : value) - bottom) / (ceiling - bottom)) * bbox.height) / ratio;
        const distance = (this.plot.valToPos(curve.steps[i], "x") - left) ** 2 + (y - top) ** 2;
        if (distance < best) {
          best = distance;
          found = { step: curve.steps[i], value, arm, kind };
        }
      }
    }
    return found;
  }

  /** @param {HTMLElement} over */
  listen(over) {
    let from = 0;
    let held = "";
    over.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      over.setPointerCapture(event.pointerId);
      from = event.offsetX;
      held = event.shiftKey ? "zoom" : "step";
      set({ playing: false });
      const near = held === "step" ? this.nearest(event.offsetX, event.offsetY) : null;
      if (held === "step") goTo(near ? near.step : this.plot.posToVal(event.offsetX, "x"));
    });
    over.addEventListener("pointermove", (event) => {
      const x = Math.max(0, Math.min(over.clientWidth, event.offsetX));
      if (held === "step" && Math.abs(x - from) > 2) goTo(this.plot.posToVal(x, "x"));
      if (held === "zoom") {
        this.box.hidden = false;
        this.box.style.left = `${Math.min(from, x)}px`;
        this.box.style.width = `${Math.abs(x - from)}px`;
      }
      if (!held) this.tell(event);
    });
    over.addEventListener("pointerup", (event) => {
      const ends = [from, event.offsetX].map((x) => Math.max(0, Math.min(lastStep, this.plot.posToVal(x, "x"))));
      if (held === "zoom" && Math.abs(event.offsetX - from) > 4) set({ zoom: [Math.min(...ends), Math.max(...ends)] });
      this.box.hidden = true;
      held = "";
    });
    over.addEventListener("pointerleave", () => tip([]));
    over.addEventListener("dblclick", () => set({ zoom: null }));
  }

  /** Tell what is below the pointer. @param {PointerEvent} event */
  tell(event) {
    const near = this.nearest(event.offsetX, event.offsetY);
    const step = near ? near.step : this.plot.posToVal(event.offsetX, "x");
    const lines = [`step ${stepText(step)}`];
    for (const arm of shownArms(this.data)) lines.push(`${page.names[arm]}: ${valuesText(this.data, arm, step)}`);
    tip(lines, event);
  }

  /** Say in words what the chart shows, for whoever does not see it. */
  describe() {
    const ends = shownArms(this.data).map((arm) => {
      const last = stepsOf(/** @type {ArmCurves} */ (this.data.arms[arm]).steps).at(-1) || 0;
      return `${page.names[arm]} ends at ${valuesText(this.data, arm, last)}${last < lastStep ? ` (step ${stepText(last)})` : ""}`;
    });
    const [min, max] = this.steps();
    this.place.setAttribute("aria-label", `${this.title}, ${this.log ? "log" : "linear"} scale, steps ${stepText(min)} to ${stepText(max)}. ${ends.join("; ")}.`);
  }
}

/** List the runs that have a curve in a chart. @param {ChartData} data */
function shownArms(data) {
  return data.arms.flatMap((own, arm) => (own ? [arm] : []));
}

/** Find the places of the steps within a range: from the first to before the end. @param {Int32Array} steps @param {number[]} range */
function span(steps, [min, max]) {
  return [placeOf(steps, Math.ceil(min) - 1) + 1, placeOf(steps, max) + 1];
}

/** Read the last value of a curve up to a step; NaN after its end. @param {{steps: Int32Array, values: Float32Array} | null} curve @param {number} step */
function valueAt(curve, step) {
  const place = curve ? placeOf(curve.steps, step) : -1;
  if (!curve || place < 0) return NaN;
  const pause = place ? curve.steps[place] - curve.steps[place - 1] : 1; // a value holds until the next one would be recorded
  return place === curve.steps.length - 1 && step > curve.steps[place] + pause ? NaN : curve.values[place];
}

/** Say the values of a run in a chart at a step. @param {ChartData} data @param {number} arm @param {number} step */
function valuesText(data, arm, step) {
  const own = data.arms[arm];
  const middle = numberText(valueAt(bandCurve(own, 1), step));
  const seed = shownSeed(arm);
  const single = seed < 0 ? NaN : valueAt(seedCurve(own, seed), step);
  if (!own || !own.band || (middle === "–" && Number.isNaN(single))) return middle;
  const [low, high] = [0, 2].map((which) => numberText(valueAt(bandCurve(own, which), step)));
  const shown = seed < 0 ? "" : `, seed ${page.arms[arm].seeds[seed]} ${numberText(single)}`;
  return `${middle} [${low}, ${high}]${shown}`;
}

/** Zoom all curves about the step that is shown. @param {number} factor */
function zoomBy(factor) {
  const [min, max] = state.zoom || [0, lastStep];
  const width = Math.max(10, (max - min) * factor);
  if (width >= lastStep) return set({ zoom: null });
  const low = Math.max(0, Math.min(lastStep - width, state.step - width / 2));
  set({ zoom: [low, low + width] });
}

/** @param {KeyboardEvent} event */
function zoomByKey(event) {
  const factor = { "+": 0.5, "=": 0.5, "-": 2, "0": Infinity }[event.key];
  if (!factor || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  zoomBy(factor);
}

const GROUPS = /** @type {Record<string, string>} */ ({
  error: "Errors",
  score: "Scores",
  schedule: "Schedules",
  loss: "Losses as logged",
});

/** Put all charts on the page. */
function showCharts() {
  const charts = page.charts.filter((data) => data.constant === null).map((data) => new Chart(data));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const chart = charts.find((own) => own.place === entry.target);
        if (entry.isIntersecting && chart && !chart.plot) chart.remake();
      }
    },
    { rootMargin: "300px" },
  );
  const sized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.find((own) => own.place === entry.target);
      if (chart && chart.plot && entry.contentRect.width) chart.plot.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT });
      if (chart) chart.moveCursor();
    }
  });
  for (const [group, title] of Object.entries(GROUPS)) {
    const own = charts.filter((chart) => chart.data.group === group);
    if (!own.length) continue;
    const several = page.arms.some((arm) => arm.seeds.length > 1) && group !== "schedule";
    const legend = make("p", { className: "legend" });
    const label = () => {
      const shown = page.names.map((name, arm) => make("span", {}, swatch(arm), ` ${name}${several ? `, ${seedName(arm)} thin` : ""}`));
      legend.replaceChildren(...shown, ...(several ? [make("span", { className: "muted" }, "thick: the median over seeds; band: 10th to 90th percentile")] : []));
    };
    label();
    watch(["theme", "seed"], label);
    const grid = make("div", { className: "charts" }, ...own.map((chart) => chart.figure));
    const still = page.charts.filter((data) => data.group === group && data.constant !== null).map((data) => `${data.title} ${numberText(Number(data.constant))}`);
    const rest = still.length ? [make("p", { className: "muted" }, `Constant, and the same in every run: ${still.join(", ")}.`)] : [];
    byId("charts").append(make("section", {}, make("h3", {}, title), legend, grid, ...rest));
    for (const chart of own) {
      seen.observe(chart.place);
      sized.observe(chart.place);
    }
  }
  const made = () => charts.filter((chart) => chart.plot);
  watch(["step"], () => made().forEach((chart) => chart.moveCursor()));
  watch(["zoom", "seed", "hover", "every", "loaded"], () => made().forEach((chart) => chart.draw()));
  watch(["zoom", "seed", "log", "loaded"], () => made().forEach((chart) => chart.describe()));
  watch(["log", "theme"], () => made().forEach((chart) => chart.remake()));
  addEventListener("beforeprint", () => charts.filter((chart) => !chart.plot).forEach((chart) => chart.remake()));
}
