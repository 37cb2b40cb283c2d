// Sound: the players' own, and pieces of decoded sound through one AudioContext. One thing sounds at a time.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const players = [...document.querySelectorAll("audio")];
const heads = []; // called with the seconds that sound now, or null

const FADE = 0.004; // seconds at both ends of a piece

let context = null;
let piece = null; // what sounds: { source, gain, at, offset, follows, ended }
let streamed = null; // { start }: when, on the context's clock, the stream's sample 0 goes out
const decoded = new Map();

function bytesOf(text) {
  const raw = atob(text.slice(text.indexOf(",") + 1)); // data:…;base64,… or base64 alone
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

function listening() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume();
  return context;
}

// The decoded sound of a player, or of the sprite.
function bufferOf(name) {
  const address = name === "sprite" ? data.sprite.sound : byId(name).src;
  if (!decoded.has(name)) decoded.set(name, listening().decodeAudioData(bytesOf(address).buffer));
  return decoded.get(name);
}

let asked = 0; // only the last of several quick requests is played

// Play seconds offset…offset + length of a sound. `follows`: seconds on the page's time axis go with it.
async function play(name, offset, length, { level = 1, follows = false } = {}) {
  const mine = ++asked;
  const buffer = await bufferOf(name);
  if (mine !== asked) return;
  silence();
  const now = listening();
  const source = new AudioBufferSourceNode(now, { buffer });
  const gain = new GainNode(now, { gain: 0 });
  const [at, end] = [now.currentTime, now.currentTime + Math.min(length, buffer.duration - offset)];
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(level, at + FADE);
  gain.gain.setValueAtTime(level, Math.max(at + FADE, end - FADE));
  gain.gain.linearRampToValueAtTime(0, Math.max(at + 2 * FADE, end));
  source.connect(gain).connect(now.destination);
  const started = { source, gain, at, offset, follows };
  source.onended = () => { if (piece === started) piece = null; };
  source.start(at, offset, length);
  piece = started;
  watch();
}

// Stop whatever sounds, but for one player.
function silence(but = null) {
  for (const player of players) if (player !== but) player.pause();
  if (piece) {
    const now = context.currentTime;
    piece.gain.gain.cancelScheduledValues(now);
    piece.gain.gain.setTargetAtTime(0, now, FADE / 3);
    piece.source.stop(now + 3 * FADE);
    piece = null;
  }
  document.dispatchEvent(new Event("silenced"));
}

for (const player of players) {
  player.addEventListener("play", () => { asked++; silence(player); watch(); });
}

let watching = false;
function watch() {
  if (!watching) requestAnimationFrame(follow);
  watching = true;
}

// The seconds of the original that sound now; of the shuffled sounds there are none.
function soundingAt() {
  if (streamed) return Math.max(0, context.currentTime - streamed.start);
  if (piece) return piece.follows ? piece.offset + context.currentTime - piece.at : null;
  const player = players.find((p) => !p.paused && ["original", "decoded", "live"].includes(p.id));
  return player ? player.currentTime : null;
}

function follow() {
  const at = soundingAt();
  for (const head of heads) head(at);
  watching = piece !== null || streamed !== null || players.some((p) => !p.paused);
  if (watching) requestAnimationFrame(follow);
  else for (const head of heads) head(null);
}
