// The one connection to the show: what changed comes in, what was moved goes out.

const GAP_MS = 33; // moves of one fader within this go out as one, the newest
const TICK_MS = 500, SILENT_TICKS = 8; // the show says something many times a second: silent for 4 s, it is gone
const ASK_MS = 2000;
const LOST = "Connecting …", STRANGER = "This link belongs to another show: scan the code again.";
const AGAIN = "when the show answers again";
const values = new Map();
const hearers = new Map();
const waiting = new Map();
const unheard = new Set(); // where to something went since the show was last heard
let socket = null;
let flushing = 0;
let gathered = null;
let pause = 400;
let reason = LOST; // stays until another is known
let asking = false;

export const events = new EventTarget();

function say(kind, detail) {
  events.dispatchEvent(new CustomEvent(kind, { detail }));
}

export function value(address) {
  return values.get(address);
}

// Calls `hear` with an address's values now and whenever they change.
export function follow(address, hear) {
  if (!hearers.has(address)) hearers.set(address, new Set());
  hearers.get(address).add(hear);
  if (values.has(address)) hear(values.get(address));
  gathered?.push(() => hearers.get(address).delete(hear));
}

// Calls `build`; what is returned ends all that it follows.
export function gather(build) {
  const ends = gathered = [];
  build();
  gathered = null;
  return () => ends.forEach(end => end());
}

// A value to be set: only the newest of each address goes out.
export function set(address, ...given) {
  waiting.set(address, [address, ...given]);
  if (!flushing) flushing = setTimeout(flush, GAP_MS);
}

// Something that counts: it goes out at once, after what waits.
export function press(address, ...given) {
  flush();
  deliver([[address, ...given]]);
}

function flush() {
  clearTimeout(flushing);
  flushing = 0;
  if (waiting.size) deliver([...waiting.values()]);
  waiting.clear();
}

const isOpen = () => socket?.readyState === WebSocket.OPEN;

function deliver(commands) {
  const addresses = new Set(commands.map(([address]) => address));
  if (!isOpen()) { addresses.forEach(address => say("refused", [address, "not sent", AGAIN])); return; }
  socket.send(JSON.stringify({ send: commands }));
  addresses.forEach(address => unheard.add(address));
}

function take({ data }) {
  const news = JSON.parse(data);
  if (news.scene) say("scene", news.scene);
  if (news.nodes) say("nodes", news.nodes);
  for (const part of ["midi", "mapping"]) if (news[part] !== undefined) say(part, news[part]);
  for (const refused of news.refused ?? []) say("refused", refused);
  for (const [address, given] of Object.entries(news.values ?? {})) {
    values.set(address, given);
    for (const hear of hearers.get(address) ?? []) hear(given);
  }
}

// Opens a socket; one that closes, or on which nothing comes, is given up once, and another is opened.
export function connect() {
  const own = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/remote/socket`);
  let silent = 0; // ticks, not time: a page that was busy or asleep has not listened
  const watch = setInterval(() => { if (++silent >= SILENT_TICKS) end(); }, TICK_MS);
  const end = () => {
    clearInterval(watch);
    own.onopen = own.onmessage = own.onclose = null;
    own.close();
    lost();
  };
  own.onopen = () => { pause = 400; reason = LOST; say("open"); };
  own.onmessage = message => { silent = 0; unheard.clear(); take(message); };
  own.onclose = end;
}

function lost() {
  socket = null;
  say("lost", reason);
  unheard.forEach(address => say("refused", [address, "may not have arrived", AGAIN]));
  unheard.clear();
  ask();
  setTimeout(connect, pause);
  pause = Math.min(3000, pause * 1.5);
}

// Whether the link is a stranger's: a socket does not tell why it is refused.
async function ask() {
  if (asking) return;
  asking = true;
  const answer = await fetch("/tpos/motion", { signal: AbortSignal.timeout(ASK_MS) }).catch(() => null);
  asking = false;
  if (!answer || isOpen()) return;
  reason = answer.status === 401 ? STRANGER : LOST;
  say("lost", reason);
}
