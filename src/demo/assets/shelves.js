// Shelves: rows of recommendations that fill, and change while one looks, without moving anything.
import { el, picture, money } from "./dom.js";

const REFRESH_MS = 5000;

const WHY = {
  bought_together: "Often bought together with this.",
  also_bought: "People who bought this also bought it.",
  also_viewed: "People who looked at this also looked at it.",
  viewed_together: "Often looked at in the same visit.",
  co_occurrence: "Often bought by the same people.",
  session: "Visits like yours led here.",
  session_similar: "Visits like yours led here.",
  similar: "It resembles what you are looking at.",
  trending: "Many people want it right now.",
  popular: "One of the most wanted things in the shop.",
  popular_in_category: "One of the most wanted in this department.",
  recently_viewed: "You looked at it recently.",
  buy_again: "You bought it before.",
  affinity: "It matches what you have shown you like.",
  for_you: "It matches what you have shown you like.",
  new: "It is new in the shop.",
  pinned: "The shop has chosen it for this place.",
  boosted: "The shop recommends it here.",
};

const plain = (code) => String(code).replaceAll("_", " ");

function reasonText(item) {
  const codes = (item.reasons ?? []).map((reason) => reason?.code).filter(Boolean);
  const sentences = codes.slice(0, 2).map((code) => WHY[code] ?? `Reason: ${plain(code)}.`);
  if (sentences.length === 0 && item.source) sentences.push(WHY[item.source] ?? `Reason: ${plain(item.source)}.`);
  return { sentences: [...new Set(sentences)], source: item.source ? `Source: ${plain(item.source)}` : "" };
}

/** A row of places for products. The places stand from the start; only what is in them changes. */
class Shelf {
  constructor(shop, spec) {
    this.shop = shop;
    this.spec = spec;
    this.seen = false;
    this.shown = [];
    this.recommendation = "";
    this.slots = Array.from({ length: spec.count }, () => el("li", { class: "slot" }, skeleton()));
    this.state = el("p", { class: "shelf-note" });
    const id = `shelf-${spec.id}`;
    this.node = el("section", { class: "shelf", "aria-labelledby": id },
      el("h2", { id, text: spec.title }),
      el("div", { class: "shelf-body" }, el("ul", { class: "slots" }, ...this.slots), this.state));
  }

  fill(answer) {
    const known = (answer?.items ?? []).filter((item) => this.shop.products.has(item.item_id));
    // A place that shows something still recommended keeps it: rows should not shuffle under the eye.
    const wanted = known.slice(0, this.slots.length);
    const ids = new Set(wanted.map((item) => item.item_id));
    const kept = this.shown.map((id) => (ids.has(id) ? id : null));
    const fresh = wanted.filter((item) => !this.shown.includes(item.item_id));
    const byId = new Map(wanted.map((item) => [item.item_id, item]));
    const ordered = this.shown.length === 0 || !this.spec.steady ? wanted : kept.map((id) => (id ? byId.get(id) : fresh.shift())).concat(fresh).filter(Boolean).slice(0, this.slots.length);
    this.recommendation = answer?.recommendation_id ?? "";
    this.slots.forEach((slot, index) => {
      const item = ordered[index];
      const id = item?.item_id ?? null;
      if (slot.dataset.item === (id ?? "")) return;
      const first = slot.dataset.item === undefined;
      slot.dataset.item = id ?? "";
      const content = item ? this.tile(item, index) : el("div", { class: "gap" });
      slot.replaceChildren(content);
      if (!first && item) content.classList.add("arriving");
    });
    this.shown = ordered.map((item) => item.item_id);
    this.state.textContent = ordered.length === 0 ? this.spec.empty ?? "Nothing to suggest yet." : "";
    this.node.classList.toggle("bare", ordered.length === 0);
  }

  tile(item, index) {
    const product = this.shop.products.get(item.item_id);
    const why = reasonText(item);
    const card = tile(product, {
      onclick: () => this.shop.track("select_item", {
        item_list_id: this.spec.id,
        recommendation_id: this.recommendation,
        items: [{ ...this.shop.line(product), index: index + 1 }],
      }),
    });
    if (why.sentences.length > 0) {
      card.append(el("details", { class: "why" },
        el("summary", { "aria-label": `Why ${product.title} is shown`, text: "Why?" }),
        el("div", { class: "why-text" }, ...why.sentences.map((text) => el("p", { text })), why.source ? el("p", { class: "why-source", text: why.source }) : null)));
    }
    return card;
  }

  /** Reports the shelf as seen once for each page. */
  confirm() {
    if (this.seen || this.shown.length === 0) return;
    this.seen = true;
    this.shop.track("view_item_list", {
      item_list_id: this.spec.id,
      item_list_name: this.spec.title,
      recommendation_id: this.recommendation,
      items: this.shown.map((id, index) => ({ item_id: id, index: index + 1 })),
    });
  }

  /** Returns whether someone is using the shelf; what is under a finger stays. */
  busy() {
    return this.node.matches(":hover, :focus-within") || this.node.querySelector("details[open]") !== null;
  }
}

function skeleton() {
  return el("div", { class: "tile waiting", "aria-hidden": "true" }, el("div", { class: "tile-picture" }), el("div", { class: "tile-text" }));
}

/** Returns a product's card. */
export function tile(product, { onclick = null } = {}) {
  const gone = product.stock === 0;
  return el("article", { class: gone ? "tile gone" : "tile" },
    el("a", { class: "tile-link", href: product.url, onclick },
      el("div", { class: "tile-picture" }, picture(product)),
      el("div", { class: "tile-text" },
        el("h3", { text: product.title }),
        el("p", { class: "tile-price", text: gone ? "Sold out" : money(product.price, product.currency) }))));
}

/** The shelves of the page on show, asked for together and refreshed while it is visible. */
export class Shelves {
  constructor(shop) {
    this.shop = shop;
    this.list = [];
    this.turn = 0;
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) this.list.find((shelf) => shelf.node === entry.target)?.confirm();
      }
    }, { threshold: 0.4 });
    setInterval(() => { if (!document.hidden) this.refresh(true); }, REFRESH_MS);
  }

  /** Starts over with the shelves of a new page and returns their elements. */
  open(specs, context) {
    this.turn += 1;
    this.observer.disconnect();
    this.context = context;
    this.list = specs.map((spec) => new Shelf(this.shop, spec));
    return this.list.map((shelf) => shelf.node);
  }

  async refresh(soft = false) {
    if (this.list.length === 0) return;
    const turn = this.turn;
    let placements = {};
    try {
      const answer = await this.shop.decide({
        placements: this.list.map((shelf) => ({ id: shelf.spec.id, count: shelf.spec.count })),
        context: this.context(),
      });
      placements = answer?.placements ?? {};
    } catch {
      if (soft) return;
    }
    if (turn !== this.turn) return;
    for (const shelf of this.list) {
      if (soft && shelf.busy()) continue;
      if (soft && !placements[shelf.spec.id]) continue;
      shelf.fill(placements[shelf.spec.id]);
      this.observer.unobserve(shelf.node);
      this.observer.observe(shelf.node);
    }
  }
}
