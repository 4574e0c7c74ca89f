// The storefront: loads the shop, starts the SDK, and shows the page the address names.
import * as basket from "./basket.js";
import { ask, choice } from "./consent.js";
import { announce, el, slug } from "./dom.js";
import { startLive } from "./live.js";
import { pageFor } from "./pages.js";
import { Shelves } from "./shelves.js";

const NOTHING = { analytics: false, personalization: false, marketing: false, sale_share: false };

async function json(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(10000) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

const sdk = () => window.rapport;

/** What every page works with. */
const shop = {
  products: new Map(),
  departments: new Map(),
  collections: new Map(),
  currency: "GBP",
  consent: choice() ?? NOTHING,

  line(product, quantity = 1) {
    return {
      item_id: product.id, item_name: product.title, item_brand: product.brand,
      item_category: product.category[0], item_category2: product.category[1], price: product.price, quantity,
    };
  },
  /** Reports an event; a storefront never fails because of it. */
  track(type, params = {}) {
    try {
      sdk()?.track(type, params);
    } catch (error) {
      console.warn("The event was not sent.", error);
    }
  },
  async decide(request) {
    if (!sdk()) throw new Error("The SDK is not there.");
    return sdk().decide(request);
  },
  ask() {
    ask((consent) => {
      shop.consent = consent;
      sdk()?.setConsent(consent);
      announce("Your choice is saved.");
      show(false);
    });
  },
  go(href) {
    history.pushState(null, "", href);
    show(true);
  },
};

let shelves;

/** Shows the page of the present address. */
function show(moved) {
  const page = pageFor(shop, new URL(location.href));
  const main = document.getElementById("main");
  document.title = page.title ? `${page.title} · Larkfield & Co.` : "Larkfield & Co.";
  const rows = shelves.open(page.shelves ?? [], page.context);
  main.replaceChildren(...page.build(rows));
  for (const link of document.querySelectorAll("#departments a")) {
    const here = page.department !== undefined && link.dataset.slug === slug(page.department);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const query = new URL(location.href).searchParams.get("q");
  document.getElementById("q").value = query ?? "";
  if (moved) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
    announce(page.title || "Home");
  }
  page.track?.();
  shelves.refresh();
}

function buildNavigation() {
  const list = el("ul", {}, ...[...shop.departments.keys()].map((name) =>
    el("li", {}, el("a", { href: `/demo/category/${slug(name)}`, "data-slug": slug(name), text: name }))));
  document.getElementById("departments").replaceChildren(list);
}

function listen() {
  // Links are real; within the shop they change the page without loading it anew.
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || !link.pathname.startsWith("/demo/") || link.hash || link.target) return;
    event.preventDefault();
    shop.go(link.href);
  });
  // An explanation closes when something else is pressed, or with Escape.
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.why[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const open of document.querySelectorAll("details.why[open]")) open.open = false;
  });
  window.addEventListener("popstate", () => show(false));
  document.querySelector("form.search").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = document.getElementById("q").value.trim();
    if (words) shop.go(`/demo/?q=${encodeURIComponent(words)}`);
  });
  document.getElementById("privacy").addEventListener("click", () => shop.ask());
}

async function start() {
  startLive(document.getElementById("live"));
  const [config, products] = await Promise.all([json("/demo/config.json"), json("/demo/products.json")]);
  shop.currency = config.currency ?? shop.currency;
  for (const product of products) {
    shop.products.set(product.id, product);
    const name = product.category[0];
    if (!shop.departments.has(name)) shop.departments.set(name, []);
    shop.departments.get(name).push(product);
    if (product.collection) {
      if (!shop.collections.has(product.collection)) shop.collections.set(product.collection, []);
      shop.collections.get(product.collection).push(product);
    }
  }
  try {
    sdk()?.init({ key: config.key, endpoint: config.endpoint });
    sdk()?.setConsent(shop.consent);
  } catch (error) {
    console.warn("The SDK did not start.", error);
  }
  basket.settle(shop.products);
  shelves = new Shelves(shop);
  buildNavigation();
  listen();
  show(false);
  if (!choice()) shop.ask();
}

start().catch((error) => {
  console.error(error);
  document.getElementById("main").replaceChildren(
    el("h1", { text: "The shop is not open" }),
    el("p", { class: "lead", text: "The server did not answer. Reload the page in a moment." }));
});
