// What the audience sees and hears: the picture, the level, the beat, what is heard.

import { events, follow } from "/page/link.js";
import { make } from "/page/controls.js";
import { shown } from "/page/mapping.js";

const PATIENCE_MS = 6000; // the show answers within 2 s, with or without a picture

const by = id => document.getElementById(id);
const sleep = ms => new Promise(done => setTimeout(done, ms));

// One picture after the other: each is asked for when the one before is seen, so that none waits in a queue.
async function watch() {
  const canvas = by("preview"), pen = canvas.getContext("2d");
  let known = 0, seen = "";
  for (;;) {
    if (document.hidden) { await sleep(300); continue; }
    if (seen !== shown()) [seen, known] = [shown(), 0];
    try {
      const answer = await fetch(`/remote/${seen}.jpg?after=${known}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (seen !== shown()) continue;
      if (answer.status === 200) {
        known = answer.headers.get("X-Number");
        const picture = await createImageBitmap(await answer.blob());
        if (canvas.width !== picture.width || canvas.height !== picture.height) {
          [canvas.width, canvas.height] = [picture.width, picture.height];
        }
        pen.drawImage(picture, 0, 0);
        picture.close();
      } else if (answer.status !== 204) await sleep(1000);
    } catch { await sleep(1000); }
  }
}

function meter() {
  let peak = 0, level = 0;
  follow("/tpos/status/level", ([now]) => { level = now; peak = Math.max(peak, now); });
  const fall = () => {
    peak = Math.max(level, peak - 0.006);
    by("level").style.transform = `scaleX(${level})`;
    by("peak").style.left = `${peak * 100}%`;
    requestAnimationFrame(fall);
  };
  fall();
}

function clock() {
  const dots = [0, 1, 2, 3].map(() => make("i"));
  by("beats").append(...dots);
  let steady = false;
  follow("/tpos/status/bpm", ([bpm]) => {
    steady = bpm > 0;
    by("bpm").textContent = steady ? bpm.toFixed(1) : "--";
    by("beats").classList.toggle("lost", !steady);
  });
  follow("/tpos/status/clock", ([who]) => { by("leads").textContent = who; });
  follow("/tpos/status/bar", ([, beat]) => dots.forEach((dot, n) => dot.classList.toggle("on", n === (beat - 1) % 4)));
  follow("/tpos/status/beat", () => {
    if (!steady) return;
    by("beats").classList.remove("hit");
    requestAnimationFrame(() => by("beats").classList.add("hit"));
  });
  follow("/tpos/status/waits", ([line]) => { by("waits").hidden = !line; by("waits").textContent = `waits: ${line}`; });
  follow("/tpos/status/section", ([kind]) => {
    by("section").textContent = kind === "none" ? "" : kind;
    by("section").dataset.kind = kind;
  });
}

function heard() {
  follow("/tpos/status/heard", given => {
    const pairs = [];
    for (let n = 0; n + 1 < given.length; n += 2) if (given[n]) pairs.push([given[n], given[n + 1]]);
    const chips = pairs.slice(0, 5).map(([phrase, weight]) => {
      const chip = make("li", { textContent: phrase }, make("small", { textContent: `${Math.round(weight * 100)} %` }));
      chip.style.setProperty("--share", weight);
      return chip;
    });
    by("heard").replaceChildren(...(chips.length ? chips : [make("li", { textContent: "nothing it knows", className: "none" })]));
  });
}

function words() {
  let told = "", until = 0;
  const show = () => { by("message").textContent = performance.now() < until ? told : ""; };
  const tell = line => { told = line; until = performance.now() + 5000; show(); };
  setInterval(show, 500);
  follow("/tpos/status/message", ([line]) => { if (line) tell(line); });
  const unseen = new Set(); // lines told while a lost link hid them
  events.addEventListener("refused", ({ detail: [address, what, accepted] }) => {
    const line = `${address}: ${what}; accepted: ${accepted}`;
    if (!by("lost").hidden) unseen.add(line);
    tell(line);
  });
  events.addEventListener("open", () => { if (unseen.size) tell([...unseen].join(" · ")); unseen.clear(); });
  follow("/tpos/status/state", ([state]) => { by("state").textContent = state; by("state").dataset.state = state; });
  follow("/tpos/preset", ([preset]) => { by("preset").textContent = (preset || "TPoS Live").replaceAll("_", " "); });
}

function recording() {
  let was = null, since = null; // null is unknown: a take that began unseen has no time
  const show = () => {
    const s = Math.floor((performance.now() - since) / 1000);
    by("recording").textContent = since === null ? "REC" : `REC ${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  };
  follow("/tpos/status/recording", ([now]) => {
    const on = Boolean(now);
    if (on !== was) since = on && was === false ? performance.now() : null;
    was = on;
    by("recording").hidden = !on;
    show();
  });
  events.addEventListener("lost", () => { was ||= null; }); // one may begin meanwhile
  setInterval(show, 500);
}

export function stage() {
  watch();
  meter();
  clock();
  heard();
  words();
  recording();
}
