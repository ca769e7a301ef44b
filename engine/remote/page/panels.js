// The rest of the page, from the show's own list of addresses: scene, presets, cues, faders by group, health.

import { follow, press, set, value } from "/page/link.js";
import { control, make, slider, typed } from "/page/controls.js";

const TABS = {
  picture: "move", "reactive layer": "move", sound: "sound", prompt: "sound", effects: "effects", lora: "effects",
};
const ON_STAGE = ["/tpos/freeze", "/tpos/blackout", "/tpos/safe", "/tpos/record"]; // they have buttons of their own
const FADES = ["cut", "2 s", "8 s", "1 bar", "4 bars", "16 bars"];
let fade = "2 s";

export function leaves(node, found = []) {
  if (node.TYPE !== undefined) found.push(node);
  for (const inside of Object.values(node.CONTENTS ?? {})) leaves(inside, found);
  return found;
}

const closed = new Set();

export function panel(title, tab, ...children) {
  const made = make("details", { open: !closed.has(title), className: "panel", data: { of: tab } },
    make("summary", { textContent: title }), make("div", { className: "body" }, ...children));
  made.ontoggle = () => { if (made.open) closed.delete(title); else closed.add(title); };
  return made;
}

const tabOf = group => TABS[group] ?? (group.startsWith("isf") ? "effects" : "more");

export function faders(nodes, loras) {
  const groups = new Map();
  for (const node of nodes) {
    const group = node.TAGS?.[0] ?? "";
    if (["show", "status", ""].includes(group) || ON_STAGE.includes(node.FULL_PATH)) continue;
    if (group === "prompt" && /^\/tpos\/prompt\/\d/.test(node.FULL_PATH)) continue;
    if (!groups.has(group)) groups.set(group, []);
    const n = /^\/tpos\/lora\/(\d+)/.exec(node.FULL_PATH)?.[1];
    groups.get(group).push(control(node, n ? loras[n - 1] : undefined));
  }
  const panels = [...groups].map(([group, made]) => panel(group, tabOf(group), ...made));
  document.getElementById("faders").replaceChildren(make("div", { className: "inner" }, ...panels));
}

export function scene(nodes, described) {
  document.getElementById("scene").replaceChildren(...cues(described), ...setList(described), presets(described), prompts(nodes));
}

function prompts(nodes) {
  const rows = [];
  for (const node of nodes) {
    const [, n] = /^\/tpos\/prompt\/(\d+)\/text$/.exec(node.FULL_PATH) ?? [];
    if (!n) continue;
    const input = make("input", {
      type: "text", enterKeyHint: "done", autocomplete: "off", placeholder: "one more prompt …",
    });
    input.setAttribute("aria-label", `prompt ${n}`);
    typed(input, node.FULL_PATH, () => press(node.FULL_PATH, input.value));
    const weight = nodes.find(one => one.FULL_PATH === `/tpos/prompt/${n}/weight`);
    const mix = slider("weight", weight.RANGE[0], 0, 1, moved => set(weight.FULL_PATH, moved));
    mix.element.dataset.address = weight.FULL_PATH;
    follow(weight.FULL_PATH, ([now]) => mix.show(now));
    const row = make("div", { className: "prompt" }, input, mix.element);
    follow(node.FULL_PATH, ([text]) => row.classList.toggle("empty", !text));
    rows.push(row);
  }
  return panel("prompts", "scene", ...rows, next());
}

function next() {
  const input = make("input", { type: "text", placeholder: "next scene: a beach:0.7 | fire:0.3", enterKeyHint: "send", autocomplete: "off" });
  input.setAttribute("aria-label", "next scene");
  const go = () => { if (input.value.trim()) { press("/tpos/prompt", input.value, fade === "cut" ? 0 : fade); input.value = ""; input.blur(); } };
  input.onkeydown = event => { if (event.key === "Enter") go(); };
  const fades = FADES.map(one => make("button", { textContent: one, onclick: () => { fade = one; mark(); } }));
  const mark = () => fades.forEach((one, n) => one.setAttribute("aria-pressed", String(FADES[n] === fade)));
  mark();
  return make("div", { className: "next" },
    make("div", { className: "ask" }, input, make("button", { className: "go", textContent: "Fade", onclick: go })),
    make("div", { className: "words" }, ...fades));
}

// What goes on and back through a list, with a large way on.
function steps(address, on, words) {
  return make("div", { className: "steps" },
    make("button", { textContent: "Back", onclick: () => press(`${address}/back`), data: { address: `${address}/back` } }),
    make("button", { className: "go", textContent: words, onclick: () => press(`${address}/${on}`), data: { address: `${address}/${on}` } }));
}

function listed(names, address, follows) {
  const rows = names.map((name, n) => make("button", {
    onclick: () => press(address, n + 1), data: { address, value: n + 1 },
  }, make("small", { textContent: n + 1 }), make("span", { textContent: name.replaceAll("_", " ") })));
  follow(follows, ([now]) => rows.forEach((one, n) => {
    one.setAttribute("aria-pressed", String(n + 1 === now));
    one.classList.toggle("next-up", n === now);
  }));
  return make("div", { className: "stack" }, ...rows);
}

function cues({ cues: names }) {
  if (!names.length) return [];
  const until = make("output", { className: "until" });
  follow("/tpos/status/follow", ([s]) => { until.textContent = s > 0 ? `next in ${s < 10 ? s.toFixed(1) : s.toFixed(0)} s` : ""; });
  const made = panel("cues", "scene", listed(names, "/tpos/cue", "/tpos/cue"), steps("/tpos/cue", "go", "Go"));
  made.firstChild.append(until);
  return [made];
}

function setList({ set: names }) {
  return names.length ? [panel("set list", "scene", listed(names, "/tpos/set", "/tpos/set"), steps("/tpos/set", "next", "Next preset"))] : [];
}

function hueOf(name) {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
}

function presets({ presets: known, thumbnails }) {
  const tiles = known.map(({ name, description }) => {
    const tile = make("button", {
      className: "tile", title: description, onclick: () => press("/tpos/preset", name), data: { address: "/tpos/preset", value: name },
    });
    if (thumbnails[name]) tile.append(make("img", { src: `/remote/thumbnail/${thumbnails[name]}`, alt: "" }));
    else tile.style.setProperty("--hue", hueOf(name));
    tile.append(make("span", { textContent: name.replaceAll("_", " ") }));
    follow("/tpos/preset", ([now]) => tile.setAttribute("aria-pressed", String(now === name)));
    return tile;
  });
  const made = panel("presets", "scene", make("div", { className: "tiles" }, ...tiles));
  made.classList.add("presets");
  return made;
}

export function health() {
  const told = [
    ["frames a second", "/tpos/status/fps", ([v]) => v.toFixed(1)],
    ["sound to picture", "/tpos/status/delay_ms", ([v]) => `${v.toFixed(0)} ms`],
    ["dropped", "/tpos/status/dropped", ([v]) => v],
    ["restarts", "/tpos/status/restarts", ([v]) => v],
    ["model on", "/tpos/status/model", ([v]) => v || "getting ready"],
  ];
  const rows = told.map(([name, address, shown]) => {
    const output = make("dd");
    follow(address, given => { output.textContent = shown(given); });
    return [make("dt", { textContent: name }), output];
  });
  const chart = make("canvas", { width: 300, height: 44, className: "course" });
  course(chart);
  document.getElementById("health").replaceChildren(
    panel("health", "more", make("dl", {}, ...rows.flat(), ...ladder()), chart),
    panel("midi", "more", make("div", { className: "body", id: "midi" })));
}

// How far down the ways of running the model it is: one bar each, cold where it began, hot where nothing is left.
function ladder() {
  const bars = make("dd", { className: "ladder" }), said = make("dt");
  follow("/tpos/status/ladder", ([at, most]) => {
    said.textContent = `ladder, step ${at} of ${most}`;
    bars.replaceChildren(...Array.from({ length: most }, (_, n) => make("i", { className: n < at ? "on" : "" })));
    bars.style.setProperty("--heat", most > 1 ? (at - 1) / (most - 1) : 0);
  });
  return [said, bars];
}

// Frames a second over the last minute.
function course(chart) {
  const kept = [], pen = chart.getContext("2d");
  setInterval(() => {
    kept.push(value("/tpos/status/fps")?.[0] ?? 0);
    if (kept.length > 60) kept.shift();
    const { width, height } = chart, most = Math.max(10, ...kept) * 1.1;
    pen.clearRect(0, 0, width, height);
    pen.beginPath();
    kept.forEach((fps, n) => pen.lineTo(n * width / 59, height - fps / most * height));
    pen.strokeStyle = "#ffb347";
    pen.lineWidth = 2;
    pen.stroke();
    pen.lineTo((kept.length - 1) * width / 59, height);
    pen.lineTo(0, height);
    pen.fillStyle = "#ffb34722";
    pen.fill();
  }, 1000);
}
