// A control for each kind of address: fader, switch, choice, number, line of text.

import { follow, press, set } from "/page/link.js";

const SETTLE_MS = 300; // after one's own move the show's echoes are not drawn for this long
const ECHO_MS = 2000; // where none came within this, the move has not arrived
const FINE = 1001; // whole numbers beyond this many are typed, not slid

export function make(tag, props = {}, ...children) {
  const { data, ...rest } = props;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data ?? {});
  element.append(...children);
  return element;
}

export function named(path) {
  const name = path.split("/").filter(part => part !== "bpm").at(-1);
  return name.replace(/_s$/, "").replaceAll("_", " ");
}

const hint = () => document.getElementById("hint");

function explain(element, text) {
  element.title = text;
  const show = () => { hint().textContent = text; hint().classList.add("shown"); };
  const hide = () => hint().classList.remove("shown");
  element.addEventListener("pointerdown", show);
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, hide);
}

export function control(node, label = named(node.FULL_PATH)) {
  const range = node.RANGE?.[0] ?? {};
  const made = (() => {
    if (!(node.ACCESS & 1)) return button(node, label);
    if (range.VALS && node.TYPE !== "T") return choice(node, label, range.VALS);
    if (node.TYPE === "T") return toggle(node, label);
    if (node.TYPE === "s") return line(node, label);
    if (node.TYPE.length > 1) return several(node, label);
    if (node.TYPE === "i" && range.MAX - range.MIN > FINE) return number(node, label, range);
    return fader(node, label, range);
  })();
  explain(made, node.DESCRIPTION ?? "");
  if (node.TYPE.length < 2 && (node.TYPE !== "s" || range.VALS)) made.dataset.address = node.FULL_PATH;
  return made;
}

// Draws what the show said last: not while it is `held`, nor before one's own move is answered or has not arrived.
function settling(held, draw) {
  let told, answered = true, movedAt = -Infinity, waiting = 0;
  function settle() {
    clearTimeout(waiting);
    if (told === undefined || held()) return;
    const left = movedAt + (answered ? SETTLE_MS : ECHO_MS) - performance.now();
    if (left > 0) waiting = setTimeout(settle, left); else draw(told);
  }
  return {
    settle,
    show(given) { [told, answered] = [given, true]; settle(); },
    moved() { [movedAt, answered] = [performance.now(), false]; settle(); },
  };
}

// An input shows what the show says, but while it is typed in.
export function typed(input, address, send) {
  const said = settling(() => document.activeElement === input, now => { input.value = now; });
  follow(address, ([now]) => said.show(now));
  input.addEventListener("change", () => { said.moved(); send(); });
  input.addEventListener("blur", said.settle);
}

function button(node, label) {
  return make("button", { className: "plain", textContent: label, onclick: () => press(node.FULL_PATH) });
}

function toggle(node, label) {
  const made = make("button", { className: "switch", textContent: label });
  made.setAttribute("role", "switch");
  let on = false;
  follow(node.FULL_PATH, ([now]) => { on = now; made.setAttribute("aria-checked", String(on)); });
  made.onclick = () => press(node.FULL_PATH, !on);
  return made;
}

function choice(node, label, words) {
  const row = make("div", { className: "choice" }, make("span", { className: "name", textContent: label }));
  const group = make("div", { className: "words" });
  const buttons = words.map(word => make("button", {
    textContent: word, onclick: () => press(node.FULL_PATH, word), data: { address: node.FULL_PATH, value: word },
  }));
  follow(node.FULL_PATH, ([now]) => {
    buttons.forEach((one, n) => one.setAttribute("aria-pressed", String(words[n] === now)));
  });
  group.append(...buttons);
  row.append(group);
  return row;
}

function line(node, label) {
  const input = make("input", { type: "text", enterKeyHint: "done", autocomplete: "off" });
  input.setAttribute("aria-label", label);
  typed(input, node.FULL_PATH, () => press(node.FULL_PATH, input.value));
  return make("label", { className: "line" }, make("span", { className: "name", textContent: label }), input);
}

function number(node, label, range) {
  const input = make("input", { type: "number", min: range.MIN, max: range.MAX, step: 1 });
  typed(input, node.FULL_PATH, () => set(node.FULL_PATH, Number(input.value)));
  const dice = make("button", {
    textContent: "⚄", title: "any other", onclick: () => set(node.FULL_PATH, Math.floor(Math.random() * range.MAX)),
  });
  return make("div", { className: "line" }, make("span", { className: "name", textContent: label }), input, dice);
}

// x and y of a point, red green blue alpha of a colour: a fader each, sent together.
function several(node, label) {
  const now = [];
  const parts = [...node.TYPE].length === 4 ? ["red", "green", "blue", "alpha"] : ["x", "y"];
  const faders = parts.map((part, n) => slider(`${label} ${part}`, node.RANGE[n], 0, node.DEFAULT_VALUE?.[n] ?? 0,
    moved => { now[n] = moved; set(node.FULL_PATH, ...now); }));
  follow(node.FULL_PATH, given => given.forEach((one, n) => { now[n] = one; faders[n].show(one); }));
  return make("div", { className: "several" }, ...faders.map(one => one.element));
}

function fader(node, label, range) {
  const step = node.TYPE === "i" ? 1 : 0;
  const unit = { "time.second": " s", "time.bpm": " BPM", "gain.db": " dB" }[node.UNIT?.[0]] ?? "";
  const made = slider(label, range, step, node.DEFAULT_VALUE?.[0], moved => set(node.FULL_PATH, moved), unit);
  follow(node.FULL_PATH, ([now]) => made.show(now));
  return made.element;
}

// A bar to slide: a finger moves it from where it is, a mouse puts it; twice tapped it goes back to `rest`.
export function slider(label, { MIN: low, MAX: high }, step, rest, moved, unit = "") {
  const fill = make("i"), name = make("span", { className: "name", textContent: label });
  const shown = make("output"), bar = make("div", { className: "fader", tabIndex: 0 }, fill, name, shown);
  bar.setAttribute("role", "slider");
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuemin", low);
  bar.setAttribute("aria-valuemax", high);
  const zero = low < 0 && high > 0 && -low / (high - low) > 0.2 ? -low / (high - low) : 0;
  let now = low, held = null, lastTap = 0;
  const said = settling(() => held, draw);

  function draw(given) {
    now = given;
    const share = Math.min(1, Math.max(0, (given - low) / (high - low)));
    bar.style.setProperty("--from", Math.min(zero, share));
    bar.style.setProperty("--to", Math.max(zero, share));
    const digits = step ? 0 : high - low > 50 ? 0 : high - low > 5 ? 1 : 2;
    shown.textContent = given.toFixed(digits) + unit;
    bar.setAttribute("aria-valuenow", given.toFixed(3));
    bar.classList.toggle("rest", rest !== undefined && Math.abs(given - rest) < (high - low) / 1000);
  }
  function move(wanted) {
    const whole = step ? Math.round(wanted / step) * step : wanted;
    const next = Math.min(high, Math.max(low, whole));
    if (next === now) return;
    draw(next);
    said.moved();
    moved(next);
  }
  bar.onpointerdown = event => {
    const { left, width } = bar.getBoundingClientRect();
    held = { x: event.clientX, from: now, width, touch: event.pointerType !== "mouse" };
    bar.setPointerCapture(event.pointerId);
    bar.classList.add("held");
    const again = event.timeStamp - lastTap < 320;
    lastTap = event.timeStamp;
    if (again && rest !== undefined) { move(rest); held = null; return; }
    if (!held.touch) { held.from = low + (event.clientX - left) / width * (high - low); move(held.from); }
  };
  bar.onpointermove = event => {
    if (!held) return;
    const far = event.clientX - held.x;
    if (Math.abs(far) > 3) lastTap = 0;
    move(held.from + far / held.width * (high - low));
  };
  bar.onpointerup = bar.onpointercancel = () => { held = null; bar.classList.remove("held"); said.settle(); };
  bar.onkeydown = event => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === "Home" && rest !== undefined) move(rest);
    if (!by) return;
    event.preventDefault();
    move(now + by * (step || (high - low) / (event.shiftKey ? 200 : 40)));
  };
  draw(rest ?? low);
  return { element: bar, show: said.show };
}
