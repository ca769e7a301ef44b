// The page, put together; everything on it comes from the show.

import { connect, events, follow, gather, press } from "/page/link.js";
import { mark, teaching } from "/page/learn.js";
import { wall } from "/page/mapping.js";
import { faders, health, leaves, scene } from "/page/panels.js";
import { stage } from "/page/stage.js";

if (location.search) history.replaceState(null, "", "/"); // the token is in a cookie by now

let described = { role: "operator", presets: [], cues: [], set: [], loras: [], thumbnails: {} };
let nodes = [];

const built = { scene: () => {}, faders: () => {} };
const wanted = new Set();

// Builds parts anew, once the operator has let go of what is in hand.
function build(...parts) {
  parts.forEach(part => wanted.add(part));
  if (!wanted.size || !nodes.length) return;
  if (document.activeElement?.tagName === "INPUT" || document.querySelector(".held")) { setTimeout(build, 300); return; }
  const makers = { scene: () => scene(nodes, described), faders: () => faders(nodes, described.loras) };
  for (const part of wanted) {
    built[part]();
    built[part] = gather(makers[part]);
  }
  wanted.clear();
  mark();
}

function tab(name) {
  document.body.dataset.tab = name;
  for (const one of document.querySelectorAll("nav button")) {
    one.setAttribute("aria-current", String(one.dataset.tab === name));
  }
  scrollTo({ top: 0 });
}

events.addEventListener("scene", ({ detail }) => {
  described = detail;
  const viewer = detail.role === "viewer";
  document.body.classList.toggle("viewer", viewer);
  document.getElementById("role").hidden = !viewer;
  build("scene");
});
events.addEventListener("nodes", async () => {
  nodes = leaves(await (await fetch("/tpos")).json());
  build("scene", "faders");
});
events.addEventListener("open", () => { document.getElementById("lost").hidden = true; });
events.addEventListener("lost", ({ detail }) => {
  const lost = document.getElementById("lost");
  lost.hidden = false;
  if (lost.textContent !== detail) lost.textContent = detail; // read out once
});

for (const one of document.querySelectorAll("[data-send]")) one.onclick = () => press(one.dataset.send);
for (const one of document.querySelectorAll("[data-switch]")) {
  const also = one.dataset.also === undefined ? [] : [Number(one.dataset.also)];
  let on = false;
  follow(one.dataset.switch, ([now]) => { on = now; one.setAttribute("aria-pressed", String(on)); });
  const frees = one.dataset.frees?.split(" ") ?? []; // what must be off for it to be seen
  one.onclick = () => {
    if (!on) frees.forEach(other => press(other, false));
    press(one.dataset.switch, !on, ...also);
  };
}
for (const one of document.querySelectorAll("nav button")) one.onclick = () => tab(one.dataset.tab);

tab("scene");
stage();
health();
wall();
teaching();
connect();
