// Asks once what may be remembered, and asks again on request.
import { el } from "./dom.js";

const KEY = "larkfield.consent";
const PURPOSES = [
  ["analytics", "Learn from visits", "Lets the shop count what is looked at and bought, and learn what goes together."],
  ["personalization", "Remember me", "Lets the shop remember what you looked at, and use it on the next page."],
];

/** Returns the choice made earlier, if any. */
export function choice() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null");
    return kept && typeof kept === "object" ? kept : null;
  } catch {
    return null;
  }
}

/** Shows the question; `decided` hears the answer. */
export function ask(decided) {
  const banner = document.getElementById("consent");
  const before = document.activeElement;
  const answer = (analytics, personalization) => {
    const consent = { analytics, personalization, marketing: false, sale_share: false };
    try {
      localStorage.setItem(KEY, JSON.stringify(consent));
    } catch {
      // Asked again next time.
    }
    banner.hidden = true;
    if (before instanceof HTMLElement && before.id === "privacy") before.focus();
    decided(consent);
  };
  const boxes = PURPOSES.map(([name, , help]) =>
    el("input", { type: "checkbox", id: `consent-${name}`, "aria-describedby": help ? `consent-${name}-help` : null }));
  const kept = choice();
  PURPOSES.forEach(([name], index) => { boxes[index].checked = kept ? kept[name] === true : false; });
  const details = el("form", { class: "purposes", hidden: true, onsubmit: (event) => {
    event.preventDefault();
    answer(boxes[0].checked, boxes[1].checked);
  } },
    ...PURPOSES.map(([name, label, help], index) => el("div", { class: "purpose" },
      boxes[index],
      el("label", { for: `consent-${name}`, text: label }),
      el("p", { id: `consent-${name}-help`, text: help }))),
    el("button", { class: "button small", text: "Save my choice" }));
  banner.replaceChildren(
    el("h2", { id: "consent-title", text: "May we remember your visit?" }),
    el("p", { text: "With your permission this shop remembers what you look at and shows what suits you. Without it, everything works all the same." }),
    el("div", { class: "row" },
      el("button", { type: "button", class: "button small", text: "Accept all", onclick: () => answer(true, true) }),
      el("button", { type: "button", class: "button small quiet", text: "Only necessary", onclick: () => answer(false, false) }),
      el("button", { type: "button", class: "plain", "aria-expanded": "false", text: "Choose", onclick: (event) => {
        details.hidden = !details.hidden;
        event.currentTarget.setAttribute("aria-expanded", String(!details.hidden));
      } })),
    details);
  banner.hidden = false;
}
