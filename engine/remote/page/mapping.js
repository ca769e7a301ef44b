// How outputs lie on the wall: a panel to choose one, and its points on the stage, dragged by finger and mouse.

import { make } from "/page/controls.js";
import { events, press, set } from "/page/link.js";
import { panel } from "/page/panels.js";

const AT = "/tpos/mapping", CORNERS = 4, REACH_PX = 44, BESIDE_PX = 22, COUNTS = [2, 3, 4, 5, 6, 7, 8];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const by = id => document.getElementById(id);

let told = null; // by the show
let held = null; // the point in hand: its number, and how far from the finger it is
let step = 1;

// Whether this page sets up an output, and which picture its stage shows.
const mapping = () => Boolean(told?.output) && by("mapping").open && !document.body.classList.contains("viewer");
export const shown = () => mapping() ? "mapping" : "preview";

const meshed = () => told.point > CORNERS;

// Where a point is on the screen: those beyond the stage's edge wait at it.
function placed([x, y]) {
  const { width, height } = by("preview").getBoundingClientRect();
  const within = (px, size) => Math.min(size + BESIDE_PX, Math.max(-BESIDE_PX, px));
  return [within(x * width, width), within(y * height, height)];
}

function draw() {
  const open = mapping();
  document.body.classList.toggle("mapping", open);
  by("points").hidden = !open;
  if (!open) return;
  const { offsetLeft, offsetTop } = by("preview");
  by("points").style = `left: ${offsetLeft}px; top: ${offsetTop}px`;
  const first = meshed() ? CORNERS : 0, some = meshed() ? told.points.slice(CORNERS) : told.points.slice(0, CORNERS);
  const dots = by("points");
  while (dots.children.length > some.length) dots.lastChild.remove();
  while (dots.children.length < some.length) dots.append(make("i"));
  some.forEach((point, n) => {
    const dot = dots.children[n];
    [dot.style.left, dot.style.top] = placed(point).map(px => `${px}px`);
    dot.className = first + n + 1 === told.point ? "chosen" : "";
    dot.textContent = meshed() ? "" : n + 1;
  });
}

// The nearest of what can be dragged, within a finger's reach.
function nearest(x, y) {
  const { left, top } = by("preview").getBoundingClientRect();
  const far = told.points.map((point, n) => {
    const [px, py] = placed(point);
    return n >= CORNERS === meshed() ? Math.hypot(px + left - x, py + top - y) : Infinity;
  });
  const n = far.indexOf(Math.min(...far));
  return far[n] <= REACH_PX ? n : null;
}

function dragging(stage) {
  stage.addEventListener("pointerdown", event => {
    const n = mapping() ? nearest(event.clientX, event.clientY) : null;
    if (n === null) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    const { width, height } = by("preview").getBoundingClientRect(), [x, y] = told.points[n];
    held = { n, x: x - event.clientX / width, y: y - event.clientY / height };
    stage.classList.add("held");
    told.point = n + 1;
    press(`${AT}/choose`, n + 1);
    draw();
  });
  stage.addEventListener("pointermove", event => {
    if (!held) return;
    const { width, height } = by("preview").getBoundingClientRect();
    told.points[held.n] = [held.x + event.clientX / width, held.y + event.clientY / height];
    set(`${AT}/point/${held.n + 1}`, ...told.points[held.n]);
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => {
    held = null;
    stage.classList.remove("held");
  });
}

function nudge([right, down], px) {
  press(`${AT}/nudge`, right * px, down * px);
}

function keys(event) {
  const arrow = ARROWS[event.key];
  if (!arrow || !mapping() || event.target.closest("input, .fader")) return;
  event.preventDefault();
  nudge(arrow, event.shiftKey ? 10 : 1);
}

// A row of words of which one is on.
function words(label, given) {
  const buttons = given.map(([word, on, chosen]) => {
    const one = make("button", { textContent: word, onclick: chosen });
    one.setAttribute("aria-pressed", String(on));
    return one;
  });
  return make("div", { className: "choice" }, make("span", { className: "name", textContent: label }), make("div", { className: "words" }, ...buttons));
}

const bend = (columns, rows, curve = told.curve || "smooth") => press(`${AT}/mesh`, columns, rows, curve);

function mesh() {
  const counted = (name, bent) => words(name, COUNTS.map(n => [n, told[name] === n, () => bent(n)]));
  return [
    counted("columns", n => bend(n, told.rows)), counted("rows", n => bend(told.columns, n)),
    words("between its points", ["smooth", "straight"].map(curve => [curve, told.curve === curve, () => bend(told.columns, told.rows, curve)])),
  ];
}

function pad() {
  const arrows = [["left", "ArrowLeft", "◀"], ["up", "ArrowUp", "▲"], ["down", "ArrowDown", "▼"], ["right", "ArrowRight", "▶"]];
  const buttons = arrows.map(([name, key, sign]) => {
    const one = make("button", { className: "plain", textContent: sign, onclick: () => nudge(ARROWS[key], step) });
    one.setAttribute("aria-label", `nudge ${name}`);
    return one;
  });
  const steps = make("button", { className: "plain step", textContent: `${step} px`, onclick: () => { step = step === 1 ? 10 : 1; steps.textContent = `${step} px`; } });
  steps.setAttribute("aria-label", "pixels a nudge");
  return make("div", { className: "pad" }, ...buttons, steps);
}

function tools() {
  const pattern = make("button", { className: "switch", textContent: "test pattern", onclick: () => press(`${AT}/pattern`, !told.pattern) });
  pattern.setAttribute("role", "switch");
  pattern.setAttribute("aria-checked", String(told.pattern));
  const kinds = words("points", [
    ["corners", !meshed(), () => press(`${AT}/choose`, 1)],
    ["mesh", meshed(), () => { if (!told.columns) bend(3, 3); press(`${AT}/choose`, CORNERS + 1); }],
  ]);
  return [
    kinds, ...(meshed() ? mesh() : []), pattern, pad(),
    make("div", { className: "ask" },
      make("button", { className: "plain", textContent: meshed() ? "Even mesh" : "Reset corners", onclick: () => press(`${AT}/reset`) }),
      ...(meshed() ? [make("button", { className: "plain", textContent: "No mesh", onclick: () => bend(0, 0) })] : [])),
  ];
}

const called = name => name === "first" ? "audience's window" : name;

function fill() {
  const body = by("mapping").querySelector(".body");
  if (!told) {
    body.replaceChildren(make("p", { className: "quiet", textContent: "Outputs are mapped for a venue: start the show with --venue NAME." }));
    return;
  }
  const outputs = told.outputs.map(([name]) => [called(name), told.output === name, () => press(AT, told.output === name ? "" : name)]);
  body.replaceChildren(
    outputs.length ? words("output", outputs) : make("p", { className: "quiet", textContent: "No output is open that can be mapped." }),
    ...(told.output ? tools() : []),
    make("button", {
      className: "go", textContent: told.unsaved ? `Save ${told.venue}` : `${told.venue} is saved`, disabled: !told.unsaved, onclick: () => press(`${AT}/save`),
    }));
}

export function wall() {
  const made = panel("mapping", "more");
  made.id = "mapping";
  made.open = false;
  by("health").prepend(made);
  made.addEventListener("toggle", () => {
    if (!made.open && told?.output) press(AT, "");
    draw();
  });
  dragging(document.querySelector(".screen"));
  document.addEventListener("keydown", keys);
  new ResizeObserver(draw).observe(by("preview"));
  events.addEventListener("mapping", ({ detail }) => {
    const before = told && JSON.stringify({ ...told, points: 0 });
    const point = held && told?.points[held.n];
    told = detail;
    if (point && told.points[held.n]) [told.point, told.points[held.n]] = [held.n + 1, point]; // the finger leads
    if (JSON.stringify({ ...told, points: 0 }) !== before) fill();
    draw();
  });
  fill();
}
