// The data of the page: the document, and arrays in blocks that are unpacked when the first of them is asked for.

/**
 * How an array is found and read: its block and place there, its shape, and what its levels mean. As `pack.py` writes it.
 * @typedef {{block: string, at: number, shape: number[], time: "first" | "last", low: number, unit: number, log: boolean}} Reference
 * @typedef {{start: number, stride: number, count: number} | {list: number[]}} Steps
 * @typedef {{name: string, start: number, end: number}} Phase
 * @typedef {{seeds: number[], diverged: Record<string, string>, median: number, best: number, worst: number, last: number,
 *   phases: Phase[], actions: {step: number, name: string}[]}} Arm
 * @typedef {{steps: Steps, seeds: number[], values: Reference}} SeedCurves
 * @typedef {{steps: Steps, line?: Reference, band?: Reference, seeds?: number[], values?: Reference, rest?: SeedCurves}} ArmCurves
 * @typedef {{id: string, title: string, unit: string, group: string, log: boolean, constant: number | null,
 *   arms: (ArmCurves | null)[]}} ChartData
 * @typedef {{seed: number, steps: Steps, values: Reference, points?: number[]}} SeedLatents
 * @typedef {{seeds: SeedLatents[], dimensions: string[], colors: string[], classes: number[] | null, labels: string[],
 *   edges: number[][], circles: number[]}} ArmSpace
 * @typedef {{first: number, other: number, label: string, unit: string, scaled: boolean, better: string, value: number, low: number,
 *   high: number, margin: number[] | null, pairs: (number | string | null)[], seeds: number[], verdict: string, sentence: string}} Effect
 * @typedef {{names: string[], arms: Arm[], frames: Steps, colors: {light: string[], dark: string[]}, charts: ChartData[],
 *   space: {title: string, arms: ArmSpace[]} | string, effects: Effect[]}} PageData
 */

/** @type {PageData} */
const page = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("document")).textContent || "");
const lastStep = Math.max(...page.arms.map((arm) => arm.last));

/** @type {Map<string, Promise<Uint16Array>>} */
const blocks = new Map();
/** @type {Map<Reference, Float32Array | null>} */
const arrays = new Map();
/** @type {WeakMap<Steps, Int32Array>} */
const stepLists = new WeakMap();

/**
 * Unpack a block: text to bytes, decompressed, and the planes of low and high bytes joined.
 * @param {string} name
 */
function unpack(name) {
  let found = blocks.get(name);
  if (!found) {
    found = (async () => {
      const element = /** @type {HTMLElement} */ (document.getElementById(`block-${name}`));
      const packed = Uint8Array.from(atob(element.textContent || ""), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
      const planes = new Uint8Array(await new Response(stream).arrayBuffer());
      const count = planes.length / 2;
      const numbers = new Uint16Array(count);
      for (let i = 0; i < count; i++) numbers[i] = planes[i] | (planes[count + i] << 8);
      element.remove(); // a large text that nobody needs any more
      return numbers;
    })();
    blocks.set(name, found);
  }
  return found;
}

/**
 * Add up the changes of levels along time, and turn levels into values; NaN where one is missing.
 * @param {Uint16Array} numbers
 * @param {Reference} reference
 */
function decode(numbers, reference) {
  const { shape, low, unit, log } = reference;
  const size = shape.reduce((product, own) => product * own, 1);
  const row = reference.time === "first" ? size / shape[0] : 1;
  const length = reference.time === "first" ? size : shape[shape.length - 1];
  const levels = new Int32Array(size);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const change = numbers[reference.at + i];
    const before = i % length < row ? 0 : levels[i - row];
    const level = before + ((change >> 1) ^ -(change & 1));
    levels[i] = level;
    const value = low + (level - 1) * unit;
    values[i] = level === 0 ? NaN : log ? 10 ** value : value;
  }
  return values;
}

/** Give an array once it is unpacked. @param {Reference} reference @returns {Promise<Float32Array>} */
async function load(reference) {
  const numbers = await unpack(reference.block);
  let found = arrays.get(reference);
  if (!found) {
    found = decode(numbers, reference);
    arrays.set(reference, found);
  }
  return found;
}

/**
 * Give an array if it is unpacked; else unpack it, and say so to whoever watches `loaded`.
 * @param {Reference} reference
 */
function peek(reference) {
  const found = arrays.get(reference);
  if (found === undefined) {
    arrays.set(reference, null);
    load(reference).then(() => set({ loaded: state.loaded + 1 }));
  }
  return found || null;
}

/** Give steps as an array. @param {Steps} steps */
function stepsOf(steps) {
  let found = stepLists.get(steps);
  if (!found) {
    found = "list" in steps ? Int32Array.from(steps.list) : Int32Array.from({ length: steps.count }, (_, i) => steps.start + i * steps.stride);
    stepLists.set(steps, found);
  }
  return found;
}

/** Find the place of the last of ascending steps that is not after a step; -1 where all are. @param {Int32Array} steps @param {number} step */
function placeOf(steps, step) {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Give the curve of one seed of a run in a chart, by its place among the run's seeds: null where it has none or it is being unpacked.
 * @param {ArmCurves | null} arm
 * @param {number} seed
 * @returns {{steps: Int32Array, values: Float32Array} | null}
 */
function seedCurve(arm, seed) {
  for (const own of arm && arm.values ? [/** @type {SeedCurves} */ (arm), arm.rest] : []) {
    const place = own ? own.seeds.indexOf(seed) : -1;
    if (!own || place < 0) continue;
    const all = peek(own.values);
    const count = own.values.shape[1];
    return all && { steps: stepsOf(own.steps), values: all.subarray(place * count, (place + 1) * count) };
  }
  return null;
}

/**
 * Give a percentile over the seeds of a run in a chart: 0 is 10%, 1 the median, 2 90%. Of a schedule it is the schedule itself.
 * @param {ArmCurves | null} arm
 * @param {number} which
 * @returns {{steps: Int32Array, values: Float32Array} | null}
 */
function bandCurve(arm, which) {
  if (!arm) return null;
  if (arm.line || !arm.band) {
    const all = which === 1 ? peek(/** @type {Reference} */ (arm.line || arm.values)) : null;
    return all && { steps: stepsOf(arm.steps), values: all };
  }
  const all = peek(arm.band);
  const count = arm.band.shape[1];
  return all && { steps: stepsOf(arm.steps), values: all.subarray(which * count, (which + 1) * count) };
}
