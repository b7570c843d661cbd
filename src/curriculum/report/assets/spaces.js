// The latent spaces of all runs side by side, at the step that is shown: two or three dimensions, turned and marked together.

const RADIUS = 4.5;
const TURN = 0.008; // radians for a pixel of a drag

/** The latent space of one run. */
class SpaceView {
  /** @param {number} arm @param {ArmSpace} data @param {Limits} limits */
  constructor(arm, data, limits) {
    this.arm = arm;
    this.data = data;
    this.limits = limits;
    this.size = 0;
    this.screen = new Float32Array(0); // x, y and depth of each point of the last picture
    this.points = /** @type {number[] | null} */ (null);
    this.box = /** @type {number[] | null} */ (null); // of a rubber band
    this.canvas = make("canvas", { className: "space", tabindex: "0", role: "img" });
    this.head = make("div", { className: "muted" });
    const name = `${page.names[arm]}, latent space`;
    const copy = copyButton(name, () => framed(this.canvas, `${page.names[arm]}, ${seedName(arm)}, step ${stepText(this.shownStep())}`, []));
    const top = make("div", { className: "chart-head" }, make("h4", {}, swatch(arm), ` ${page.names[arm]}`), copy);
    this.figure = make("figure", { className: "space-figure", role: "group", "aria-label": name }, top, this.head, this.canvas);
    watch(["theme"], () => top.firstElementChild.replaceChildren(swatch(arm), ` ${page.names[arm]}`));
    this.listen();
  }

  /** The latents of the seed that is shown; null where there are none, or they are being unpacked. */
  get stored() {
    const place = shownSeed(this.arm);
    return this.data.seeds.find((own) => own.seed === place) || null;
  }

  /** The step whose latents are shown: the last that is stored up to the step of the page. */
  shownStep() {
    const steps = this.stored && stepsOf(this.stored.steps);
    return steps ? steps[Math.max(0, placeOf(steps, state.step))] : state.step;
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    if (!width) return;
    if (this.size !== width * ratio) {
      this.size = width * ratio;
      this.canvas.width = this.canvas.height = this.size;
    }
    const ink = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    ink.globalAlpha = 1;
    ink.fillStyle = colorOf("plot");
    ink.fillRect(0, 0, this.size, this.size);
    const own = this.stored;
    const values = own && peek(own.values);
    this.tell();
    if (!own || !values) return;
    const [, count, dimensions] = own.values.shape;
    const frame = Math.max(0, placeOf(stepsOf(own.steps), state.step));
    this.points = own.points || null;
    this.project(values.subarray(frame * count * dimensions, (frame + 1) * count * dimensions), count, dimensions);
    this.paintAxes(ink, ratio);
    this.paintEdges(ink, ratio);
    this.paintPoints(ink, ratio, count);
    if (this.box) {
      const [left, top, right, bottom] = this.box.map((side) => side * ratio);
      ink.strokeStyle = colorOf("ink");
      ink.setLineDash([4 * ratio, 3 * ratio]);
      ink.lineWidth = ratio;
      ink.strokeRect(left, top, right - left, bottom - top);
      ink.setLineDash([]);
    }
  }

  /** Turn, scale and move a place in the latent space to the picture. @param {number} x @param {number} y @param {number} z */
  toScreen(x, y, z) {
    let depth = 0;
    if (state.dims[2] >= 0) {
      const [yaw, pitch] = state.turn;
      const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
      [x, z] = [cy * x + sy * z, cy * z - sy * x];
      [y, depth] = [cp * y - sp * z, sp * y + cp * z];
    }
    const scale = (0.46 * this.size * state.scale) / this.limits.half;
    const half = this.size / 2;
    return [half + scale * x + state.shift[0] * this.size, half - scale * y + state.shift[1] * this.size, depth];
  }

  /** @param {Float32Array} latents @param {number} count @param {number} dimensions */
  project(latents, count, dimensions) {
    if (this.screen.length !== 3 * count) this.screen = new Float32Array(3 * count);
    const [a, b, c] = state.dims;
    const middle = this.limits.middle;
    for (let i = 0; i < count; i++) {
      const at = i * dimensions;
      const place = this.toScreen(latents[at + a] - middle[0], latents[at + b] - middle[1], c >= 0 ? latents[at + c] - middle[2] : 0);
      this.screen.set(place, 3 * i);
    }
  }

  /** @param {CanvasRenderingContext2D} ink @param {number} ratio */
  paintAxes(ink, ratio) {
    const { middle, half } = this.limits;
    const names = state.dims.map((own) => this.data.dimensions[own]);
    ink.lineWidth = ratio;
    ink.strokeStyle = colorOf("line");
    ink.fillStyle = colorOf("muted");
    ink.font = `${12 * ratio}px system-ui, sans-serif`;
    for (const radius of this.data.circles) {
      ink.beginPath();
      for (let i = 0; i <= 72; i++) {
        const [x, y] = this.toScreen(radius * Math.cos((i * Math.PI) / 36) - middle[0], radius * Math.sin((i * Math.PI) / 36) - middle[1], -middle[2]);
        ink.lineTo(x, y);
      }
      ink.stroke();
    }
    if (state.dims[2] < 0) {
      const pad = 6 * ratio;
      ink.textAlign = "right";
      ink.fillText(`${names[0]} →`, this.size - pad, this.size - pad);
      ink.textAlign = "left";
      ink.fillText(`↑ ${names[1]}`, pad, pad + 10 * ratio);
      return;
    }
    for (let axis = 0; axis < 3; axis++) {
      const [from, to] = [-0.9 * half, 0.9 * half].map((own) => this.toScreen(axis === 0 ? own : 0, axis === 1 ? own : 0, axis === 2 ? own : 0));
      ink.beginPath();
      ink.moveTo(from[0], from[1]);
      ink.lineTo(to[0], to[1]);
      ink.stroke();
      ink.textAlign = "center";
      ink.fillText(names[axis], to[0], to[1] - 4 * ratio);
    }
    ink.textAlign = "left";
  }

  /** @param {CanvasRenderingContext2D} ink @param {number} ratio */
  paintEdges(ink, ratio) {
    if (!this.data.edges.length || this.points) return;
    ink.strokeStyle = colorOf("faint");
    ink.lineWidth = 0.8 * ratio;
    ink.beginPath();
    for (const [from, to] of this.data.edges) {
      ink.moveTo(this.screen[3 * from], this.screen[3 * from + 1]);
      ink.lineTo(this.screen[3 * to], this.screen[3 * to + 1]);
    }
    ink.stroke();
  }

  /** @param {CanvasRenderingContext2D} ink @param {number} ratio @param {number} count */
  paintPoints(ink, ratio, count) {
    const order = Array.from({ length: count }, (_, i) => i);
    if (state.dims[2] >= 0) order.sort((i, j) => this.screen[3 * j + 2] - this.screen[3 * i + 2]);
    const marked = new Set(state.marked);
    const radius = RADIUS * ratio * Math.min(1.6, Math.sqrt(state.scale));
    const outline = colorOf("outline");
    for (const i of order) {
      const point = this.points ? this.points[i] : i;
      const [x, y] = [this.screen[3 * i], this.screen[3 * i + 1]];
      if (!(x > -radius && x < this.size + radius && y > -radius && y < this.size + radius)) continue;
      ink.globalAlpha = marked.size && !marked.has(point) ? 0.15 : 1;
      const size = marked.has(point) ? radius + ratio : radius;
      ink.drawImage(sprite(this.data.colors[point], outline, size), Math.round(x - size - 1), Math.round(y - size - 1));
      if (point === state.point) {
        ink.globalAlpha = 1;
        ink.strokeStyle = colorOf("ink");
        ink.lineWidth = 2 * ratio;
        ink.beginPath();
        ink.arc(x, y, size + 3 * ratio, 0, 2 * Math.PI);
        ink.stroke();
      }
    }
    ink.globalAlpha = 1;
  }

  /** Say in words what the picture shows. */
  tell() {
    const own = this.stored;
    const step = this.shownStep();
    const coarse = own && own.points ? `, ${own.points.length} of ${this.data.colors.length} points` : "";
    const main = page.charts.find((chart) => chart.group === "error" || chart.group === "score");
    const value = main ? numberText(valueAt(seedCurve(main.arms[this.arm], shownSeed(this.arm)), step)) : "";
    const text = own ? `${seedName(this.arm)}, step ${stepText(step)}${coarse}${main ? `, ${main.title} ${value}` : ""}` : seedName(this.arm);
    if (this.head.textContent === text) return;
    this.head.textContent = text;
    const point = state.point === null ? "" : ` ${this.label(state.point)}.`;
    const dims = state.dims.filter((dim) => dim >= 0).map((dim) => this.data.dimensions[dim]);
    this.canvas.setAttribute("aria-label", `${page.names[this.arm]}: ${text}. Dimensions ${dims.join(", ")}.${point}`);
  }

  /** @param {number} point */
  label(point) {
    return `${this.data.labels[point]}, color ${this.data.colors[point]}`;
  }

  /** Find the point below the pointer; null where there is none. @param {number} x @param {number} y */
  pointAt(x, y) {
    const ratio = devicePixelRatio || 1;
    let best = (12 * ratio) ** 2;
    let found = null;
    for (let i = 0; 3 * i < this.screen.length; i++) {
      const distance = (this.screen[3 * i] - x * ratio) ** 2 + (this.screen[3 * i + 1] - y * ratio) ** 2;
      if (distance < best) {
        best = distance;
        found = this.points ? this.points[i] : i;
      }
    }
    return found;
  }

  listen() {
    const canvas = this.canvas;
    let held = "";
    let last = [0, 0];
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      held = event.shiftKey || byId("mark-mode").checked ? "mark" : "turn";
      last = [event.offsetX, event.offsetY];
      if (held === "mark") this.box = [...last, ...last];
    });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const [dx, dy] = [event.offsetX - last[0], event.offsetY - last[1]];
      if (held === "mark" && this.box) {
        this.box = [this.box[0], this.box[1], event.offsetX, event.offsetY];
        this.draw();
      } else if (held === "turn") {
        last = [event.offsetX, event.offsetY];
        if (state.dims[2] >= 0) turnBy(dx * TURN, dy * TURN);
        else set({ shift: [state.shift[0] + dx / canvas.clientWidth, state.shift[1] + dy / canvas.clientWidth] });
      } else {
        const point = this.pointAt(event.offsetX, event.offsetY);
        set({ point });
        tip(point === null ? [] : [this.label(point)], event);
      }
    });
    canvas.addEventListener("pointerup", () => {
      if (held === "mark" && this.box) this.mark(this.box);
      held = "";
      this.box = null;
      this.draw();
    });
    canvas.addEventListener("pointerleave", () => {
      set({ point: null });
      tip([]);
    });
    canvas.addEventListener("dblclick", resetView);
    canvas.addEventListener(
      "wheel",
      (/** @type {WheelEvent} */ event) => {
        if (!event.ctrlKey && document.activeElement !== canvas) return; // a page that is scrolled must not get stuck in a picture
        event.preventDefault();
        scaleBy(1.0015 ** -event.deltaY);
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
  }

  /** Mark the points within a rubber band, in all runs. @param {number[]} box */
  mark([x0, y0, x1, y1]) {
    const ratio = devicePixelRatio || 1;
    const [left, right] = [Math.min(x0, x1) * ratio, Math.max(x0, x1) * ratio];
    const [top, bottom] = [Math.min(y0, y1) * ratio, Math.max(y0, y1) * ratio];
    const marked = [];
    for (let i = 0; 3 * i < this.screen.length; i++) {
      const [x, y] = [this.screen[3 * i], this.screen[3 * i + 1]];
      if (x >= left && x <= right && y >= top && y <= bottom) marked.push(this.points ? this.points[i] : i);
    }
    set({ marked });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const count = this.data.colors.length;
    const step = /** @type {Record<string, () => void>} */ ({
      a: () => turnOrMove(-1, 0),
      d: () => turnOrMove(1, 0),
      w: () => turnOrMove(0, -1),
      s: () => turnOrMove(0, 1),
      "+": () => scaleBy(1.25),
      "=": () => scaleBy(1.25),
      "-": () => scaleBy(0.8),
      0: resetView,
      n: () => this.visit(state.point === null ? 0 : (state.point + 1) % count),
      p: () => this.visit(state.point === null ? count - 1 : (state.point + count - 1) % count),
      m: () => state.point !== null && set({ marked: toggled(state.marked, state.point) }),
      Escape: () => set({ marked: [], point: null }),
    })[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!step) return;
    event.preventDefault();
    step();
  }

  /** Go to a point by its number, and say what it is. @param {number} point */
  visit(point) {
    set({ point });
    speak(`${this.label(point)}${state.marked.includes(point) ? ", marked" : ""}`);
  }
}

/** @param {number[]} list @param {number} own */
function toggled(list, own) {
  return list.includes(own) ? list.filter((other) => other !== own) : [...list, own];
}

/** @param {number} yaw @param {number} pitch */
function turnBy(yaw, pitch) {
  set({ turn: [state.turn[0] + yaw, Math.max(-1.57, Math.min(1.57, state.turn[1] + pitch))] });
}

/** @param {number} x @param {number} y */
function turnOrMove(x, y) {
  if (state.dims[2] >= 0) turnBy(0.12 * x, 0.12 * y);
  else set({ shift: [state.shift[0] + 0.05 * x, state.shift[1] + 0.05 * y] });
}

/** @param {number} factor */
function scaleBy(factor) {
  set({ scale: Math.max(0.2, Math.min(50, state.scale * factor)) });
}

function resetView() {
  set({ scale: 1, shift: [0, 0], turn: initial.turn });
}

/** @type {Map<string, HTMLCanvasElement>} */
const sprites = new Map();

/** Draw a point once, to be copied from then on. @param {string} color @param {string} outline @param {number} radius */
function sprite(color, outline, radius) {
  const key = `${color} ${outline} ${radius}`;
  let found = sprites.get(key);
  if (!found) {
    if (sprites.size > 8000) sprites.clear();
    const size = Math.ceil(2 * radius + 2);
    found = /** @type {HTMLCanvasElement} */ (make("canvas", { width: size, height: size }));
    const ink = /** @type {CanvasRenderingContext2D} */ (found.getContext("2d"));
    ink.beginPath();
    ink.arc(size / 2, size / 2, radius, 0, 2 * Math.PI);
    ink.fillStyle = color;
    ink.fill();
    ink.lineWidth = 0.8;
    ink.strokeStyle = outline;
    ink.stroke();
    sprites.set(key, found);
  }
  return found;
}

/**
 * What the pictures of all runs show: from the middle of each dimension, so far to each side.
 * @typedef {{middle: number[], half: number}} Limits
 */

/**
 * Find the limits that hold the points of the median seeds at the end, and in three of four frames: transients must not shrink the rest.
 * @param {ArmSpace[]} arms
 * @param {Limits} limits
 */
function fitLimits(arms, limits) {
  const dims = state.dims.filter((own) => own >= 0);
  const [lows, highs] = [dims.map(() => Infinity), dims.map(() => -Infinity)];
  arms.forEach((arm, place) => {
    const own = arm.seeds.find((seed) => seed.seed === page.arms[place].median);
    const values = own && arrays.get(own.values);
    if (!own || !values) return;
    const [frames, count, dimensions] = own.values.shape;
    dims.forEach((dim, axis) => {
      const [least, most] = [new Float32Array(frames), new Float32Array(frames)];
      for (let frame = 0; frame < frames; frame++) {
        let [low, high] = [Infinity, -Infinity];
        for (let i = dim + frame * count * dimensions; i < (frame + 1) * count * dimensions; i += dimensions) {
          if (values[i] < low) low = values[i];
          if (values[i] > high) high = values[i];
        }
        [least[frame], most[frame]] = [low, high];
      }
      const [below, above] = [least, most].map((ends) => ends.filter(Number.isFinite));
      if (!below.length) return;
      const last = below.length - 1;
      lows[axis] = Math.min(lows[axis], below[last], below.toSorted()[Math.floor(0.25 * last)]);
      highs[axis] = Math.max(highs[axis], above[last], above.toSorted()[Math.ceil(0.75 * last)]);
    });
    for (const radius of arm.circles) for (const axis of [0, 1]) [lows[axis], highs[axis]] = [Math.min(lows[axis], -radius), Math.max(highs[axis], radius)];
  });
  const whole = lows.every(Number.isFinite) && highs.every(Number.isFinite);
  limits.middle = [0, 1, 2].map((axis) => (whole && axis < dims.length ? (lows[axis] + highs[axis]) / 2 : 0));
  limits.half = whole ? Math.max(...lows.map((low, axis) => (highs[axis] - low) / 2), 1e-9) : 1;
}

/** Put the latent spaces on the page. */
async function showSpaces() {
  if (typeof page.space === "string") return;
  const arms = page.space.arms;
  const limits = { middle: [0, 0, 0], half: 1 };
  const views = arms.map((data, arm) => new SpaceView(arm, data, limits));
  byId("spaces").append(...views.map((view) => view.figure));
  byId("spaces").style.setProperty("--arms", String(arms.length));
  byId("space-tools").append(...spaceTools(arms));
  const draw = () => views.forEach((view) => view.draw());
  watch(["dims", "loaded"], () => fitLimits(arms, limits));
  watch(["step", "seed", "dims", "turn", "scale", "shift", "marked", "point", "theme", "loaded"], draw);
  watch(["marked"], () => {
    const text = state.marked.length ? `${state.marked.length} points are marked, the same ones in every run. ` : "";
    const clear = make("button", { type: "button", className: "small" }, "Unmark all");
    clear.addEventListener("click", () => set({ marked: [] }));
    byId("marked").replaceChildren(text, ...(text ? [clear] : []));
  });
  new ResizeObserver(draw).observe(byId("spaces"));
}

/** @param {ArmSpace[]} arms */
function spaceTools(arms) {
  const count = Math.min(...arms.map((arm) => arm.dimensions.length));
  const title = (/** @type {number} */ own) => (arms.length === 1 ? arms[0].dimensions[own] : arms[0].dimensions[own].replace(/ \(.*/, ""));
  const choices = ["Across", "Up", "Depth"].map((name, axis) => {
    const options = Array.from({ length: count }, (_, own) => make("option", { value: String(own) }, title(own)));
    if (axis === 2) options.unshift(make("option", { value: "-1" }, "none"));
    const select = make("select", { "aria-label": `${name}: latent dimension`, disabled: axis === 2 && count < 3 }, ...options);
    select.addEventListener("change", () => {
      const dims = [...state.dims];
      const other = dims.indexOf(Number(select.value));
      if (other >= 0 && Number(select.value) >= 0) dims[other] = dims[axis] < 0 ? dims.findIndex((_, i) => !dims.includes(i)) : dims[axis];
      dims[axis] = Number(select.value);
      set({ dims, shift: [0, 0] });
    });
    watch(["dims"], () => (select.value = String(state.dims[axis])));
    select.value = String(state.dims[axis]);
    return make("label", {}, `${name} `, select);
  });
  const mark = make("label", { className: "check" }, make("input", { type: "checkbox", id: "mark-mode" }), " Mark by dragging");
  const reset = make("button", { type: "button" }, "Reset view");
  reset.addEventListener("click", resetView);
  const classes = arms[0].classes ? [legendOf(arms[0])] : [];
  return [...choices, mark, reset, ...classes];
}

/** Name the classes of the points by their colors. @param {ArmSpace} arm */
function legendOf(arm) {
  const classes = /** @type {number[]} */ (arm.classes);
  const distinct = [...new Set(classes)].sort((one, other) => one - other);
  const names = distinct.map((own) => {
    const dot = make("span", { className: "dot", "aria-hidden": "true" });
    dot.style.background = arm.colors[classes.indexOf(own)];
    return make("span", {}, dot, ` ${own}`);
  });
  return make("span", { className: "classes" }, "classes: ", ...names);
}
