// The map of events: dots over time and likeness, one of them chosen, all of them played by click and by key.

const { events, places } = data;
const number = events.time.length;
const NEAR = 24; // pixels from a dot that still mean it
const QUIET_TO = 0.15; // RMS that a quiet event is brought up to
const MOST = 100; // times louder, at most
const AROUND = 1.5; // seconds of the reconstruction from an event on

let chosen = 0;
let dots = [];
const byPlace = [...places.keys()].sort((a, b) => places[a] - places[b] || a - b); // from below to above

const said = (i) => {
  const pitch = events.hertz[i] === null ? "" : `, ${Math.round(events.hertz[i])} Hz`;
  const noise = events.noise[i] === null ? "" : `, ${Math.round(100 * events.noise[i])} % noise`;
  return `event ${i + 1} of ${number}: ${events.time[i].toFixed(3)} s, ${events.kind[i]}, ` +
         `${events.level[i].toFixed(0)} dB${pitch}${noise}`;
};

// Make an event the chosen one; `sound`: play it; `focus`: take the keyboard to it.
function choose(index, { sound = false, focus = false } = {}) {
  if (!number) return;
  for (const [dot, yes] of [[dots[chosen], false], [dots[index], true]]) {
    dot.setAttribute("aria-selected", yes);
    dot.setAttribute("tabindex", yes ? 0 : -1);
  }
  document.querySelector("tr[data-chosen]")?.removeAttribute("data-chosen");
  document.querySelector(`button[data-event="${index}"]`).closest("tr").dataset.chosen = "";
  chosen = index;
  if (focus) dots[index].focus();
  if (sound) sounds(index);
}

function sounds(index) {
  const dot = dots[index];
  dot.classList.remove("sounding");
  void dot.getBoundingClientRect(); // so that the pulse starts again
  dot.classList.add("sounding");
  byId("said").textContent = said(index);
  if (byId("manner").value === "place") {
    play("decoded", events.time[index], AROUND, { follows: true });
    return;
  }
  const rms = 10 ** (events.level[index] / 20);
  const level = byId("even").checked ? Math.min(MOST, Math.max(1, QUIET_TO / rms)) : 1;
  play("sprite", data.sprite.starts[index], data.sprite.lengths[index], { level });
}

// ---- drawing ----

const KINDS = { retarget: "#3b82d6", strike: "#d97706", code: "#16a085" };

function colours(by) {
  if (by === "random") return data.colours;
  if (by === "kind") return events.kind.map((kind) => KINDS[kind]);
  const known = events[by].map((value) => (value === null ? null : by === "hertz" ? Math.log(value) : value));
  const given = known.filter((value) => value !== null);
  const low = Math.min(...given), span = Math.max(...given) - low || 1;
  return known.map((value) => (value === null ? "#888" : `rgb(${viridis((value - low) / span).join(" ")})`));
}

// Seconds between two marks of an axis that is `wide` pixels.
function tickStep(wide) {
  const least = data.seconds / Math.max(2, wide / 90);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

const MARGIN = { left: 48, right: 14, top: 12, bottom: 26 };

const across = (svg) => {
  const wide = svg.clientWidth - MARGIN.left - MARGIN.right;
  return { wide, x: (seconds) => MARGIN.left + wide * seconds / data.seconds,
           seconds: (x) => Math.min(data.seconds, Math.max(0, (x - MARGIN.left) / wide * data.seconds)) };
};

function drawTimes(svg, high) {
  const { wide, x } = across(svg), step = tickStep(wide);
  for (let at = 0; at <= data.seconds + 1e-9; at += step) {
    draw(svg, "line", { class: "axis", x1: x(at), x2: x(at), y1: MARGIN.top, y2: high - MARGIN.bottom });
    draw(svg, "text", { x: x(at), y: high - 8, "text-anchor": "middle", "aria-hidden": true }, `${+at.toFixed(3)} s`);
  }
}

// A line that shows where the sound is.
function drawHead(svg, high) {
  const head = draw(svg, "line", { class: "head", y1: MARGIN.top, y2: high - MARGIN.bottom });
  return (at) => {
    head.style.visibility = at === null ? "hidden" : "visible";
    if (at !== null) for (const end of ["x1", "x2"]) head.setAttribute(end, across(svg).x(at));
  };
}

let mapHead = () => {};
heads.push((at) => mapHead(at));

function drawMap() {
  const svg = byId("map"), high = svg.clientHeight, { x } = across(svg), kept = svg.contains(document.activeElement);
  svg.replaceChildren();
  drawTimes(svg, high);
  draw(svg, "text", { x: 14, y: high / 2, transform: `rotate(-90 14 ${high / 2})`, "text-anchor": "middle",
                      "aria-hidden": true }, "t-SNE");
  mapHead = drawHead(svg, high);
  const fill = colours(byId("colour").value), room = high - MARGIN.top - MARGIN.bottom - 16;
  dots = events.time.map((at, i) => draw(svg, "circle", {
    class: "dot", role: "option", "aria-label": said(i), "aria-selected": i === chosen, tabindex: i === chosen ? 0 : -1,
    cx: x(Math.min(at, data.seconds)), cy: MARGIN.top + 8 + room * (1 - places[i]), r: events.kind[i] === "retarget" ? 5 : 7,
    fill: fill[i], "data-event": i,
  }));
  if (kept) dots[chosen].focus();
}

// ---- mouse and keys ----

// The event whose dot is nearest to a click, or null.
function nearest(click) {
  const box = byId("map").getBoundingClientRect();
  let best = null, least = NEAR ** 2;
  dots.forEach((dot, i) => {
    const dx = dot.cx.baseVal.value - (click.clientX - box.left), dy = dot.cy.baseVal.value - (click.clientY - box.top);
    if (dx * dx + dy * dy <= least) [best, least] = [i, dx * dx + dy * dy];
  });
  return best;
}

const within = (index) => Math.min(number - 1, Math.max(0, index));
const beside = (by) => byPlace[within(byPlace.indexOf(chosen) + by)];

const MOVES = {
  ArrowRight: () => within(chosen + 1), ArrowLeft: () => within(chosen - 1),
  ArrowUp: () => beside(1), ArrowDown: () => beside(-1),
  PageDown: () => within(chosen + 10), PageUp: () => within(chosen - 10),
  Home: () => 0, End: () => number - 1,
};

function onKey(press) {
  if (press.ctrlKey || press.altKey || press.metaKey || !number) return;
  if (press.key === "Enter" || press.key === " ") choose(chosen, { sound: true });
  else if (press.key in MOVES) choose(MOVES[press.key](), { focus: true });
  else return;
  press.preventDefault();
}

function showMap() {
  byId("map").addEventListener("keydown", onKey);
  byId("map").addEventListener("click", (click) => {
    const index = nearest(click);
    if (index !== null) choose(index, { sound: true, focus: true });
  });
  byId("colour").addEventListener("change", drawMap);
  for (const button of document.querySelectorAll("button[data-event]")) {
    button.addEventListener("click", () => choose(Number(button.dataset.event), { sound: true }));
  }
  drawMap();
}
