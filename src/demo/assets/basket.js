// The basket and the wish list: what the browser itself keeps.
import { announce, stored } from "./dom.js";

const lines = stored("basket");
const hearts = stored("wishes");
let cart = lines.read().filter((line) => typeof line?.id === "string" && line.quantity > 0);
let wishes = new Set(hearts.read().filter((id) => typeof id === "string"));

function show() {
  document.getElementById("carried").textContent = String(cart.reduce((sum, line) => sum + line.quantity, 0));
  document.getElementById("wished").textContent = String(wishes.size);
}

/** Drops what the shop no longer has. */
export function settle(known) {
  cart = cart.filter((line) => known.has(line.id));
  wishes = new Set([...wishes].filter((id) => known.has(id)));
  show();
}

export const contents = () => cart.map((line) => ({ ...line }));
export const ids = () => cart.map((line) => line.id);
export const wished = () => [...wishes];
export const isWished = (id) => wishes.has(id);

/** Sets how many of a product are in the basket; 0 takes it out. */
export function put(id, quantity) {
  const line = cart.find((candidate) => candidate.id === id);
  if (quantity <= 0) cart = cart.filter((candidate) => candidate.id !== id);
  else if (line) line.quantity = quantity;
  else cart.push({ id, quantity });
  lines.write(cart);
  show();
}

export function quantityOf(id) {
  return cart.find((line) => line.id === id)?.quantity ?? 0;
}

export function empty() {
  cart = [];
  lines.write(cart);
  show();
}

/** Turns the heart of a product and returns whether it is on the list now. */
export function turnHeart(product) {
  const on = !wishes.has(product.id);
  if (on) wishes.add(product.id);
  else wishes.delete(product.id);
  hearts.write([...wishes]);
  show();
  announce(on ? `${product.title} is on your wish list.` : `${product.title} is off your wish list.`);
  return on;
}
