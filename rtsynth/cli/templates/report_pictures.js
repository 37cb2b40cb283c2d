// Pictures of cells: spectrograms, what the decomposition leaves, and the event vectors.

const VIRIDIS = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140], [34, 168, 132],
  [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];

// A share 0…1 as [red, green, blue].
function viridis(share) {
  const place = Math.min(0.99999, Math.max(0, share)) * (VIRIDIS.length - 1);
  const low = VIRIDIS[Math.floor(place)], high = VIRIDIS[Math.floor(place) + 1], part = place % 1;
  return low.map((value, channel) => Math.round(value + part * (high[channel] - value)));
}

const SHADES = Array.from({ length: 256 }, (_, value) => viridis(value / 255));

async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Cells (rows × columns) into a canvas; `upwards`: row 0 at the bottom.
function paint(canvas, cells, rows, columns, upwards) {
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    const from = (upwards ? rows - 1 - row : row) * columns;
    for (let column = 0; column < columns; column++) {
      image.data.set(SHADES[cells[from + column]], 4 * (row * columns + column));
      image.data[4 * (row * columns + column) + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const SVG = "http://www.w3.org/2000/svg";

function draw(parent, name, attributes, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return parent.appendChild(element);
}

// ---- the decomposition ----

const STEPS_A_SECOND = 8;

async function showMovie() {
  const [count, rows, columns] = data.movie.shape, cells = rows * columns;
  const frames = await inflated(data.movie.frames); // differences: added up here
  for (let i = cells; i < frames.length; i++) frames[i] += frames[i - cells];
  const frame = (step) => frames.subarray(step * cells, (step + 1) * cells);
  paint(byId("original-levels"), frame(0), rows, columns, true);
  paint(byId("decoded-levels"), await inflated(data.movie.decoded), rows, columns, true);

  const slider = byId("movie-step"), button = byId("movie-play");
  const marker = drawCurve();
  const show = () => {
    const step = Number(slider.value), left = data.movie.residual[step];
    paint(byId("movie"), frame(step), rows, columns, true);
    marker(step);
    const said = `${data.movie.counts[step]} of ${data.events.time.length} events: ${left.toFixed(1)} dB left`;
    byId("movie-said").textContent = said;
    slider.setAttribute("aria-valuetext", `step ${step} of ${count - 1}, ${said}`);
  };
  let timer = null;
  const pause = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    button.setAttribute("aria-pressed", "false");
  };
  button.addEventListener("click", () => {
    if (timer) return pause();
    if (Number(slider.value) === count - 1) slider.value = 0;
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === count - 1) pause();
    }, 1000 / STEPS_A_SECOND);
  });
  slider.addEventListener("input", () => { pause(); show(); });
  show();
}

// The energy that is left, by step; returns what moves its mark.
function drawCurve() {
  const svg = byId("curve"), left = data.movie.residual, [wide, high] = [1000, 90];
  const low = Math.min(-1, ...left), top = Math.max(0, ...left);
  const x = (step) => 8 + (wide - 16) * (left.length > 1 ? step / (left.length - 1) : 0);
  const y = (value) => 8 + (high - 16) * (top - value) / (top - low);
  svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  svg.setAttribute("preserveAspectRatio", "none");
  draw(svg, "polyline", { class: "course", points: left.map((value, step) => `${x(step)},${y(value)}`).join(" "),
                          "vector-effect": "non-scaling-stroke" });
  const line = draw(svg, "line", { class: "head", y1: 0, y2: high, "vector-effect": "non-scaling-stroke" });
  line.style.visibility = "visible";
  return (step) => { line.setAttribute("x1", x(step)); line.setAttribute("x2", x(step)); };
}

// ---- the vectors ----

async function showVectors() {
  const packed = await inflated(data.vectors), count = data.events.time.length, canvas = byId("vector-cells");
  if (!count) return;
  const numbers = packed.length / count, cells = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) cells[(i % numbers) * count + Math.floor(i / numbers)] = packed[i];
  paint(canvas, cells, numbers, count, false);
  canvas.addEventListener("click", (click) => {
    const box = canvas.getBoundingClientRect();
    choose(Math.min(count - 1, Math.floor((click.clientX - box.left) / box.width * count)), { sound: true });
  });
}
