// The panel in the corner: what the server is doing at this moment.
import { drawing, el } from "./dom.js";

const HISTORY = 60;

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

function time(micros) {
  if (!Number.isFinite(micros)) return "–";
  return micros < 1000 ? `${whole.format(micros)} µs` : `${(micros / 1000).toFixed(micros < 10000 ? 2 : 1)} ms`;
}

function age(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${whole.format(seconds)} s old`;
  return seconds < 5400 ? `${whole.format(seconds / 60)} min old` : `${whole.format(seconds / 3600)} h old`;
}

const WORDS = {
  view_item: "looked at", add_to_cart: "put in a basket", purchase: "bought", add_to_wishlist: "wished for",
  select_item: "opened a suggestion", search: "searched", view_item_list: "browsed", page_view: "came in",
  begin_checkout: "went to the till", view_cart: "checked a basket", remove_from_cart: "put back",
};

/** Starts the panel and keeps it current. */
export function startLive(root) {
  const value = () => el("dd", { text: "–" });
  const figures = {
    events_per_second: value(), decisions_per_second: value(), p50: value(), p99: value(),
    events_total: value(), visitors: value(), items: value(), builds: value(), build: value(),
  };
  const brief = el("span", { class: "live-brief", text: "Connecting" });
  const dot = el("span", { class: "dot" });
  const line = drawing("0 0 120 30", "M0 30", "spark");
  const recent = el("ul", { class: "recent" });
  const body = el("div", { class: "live-body", id: "live-body" },
    el("div", { class: "live-chart" }, line, el("p", { text: "events a second, last minute" })),
    el("dl", {},
      ...[["Events / s", "events_per_second"], ["Decisions / s", "decisions_per_second"], ["Decision p50", "p50"], ["Decision p99", "p99"],
        ["Events kept", "events_total"], ["Visitors", "visitors"], ["Products", "items"], ["Builds", "builds"], ["Serving", "build"]].map(([name, key]) =>
        el("div", { class: key === "build" ? "wide" : null }, el("dt", { text: name }), figures[key]))),
    recent);
  const toggle = el("button", { type: "button", class: "live-toggle", "aria-controls": "live-body", onclick: () => open(body.hidden) }, dot, el("span", { class: "live-name", text: "Live" }), brief, drawing("0 0 24 24", "M6 15l6-6 6 6", "chevron"));
  function open(yes) {
    body.hidden = !yes;
    toggle.setAttribute("aria-expanded", String(yes));
    root.classList.toggle("open", yes);
  }
  root.replaceChildren(toggle, body);
  open(window.matchMedia("(min-width: 1640px) and (min-height: 760px)").matches);

  const rates = [];
  async function update() {
    if (document.hidden) return;
    try {
      const response = await fetch("/demo/live.json", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (!response.ok) throw new Error(String(response.status));
      show(await response.json());
      root.classList.remove("away");
    } catch {
      root.classList.add("away");
      brief.textContent = "the server does not answer";
    }
  }
  function show(live) {
    const set = (key, text) => { if (figures[key].textContent !== text) figures[key].textContent = text; };
    const rate = Number(live.events_per_second) || 0;
    set("events_per_second", whole.format(rate));
    set("decisions_per_second", whole.format(Number(live.decisions_per_second) || 0));
    set("p50", time(live.decision_p50_us ?? NaN));
    set("p99", time(live.decision_p99_us ?? NaN));
    set("events_total", whole.format(Number(live.events_total) || 0));
    set("visitors", whole.format(Number(live.visitors) || 0));
    set("items", whole.format(Number(live.items) || 0));
    set("builds", whole.format(Number(live.builds) || 0));
    set("build", live.build ? `${live.build}${Number.isFinite(live.build_age_seconds) ? ` · ${age(live.build_age_seconds)}` : ""}` : "learning…");
    brief.textContent = `${whole.format(rate)} events/s · p99 ${time(live.decision_p99_us ?? NaN)}`;
    rates.push(rate);
    if (rates.length > HISTORY) rates.shift();
    const most = Math.max(...rates, 1);
    const points = rates.map((each, index) => `${((index + HISTORY - rates.length) / (HISTORY - 1) * 120).toFixed(1)} ${(28 - each / most * 25).toFixed(1)}`);
    line.firstElementChild.setAttribute("d", `M${points.join("L")}`);
    const lines = (live.recent ?? []).slice(0, 4);
    recent.replaceChildren(...lines.map((event) => el("li", {}, el("span", { text: WORDS[event.type] ?? String(event.type).replaceAll("_", " ") }), event.title ? ` ${event.title}` : "")));
  }
  update();
  setInterval(update, 1000);
}
