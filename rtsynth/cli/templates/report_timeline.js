// The timeline: fundamental frequency, loudness and noise share over time, and where the events are.

const LANES = [
  { name: "Hz", of: "hertz", scale: Math.log, marks: [60, 100, 200, 400, 800, 1600, 3200, 6400], share: 0.4 },
  { name: "dB", of: "level", scale: (value) => value, marks: [-120, -100, -80, -60, -40, -20, 0], share: 0.35 },
  { name: "noise", of: "noise", scale: (value) => value, marks: [0, 0.5, 1], share: 0.25, fixed: [0, 1] },
];
const TICKS = 18; // pixels above the lanes, for the events

let timelineHead = () => {};
heads.push((at) => timelineHead(at));

function rangeOf(lane) {
  if (lane.fixed) return lane.fixed;
  const values = data.tracks.flatMap((track) => track[lane.of]).concat(lane.of === "hertz" ? events.hertz : []);
  const known = values.filter((value) => value !== null).map(lane.scale);
  if (!known.length) return null;
  const low = lane.of === "level" ? Math.max(Math.min(...known), Math.max(...known) - 80) : Math.min(...known);
  const span = Math.max(...known) - low || 1;
  return [low - 0.06 * span, low + 1.06 * span];
}

// One polyline for every stretch without a gap.
function drawCourse(svg, track, lane, x, y) {
  let points = [];
  const flush = () => {
    if (points.length > 1) draw(svg, "polyline", { class: "course", points: points.join(" ") });
    points = [];
  };
  track[lane.of].forEach((value, i) => {
    if (value === null) flush();
    else points.push(`${x(i * track.step).toFixed(1)},${y(lane.scale(value)).toFixed(1)}`);
  });
  flush();
}

function drawLane(svg, lane, top, high) {
  const range = rangeOf(lane), { x, wide } = across(svg);
  if (!range) return;
  const y = (value) => top + high * (1 - (Math.min(range[1], Math.max(range[0], value)) - range[0]) / (range[1] - range[0]));
  for (const mark of lane.marks.filter((m) => lane.scale(m) >= range[0] && lane.scale(m) <= range[1])) {
    const at = y(lane.scale(mark));
    draw(svg, "line", { class: "axis", x1: MARGIN.left, x2: MARGIN.left + wide, y1: at, y2: at });
    draw(svg, "text", { x: MARGIN.left - 5, y: at + 4, "text-anchor": "end", "aria-hidden": true }, mark);
  }
  draw(svg, "text", { x: MARGIN.left + 4, y: top + 12, "aria-hidden": true }, lane.name);
  for (const track of data.tracks) drawCourse(svg, track, lane, x, y);
  if (lane.of !== "hertz") return;
  events.hertz.forEach((value, i) => {
    if (events.kind[i] === "strike") draw(svg, "circle", { class: "marker", cx: x(events.time[i]), cy: y(Math.log(value)), r: 3 });
  });
}

function drawTimeline() {
  const svg = byId("timeline"), high = svg.clientHeight, { x } = across(svg);
  svg.replaceChildren();
  drawTimes(svg, high);
  for (const at of events.time) {
    draw(svg, "line", { class: "stem", x1: x(at), x2: x(at), y1: MARGIN.top, y2: MARGIN.top + TICKS - 6 });
  }
  const lanes = LANES.filter(rangeOf).filter((lane) => data.tracks.length || lane.of === "hertz");
  const shares = lanes.reduce((sum, lane) => sum + lane.share, 0);
  const room = high - MARGIN.top - MARGIN.bottom - TICKS;
  let top = MARGIN.top + TICKS;
  for (const lane of lanes) {
    const part = room * lane.share / shares;
    drawLane(svg, lane, top, part - 8);
    top += part;
  }
  timelineHead = drawHead(svg, high);
}

const playFrom = (seconds) => play("decoded", seconds, data.seconds - seconds, { follows: true });

// What the timeline shows, in words.
function inWords() {
  const pitches = events.hertz.filter((value) => value !== null);
  const span = pitches.length ? `, ${Math.round(Math.min(...pitches))} to ${Math.round(Math.max(...pitches))} Hz` : "";
  return `Timeline of ${number} events in ${data.seconds.toFixed(1)} s${span}`;
}

function showTimeline() {
  const svg = byId("timeline");
  svg.setAttribute("aria-label", inWords());
  svg.addEventListener("click", (click) => {
    playFrom(across(svg).seconds(click.clientX - svg.getBoundingClientRect().left));
  });
  byId("from-chosen").addEventListener("click", () => playFrom(number ? Math.min(events.time[chosen], data.seconds) : 0));
  byId("stop").addEventListener("click", () => { asked++; silence(); });
  drawTimeline();
}
