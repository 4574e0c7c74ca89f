// Small helpers for building the page. Text always goes in as text, never as markup.

/** Returns an element. Keys of `props` starting with "on" are listeners; `class`, `text` and attributes go by name. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** Returns an icon or a chart: an SVG element with one path. */
export function drawing(viewBox, path, name = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", viewBox);
  svg.setAttribute("aria-hidden", "true");
  if (name) svg.setAttribute("class", name);
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

export const HEART = "M12 20.5S4 15.5 4 9.5C4 6.5 6.200 4.5 8.5 4.5c1.700 0 2.900 1 3.5 2.200.6-1.200 1.800-2.200 3.5-2.200 2.300 0 4.5 2 4.5 5 0 6-8 11-8 11z";

/** Returns an amount as the shop writes it. */
export function money(amount, currency) {
  return new Intl.NumberFormat("en-GB", { style: "currency", currency }).format(amount);
}

/** Returns a name as it stands in an address. */
export function slug(name) {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

/** Returns the product's picture at its fixed shape. */
export function picture(product, eager = false) {
  return el("img", { src: product.image_url, alt: "", width: 400, height: 400, loading: eager ? "eager" : "lazy", decoding: "async" });
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}

/** Reads and writes a list in the browser's storage; a browser without storage forgets and still shops. */
export function stored(name) {
  const key = `larkfield.${name}`;
  return {
    read() {
      try {
        const value = JSON.parse(localStorage.getItem(key) ?? "null");
        return Array.isArray(value) ? value : [];
      } catch {
        return [];
      }
    },
    write(value) {
      try {
        localStorage.setItem(key, JSON.stringify(value));
      } catch {
        // Private windows may refuse.
      }
    },
  };
}
