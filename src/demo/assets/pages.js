// The pages: each says its title, what it reports, which shelves it has, and how it looks.
import * as basket from "./basket.js";
import { announce, drawing, el, HEART, money, picture, slug } from "./dom.js";
import { tile } from "./shelves.js";

const HERO = ["Saltmarsh Stoneware Teapot", "Saltmarsh Stoneware Mug", "Saltmarsh Linen Cushion", "Saltmarsh Plant Pot"];

/** Returns the page an address names. */
export function pageFor(shop, url) {
  const path = decodeURIComponent(url.pathname.replace(/^\/demo\/?/, "").replace(/\/$/, ""));
  if (path === "" || path === "index.html") return url.searchParams.get("q") ? search(shop, url.searchParams.get("q")) : home(shop);
  if (path === "basket") return basketPage(shop);
  if (path === "wishlist") return wishlist(shop);
  if (path === "thank-you") return thanks(shop);
  const [kind, name] = path.split("/");
  if (kind === "product" && shop.products.has(name)) return product(shop, shop.products.get(name));
  if (kind === "category") {
    for (const [title, products] of shop.departments) if (slug(title) === name) return category(shop, title, products, url, title);
    for (const [title, products] of shop.collections) if (slug(title) === name) return category(shop, `The ${title} collection`, products, url);
  }
  return missing(shop);
}

const context = (type, more = {}) => () => ({ page_type: type, cart: basket.ids(), ...more });

function home(shop) {
  const pieces = HERO.map((title) => [...shop.products.values()].find((each) => each.title === title)).filter(Boolean);
  return {
    title: "",
    context: context("home"),
    track: () => shop.track("page_view", { page_type: "home" }),
    shelves: [
      { id: "for-you", title: "For you", count: 6, empty: "Look around, and this row will learn what you like." },
      { id: "recently-viewed", title: "Recently viewed", count: 6, steady: true, empty: "The page you make: what you look at appears here." },
      { id: "trending", title: "Trending now", count: 6, steady: true },
    ],
    build: (rows) => [
      el("section", { class: "hero", "aria-labelledby": "hero-title" },
        el("div", { class: "hero-text" },
          el("p", { class: "kicker", text: "The Saltmarsh collection" }),
          el("h1", { id: "hero-title", text: "Plain, useful things in the colour of low tide" }),
          el("p", { class: "lead", text: "Stoneware, linen and clay that belong together, from the breakfast table to the back step." }),
          el("a", { class: "button", href: "/demo/category/saltmarsh", text: "See the collection" })),
        el("ul", { class: "hero-pictures" }, ...pieces.map((piece) => el("li", {}, el("a", { href: piece.url, "aria-label": piece.title }, picture(piece, true)))))),
      ...rows,
    ],
  };
}

function category(shop, title, products, url, department) {
  const section = url.searchParams.get("section");
  const sections = department ? [...new Set(products.map((each) => each.category[1]))] : [];
  const chosen = products.filter((each) => !section || slug(each.category[1]) === section);
  return {
    title,
    department,
    context: context("category", department ? { category: department } : {}),
    track: () => shop.track("view_item_list", { item_list_id: `category/${slug(title)}`, item_list_name: title, items: chosen.slice(0, 12).map((each, index) => ({ item_id: each.id, index: index + 1 })) }),
    shelves: [{ id: "for-you", title: "Picked for you", count: 6 }],
    build: (rows) => [
      el("div", { class: "page-head" }, el("h1", { text: title }), el("p", { class: "quiet-text", text: `${chosen.length} products` })),
      sections.length > 1 ? el("nav", { class: "chips", "aria-label": "Sections" },
        el("a", { href: url.pathname, "aria-current": section ? null : "true", text: "All" }),
        ...sections.map((name) => el("a", { href: `${url.pathname}?section=${slug(name)}`, "aria-current": slug(name) === section ? "true" : null, text: name }))) : null,
      el("ul", { class: "grid" }, ...chosen.map((each) => el("li", {}, tile(each)))),
      ...rows,
    ].filter(Boolean),
  };
}

function search(shop, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => (word.length > 3 ? word.replace(/s$/, "") : word));
  const found = [...shop.products.values()].filter((each) => {
    const text = `${each.title} ${each.category.join(" ")} ${each.color} ${each.material} ${each.brand}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return {
    title: `Search: ${query}`,
    context: context("search"),
    track: () => shop.track("search", { search_term: query }),
    shelves: [{ id: "for-you", title: "You may also like", count: 6 }],
    build: (rows) => [
      el("div", { class: "page-head" }, el("h1", { text: `“${query}”` }),
        el("p", { class: "quiet-text", text: found.length === 1 ? "1 product" : `${found.length} products` })),
      found.length > 0 ? el("ul", { class: "grid" }, ...found.slice(0, 48).map((each) => el("li", {}, tile(each)))) : el("p", { class: "lead", text: "Nothing here by that name." }),
      ...rows,
    ],
  };
}

function stockText(each) {
  if (each.stock === 0) return ["Sold out", "stock out"];
  return each.stock <= 5 ? [`Only ${each.stock} left`, "stock low"] : ["In stock", "stock"];
}

function product(shop, each) {
  const [stock, stockClass] = stockText(each);
  const heart = el("button", { type: "button", class: "heart", "aria-pressed": String(basket.isWished(each.id)), onclick: () => {
    const on = basket.turnHeart(each);
    heart.setAttribute("aria-pressed", String(on));
    shop.track(on ? "add_to_wishlist" : "remove_from_wishlist", { items: [shop.line(each)], currency: each.currency, value: each.price });
  } }, drawing("0 0 24 24", HEART), el("span", { class: "unseen", text: "On my wish list" }));
  const add = el("button", { type: "button", class: "button", disabled: each.stock === 0, text: each.stock === 0 ? "Sold out" : "Add to basket", onclick: () => {
    basket.put(each.id, Math.min(basket.quantityOf(each.id) + 1, each.stock));
    shop.track("add_to_cart", { items: [shop.line(each)], currency: each.currency, value: each.price });
    announce(`${each.title} is in your basket.`);
    done.hidden = false;
  } });
  const done = el("p", { class: "added", hidden: true }, "In your basket. ", el("a", { href: "/demo/basket", text: "Go to the basket" }));
  return {
    title: each.title,
    department: each.category[0],
    context: context("product", { item_id: each.id }),
    track: () => shop.track("view_item", { items: [shop.line(each)], currency: each.currency, value: each.price }),
    shelves: [
      { id: "also-bought", title: "Customers who bought this also bought", count: 6, steady: true },
      { id: "bought-together", title: "Bought together", count: 6, steady: true },
      { id: "also-viewed", title: "Customers also viewed", count: 6, steady: true },
    ],
    build: (rows) => [
      el("nav", { class: "trail", "aria-label": "You are here" },
        el("a", { href: "/demo/", text: "Home" }), el("a", { href: `/demo/category/${slug(each.category[0])}`, text: each.category[0] }),
        el("a", { href: `/demo/category/${slug(each.category[0])}?section=${slug(each.category[1])}`, text: each.category[1] })),
      el("article", { class: "product" },
        el("div", { class: "product-picture" }, picture(each, true)),
        el("div", { class: "product-text" },
          el("p", { class: "kicker", text: each.brand }),
          el("h1", { text: each.title }),
          el("p", { class: "price", text: money(each.price, each.currency) }),
          el("p", { class: stockClass, text: stock }),
          el("p", { class: "lead", text: each.description }),
          el("div", { class: "row" }, add, heart),
          el("div", { class: "added-place" }, done),
          el("dl", { class: "facts" },
            el("div", {}, el("dt", { text: "Colour" }), el("dd", { text: each.color })),
            el("div", {}, el("dt", { text: "Material" }), el("dd", { text: each.material })),
            each.collection ? el("div", {}, el("dt", { text: "Collection" }), el("dd", {}, el("a", { href: `/demo/category/${slug(each.collection)}`, text: each.collection }))) : null,
            el("div", {}, el("dt", { text: "Number" }), el("dd", { text: each.id }))))),
      ...rows,
    ],
  };
}

function basketPage(shop) {
  const lines = () => basket.contents().map((line) => ({ ...line, product: shop.products.get(line.id) }));
  const sum = () => lines().reduce((total, line) => total + line.product.price * line.quantity, 0);
  const items = () => lines().map((line) => shop.line(line.product, line.quantity));
  const list = el("div", { class: "basket-lines" });
  const total = el("p", { class: "total" });
  const order = el("button", { type: "button", class: "button", text: "Place the order", onclick: () => {
    const value = Math.round(sum() * 100) / 100;
    shop.track("begin_checkout", { items: items(), currency: shop.currency, value });
    const number = `W-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`.toUpperCase();
    shop.track("purchase", { transaction_id: number, items: items(), currency: shop.currency, value });
    basket.empty();
    shop.go(`/demo/thank-you?order=${number}`);
  } });
  const change = (line, quantity) => {
    const wanted = Math.min(quantity, line.product.stock);
    const more = wanted > line.quantity;
    const by = Math.abs(wanted - line.quantity);
    if (by === 0) return;
    basket.put(line.id, wanted);
    shop.track(more ? "add_to_cart" : "remove_from_cart", { items: [shop.line(line.product, by)], currency: shop.currency, value: line.product.price * by });
    draw();
    list.querySelector(`[data-line="${CSS.escape(line.id)}"] button`)?.focus();
  };
  const draw = () => {
    const now = lines();
    list.replaceChildren(now.length === 0
      ? el("p", { class: "lead", text: "Your basket is empty." })
      : el("ul", {}, ...now.map((line) => el("li", { class: "line", "data-line": line.id },
        el("a", { class: "line-picture", href: line.product.url, tabindex: "-1", "aria-hidden": "true" }, picture(line.product, true)),
        el("div", {}, el("a", { href: line.product.url, text: line.product.title }), el("p", { class: "quiet-text", text: `${money(line.product.price, line.product.currency)} each` })),
        el("div", { class: "stepper" },
          el("button", { type: "button", "aria-label": `One less of ${line.product.title}`, text: "−", onclick: () => change(line, line.quantity - 1) }),
          el("span", { text: String(line.quantity) }),
          el("button", { type: "button", "aria-label": `One more of ${line.product.title}`, text: "+", onclick: () => change(line, line.quantity + 1) })),
        el("p", { class: "line-sum", text: money(line.product.price * line.quantity, line.product.currency) })))));
    total.textContent = `Total ${money(sum(), shop.currency)}`;
    order.disabled = now.length === 0;
  };
  return {
    title: "Basket",
    context: context("cart"),
    track: () => { if (items().length > 0) shop.track("view_cart", { items: items(), currency: shop.currency, value: Math.round(sum() * 100) / 100 }); },
    shelves: [
      { id: "bought-together", title: "Goes well with your basket", count: 6, steady: true, empty: "Put something in, and its companions appear here." },
      { id: "trending", title: "Trending now", count: 6, steady: true },
    ],
    build: (rows) => {
      draw();
      return [el("div", { class: "page-head" }, el("h1", { text: "Your basket" })), el("div", { class: "basket" }, list, el("div", { class: "till" }, total, order, el("p", { class: "quiet-text", text: "Nothing is charged and nothing is sent: the shop is invented." }))), ...rows];
    },
  };
}

function wishlist(shop) {
  const wished = basket.wished().map((id) => shop.products.get(id)).filter(Boolean);
  return {
    title: "Wish list",
    context: context("wishlist"),
    track: () => shop.track("page_view", { page_type: "wishlist" }),
    shelves: [{ id: "for-you", title: "For you", count: 6 }],
    build: (rows) => [
      el("div", { class: "page-head" }, el("h1", { text: "Your wish list" })),
      wished.length > 0 ? el("ul", { class: "grid" }, ...wished.map((each) => el("li", {}, tile(each)))) : el("p", { class: "lead", text: "Nothing yet. The heart beside a product puts it here." }),
      ...rows,
    ],
  };
}

function thanks(shop) {
  const number = new URL(location.href).searchParams.get("order");
  return {
    title: "Thank you",
    context: context("order"),
    track: () => shop.track("page_view", { page_type: "order" }),
    shelves: [{ id: "for-you", title: "For next time", count: 6 }],
    build: (rows) => [
      el("div", { class: "thanks" }, el("h1", { text: "Thank you" }),
        el("p", { class: "lead", text: "Your order is in. What you bought already counts in what the shop suggests next." }),
        number ? el("p", { class: "quiet-text", text: `Order ${number.slice(0, 40)}` }) : null,
        el("a", { class: "button", href: "/demo/", text: "Keep looking around" })),
      ...rows,
    ],
  };
}

function missing(shop) {
  return {
    title: "Not found",
    context: context("other"),
    track: () => shop.track("page_view", { page_type: "not_found" }),
    shelves: [{ id: "trending", title: "Trending now", count: 6, steady: true }],
    build: (rows) => [el("div", { class: "page-head" }, el("h1", { text: "There is nothing at this address" })), el("p", {}, el("a", { href: "/demo/", text: "Back to the front of the shop" })), ...rows],
  };
}
