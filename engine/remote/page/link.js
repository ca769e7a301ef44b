// The one connection to the show: what changed comes in, what was moved goes out.

const GAP_MS = 33; // moves of one fader within this go out as one, the newest
const values = new Map();
const hearers = new Map();
const waiting = new Map();
let socket = null;
let flushing = 0;
let gathered = null;
let pause = 400;

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

function deliver(commands) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ send: commands }));
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

export function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/remote/socket`);
  socket.onopen = () => { pause = 400; say("open"); };
  socket.onmessage = take;
  socket.onclose = async () => {
    const answer = await fetch("/tpos/motion").catch(() => null);
    say("lost", answer?.status === 401 ? "This link belongs to another show: scan the code again." : "Connecting …");
    setTimeout(connect, pause);
    pause = Math.min(3000, pause * 1.5);
  };
}
