// MIDI learn: in a lesson a tapped control is what the next knob moves. What moves a control is written on it.

import { make, named } from "/page/controls.js";
import { events, press } from "/page/link.js";

const by = id => document.getElementById(id);
let midi = null, lesson = false, asked = null;

const same = (one, other) => one && other && one.address === other.address && one.value === other.value;
const of = element => ({ address: element.dataset.address, value: element.dataset.value ?? "" });
const words = ({ address, value }) => value ? `${named(address)} ${value}` : named(address);
const movers = what => (midi?.mapped ?? []).filter(one => same(one, what));

// Writes on every control what moves it, and marks the one that is asked for.
export function mark() {
  for (const element of document.querySelectorAll("[data-address]")) {
    const what = of(element), found = movers(what);
    element.querySelector(":scope > .knob")?.remove();
    if (found.length) element.append(make("b", { className: "knob", textContent: found.map(one => one.place.split(" on ")[0]).join(", ") }));
    element.classList.toggle("asked", lesson && same(what, asked));
  }
  said();
}

function said() {
  by("teach").hidden = !midi;
  by("teach").setAttribute("aria-pressed", String(lesson));
  by("lesson").hidden = !lesson;
  document.body.classList.toggle("teaching", lesson);
  if (!lesson) return;
  const found = asked ? movers(asked) : [], waits = asked && same({ address: midi?.learning, value: midi?.value ?? "" }, asked);
  by("forget").disabled = !found.length;
  by("save").disabled = !midi?.unsaved;
  by("lesson").querySelector("p").textContent =
    !midi?.ports.length ? "No controller is there: plug one in." :
    !asked ? "Tap a control, then move a knob." :
    waits ? `${words(asked)}: turn a knob to the right, or press a pad …` :
    found.length ? `${words(asked)}: ${found.map(one => one.place).join(", ")}` : `${words(asked)}: nothing moves it.`;
}

function turn(on) {
  if (lesson && !on && midi?.learning) press("/tpos/midi/learn");
  [lesson, asked] = [on, null];
  mark();
}

function choose(event) {
  const element = lesson && event.target.closest("[data-address]");
  if (!element) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.type !== "click") return;
  asked = of(element);
  press("/tpos/midi/learn", asked.address, asked.value);
  mark();
}

// What there is of controllers, and what they move.
function listed() {
  const body = by("midi");
  if (!body) return;
  if (!midi) {
    body.replaceChildren(make("p", { className: "quiet", textContent: "Controllers are not listened to: start the show with --midi auto." }));
    return;
  }
  const rows = midi.mapped.map(one => make("button", { className: "mapped", onclick: () => press("/tpos/midi/forget", one.address, one.value) },
    make("span", { textContent: words(one) }), make("small", { textContent: one.place }), make("i", { textContent: "forget" })));
  body.replaceChildren(
    make("p", { className: "quiet", textContent: midi.ports.join(", ") || "No controller is there: plug one in." }),
    make("div", { className: "ask" },
      make("button", { className: "plain", textContent: "Learn", onclick: () => turn(true) }),
      make("button", { className: "plain", textContent: midi.unsaved ? "Save the map" : "Saved", disabled: !midi.unsaved, onclick: () => press("/tpos/midi/save") })),
    ...rows);
}

export function teaching() {
  for (const kind of ["pointerdown", "click", "keydown"]) document.addEventListener(kind, choose, true);
  by("teach").onclick = () => turn(!lesson);
  by("done").onclick = () => turn(false);
  by("save").onclick = () => press("/tpos/midi/save");
  by("forget").onclick = () => press("/tpos/midi/forget", asked.address, asked.value);
  events.addEventListener("midi", ({ detail }) => { midi = detail; listed(); mark(); });
}
