// Small things that every view uses: elements, numbers, colors, the tip beside the pointer, and pictures to copy.

/**
 * Make an element. Text is text: nothing of a user's is ever read as HTML.
 * @param {string} tag
 * @param {Record<string, any>} [settings] properties, or attributes where the name has a hyphen or is `role`, `for` or `class`
 * @param {...(Node | string)} children
 * @returns {any}
 */
function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(settings)) {
    if (/-|^role$|^for$|^class$|^tabindex$|^scope$/.test(key)) element.setAttribute(key, value);
    else /** @type {any} */ (element)[key] = value;
  }
  element.append(...children);
  return element;
}

/** Find an element by its id. @param {string} id @returns {any} */
function byId(id) {
  return document.getElementById(id);
}

/** Write a step, as in `10,000`. @param {number} step */
function stepText(step) {
  return Math.round(step).toLocaleString("en-US");
}

/** Write a value with three digits. @param {number} value */
function numberText(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e5 || size < 1e-4) return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(3)));
}

/** Name the theme that is shown. */
function themeName() {
  return state.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

/** Give a color of the page by its name in the style. @param {string} name */
function colorOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Give the color of a run. @param {number} arm */
function armColor(arm) {
  const own = page.colors[/** @type {"light" | "dark"} */ (themeName())];
  return own[arm % own.length];
}

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 4], [4, 2, 2, 2, 2, 2]];

/** Give the dashes of a run's lines, which tell runs apart without their colors. @param {number} arm */
function dashOf(arm) {
  return DASHES[arm % DASHES.length];
}

/** Draw a short line in the color and the dashes of a run. @param {number} arm */
function swatch(arm) {
  const name = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(name, "svg");
  const line = document.createElementNS(name, "line");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 34 10");
  svg.setAttribute("aria-hidden", "true");
  for (const [key, value] of Object.entries({ x1: 0, x2: 34, y1: 5, y2: 5, stroke: armColor(arm), "stroke-width": 3 })) line.setAttribute(key, String(value));
  line.setAttribute("stroke-dasharray", dashOf(arm).join(" "));
  svg.append(line);
  return svg;
}

/**
 * Show a tip beside the pointer; without lines, hide it.
 * @param {string[]} lines
 * @param {{clientX: number, clientY: number}} [at]
 */
function tip(lines, at) {
  const element = byId("tip");
  element.hidden = !lines.length;
  if (!at || !lines.length) return;
  element.replaceChildren(...lines.map((line) => make("div", {}, line)));
  const left = Math.min(at.clientX + 14, innerWidth - element.offsetWidth - 8);
  const top = at.clientY + 16 + element.offsetHeight > innerHeight ? at.clientY - element.offsetHeight - 10 : at.clientY + 16;
  element.style.left = `${Math.max(4, left)}px`;
  element.style.top = `${Math.max(4, top)}px`;
}

/** @type {ReturnType<typeof setTimeout>} */
let speaking;

/** Say something to a screen reader, once there is a pause. @param {string} text */
function speak(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => (byId("spoken").textContent = text), 400);
}

/**
 * Make a button that copies a picture, or saves it where the browser does not let a page copy.
 * @param {string} title
 * @param {() => HTMLCanvasElement | Promise<HTMLCanvasElement>} draw
 */
function copyButton(title, draw) {
  const button = make("button", { type: "button", className: "small", "aria-label": `Copy ${title} as PNG` }, "PNG");
  button.addEventListener("click", async () => {
    const canvas = await draw();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    let done = "copied";
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    } catch {
      const link = make("a", { href: URL.createObjectURL(blob), download: `${title.replace(/[^\w-]+/g, "-")}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      done = "saved";
    }
    button.textContent = done;
    speak(`${title} ${done} as PNG`);
    setTimeout(() => (button.textContent = "PNG"), 1500);
  });
  return button;
}

/**
 * Put a picture on paper: its title above it, in the colors of the page.
 * @param {HTMLCanvasElement} picture
 * @param {string} title
 * @param {{arm: number, name: string}[]} legend
 */
function framed(picture, title, legend) {
  const ratio = devicePixelRatio || 1;
  const head = 30 * ratio;
  const canvas = make("canvas", { width: picture.width, height: picture.height + head });
  const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  ink.fillStyle = colorOf("back");
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.drawImage(picture, 0, head);
  ink.font = `bold ${14 * ratio}px system-ui, sans-serif`;
  ink.textBaseline = "middle";
  ink.fillStyle = colorOf("ink");
  ink.fillText(title, 8 * ratio, head / 2);
  let x = canvas.width - 8 * ratio;
  ink.font = `${12 * ratio}px system-ui, sans-serif`;
  ink.lineWidth = 2.5 * ratio;
  for (const own of [...legend].reverse()) {
    x -= ink.measureText(own.name).width;
    ink.fillText(own.name, x, head / 2);
    ink.strokeStyle = armColor(own.arm);
    ink.setLineDash(dashOf(own.arm).map((length) => length * ratio));
    ink.beginPath();
    ink.moveTo(x - 34 * ratio, head / 2);
    ink.lineTo(x - 6 * ratio, head / 2);
    ink.stroke();
    x -= 46 * ratio;
  }
  return canvas;
}
