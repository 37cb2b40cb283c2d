// The stream: what comes in, and `latency` seconds later the events and the sound that go out, block by block.

const WAVE = 0.32; // of the picture's height, for each of the two waves
const MIDDLE = { in: 0.18, out: 0.54, events: 0.88 };

// Peaks (low, high) of a sound in each block.
function peaks(buffer, blocks) {
  const samples = buffer.getChannelData(0), length = data.stream.block * buffer.sampleRate;
  return Array.from({ length: blocks }, (_, block) => {
    let [low, high] = [0, 0];
    const end = Math.min(samples.length, Math.round((block + 1) * length));
    for (let i = Math.round(block * length); i < end; i++) {
      if (samples[i] < low) low = samples[i];
      if (samples[i] > high) high = samples[i];
    }
    return [low, high];
  });
}

function clearStream() {
  const canvas = byId("stream");
  [canvas.width, canvas.height] = [Math.max(1, canvas.clientWidth), Math.max(1, canvas.clientHeight)];
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  return pen;
}

// Draws what has come in and gone out before a time and is not drawn yet; returns how many events have come out.
function drawer(incoming, outgoing) {
  const pen = clearStream(), { width, height } = pen.canvas, style = getComputedStyle(document.documentElement);
  const { latency, block, times, hertz } = data.stream, total = data.seconds + latency;
  const ink = Object.fromEntries(["dim", "strong", "mark", "soft"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
  const top = Math.max(1e-6, ...incoming.flat().map(Math.abs), ...outgoing.flat().map(Math.abs));
  const x = (seconds) => width * seconds / total;
  const known = hertz.filter((value) => value !== null).map(Math.log);
  const [low, span] = [Math.min(...known), Math.max(...known) - Math.min(...known) || 1];
  const lift = (value) => (value === null ? 0.5 : (Math.log(value) - low) / span);
  const wave = (blocks, late, middle, fill) => {
    let drawn = 0;
    return (until) => {
      pen.fillStyle = fill;
      for (; drawn < blocks.length && drawn * block + late < until; drawn++) {
        const [down, up] = blocks[drawn].map((value) => value / top * height * WAVE / 2);
        pen.fillRect(x(drawn * block + late), height * middle - up, Math.max(1, x(block) - 1), Math.max(1, up - down));
      }
    };
  };
  const [into, out] = [wave(incoming, 0, MIDDLE.in, ink.dim), wave(outgoing, latency, MIDDLE.out, ink.strong)];
  let arrived = 0;
  pen.fillStyle = ink.soft;
  pen.font = "12px system-ui, sans-serif";
  for (const [name, middle] of Object.entries(MIDDLE)) pen.fillText(name, 4, height * (middle - WAVE / 2) + 12);
  return (until) => {
    into(until);
    out(until);
    pen.fillStyle = ink.mark;
    for (; arrived < times.length && times[arrived] + latency < until; arrived++) {
      pen.beginPath();
      pen.arc(x(times[arrived] + latency), height * (0.96 - 0.2 * lift(hertz[arrived])), 3, 0, 2 * Math.PI);
      pen.fill();
    }
    return arrived;
  };
}

function showStream() {
  const button = byId("stream-play");
  let running = null; // { sources, timer }

  const end = () => {
    if (!running) return;
    clearInterval(running.timer);
    for (const source of running.sources) source.stop();
    running = streamed = null;
    button.textContent = "Start the stream";
    button.setAttribute("aria-pressed", "false");
  };

  const begin = async () => {
    const mine = ++asked;
    const [heard, sent] = await Promise.all([bufferOf("original"), bufferOf(data.stream.sound)]);
    if (mine !== asked) return;
    silence();
    const now = listening(), start = now.currentTime + 0.05, blocks = Math.ceil(data.seconds / data.stream.block);
    const both = byId("stream-hear").value === "both";
    const show = drawer(peaks(heard, blocks), peaks(sent, blocks));
    const sources = [];
    const send = (buffer, delay, pan) => {
      const source = new AudioBufferSourceNode(now, { buffer });
      source.connect(new StereoPannerNode(now, { pan })).connect(now.destination);
      source.start(start + delay);
      sources.push(source);
    };
    send(sent, data.stream.latency, both ? 1 : 0);
    if (both) send(heard, 0, -1);
    button.textContent = "Stop the stream";
    button.setAttribute("aria-pressed", "true");
    const timer = setInterval(() => {
      const at = now.currentTime - start;
      const arrived = show(at);
      byId("stream-said").textContent = `${Math.max(0, at).toFixed(0)} s: ${arrived} events have come out`;
      if (at > data.seconds + data.stream.latency) end();
    }, 1000 * data.stream.block);
    running = { sources, timer };
    streamed = { start: start + data.stream.latency };
    watch();
  };

  document.addEventListener("silenced", end);
  button.addEventListener("click", () => (running ? (asked++, end()) : begin()));
  clearStream();
}

showMap();
showTimeline();
showStream();
showVectors();
showMovie();
let resized = null;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => { drawMap(); drawTimeline(); }, 100);
});
