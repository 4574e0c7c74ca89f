// Renders /openapi.json. Text enters the page as text only: nothing of the document is read as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const state = { address: "", key: "" };
const curls = [];
let api;

/** Returns an element with attributes and children; strings become text. */
function el(name, attributes, ...children) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
	}
	node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
	return node;
}

/** Returns what a reference points to; anything else is returned as it is. */
function resolve(value) {
	let at = value;
	for (let hops = 0; at && at.$ref && hops < 10; hops++) {
		at = at.$ref.slice(2).split("/").reduce((node, key) => node && node[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
	}
	return at || {};
}

/** Returns text with `code` and **strong** as elements, and a paragraph for each empty line. */
function prose(text) {
	return (text || "").split("\n\n").filter(Boolean).map((paragraph) => {
		const parts = paragraph.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
			if (part.startsWith("`")) {
				const code = part.slice(1, -1);
				return codes().has(code) ? el("a", { href: "#" + code }, el("code", {}, code)) : el("code", {}, code);
			}
			return part.startsWith("**") ? el("strong", {}, part.slice(2, -2)) : part;
		});
		return el("p", {}, parts);
	});
}

let knownCodes;
function codes() {
	if (!knownCodes) {
		knownCodes = new Set([...(api["x-problem-codes"] || []), ...(api["x-event-codes"] || [])].map((entry) => entry.code));
	}
	return knownCodes;
}

const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

/** Returns a schema's type in a few words. */
function typeOf(schema) {
	// A name says enough of what can be unfolded; of the rest it is told what they are.
	if (schema.$ref) return unfolds(schema) ? nameOf(schema) : nameOf(schema) + ": " + typeOf(resolve(schema));
	if (schema.oneOf) return schema.oneOf.map(typeOf).join(" or ");
	if (schema.allOf) return schema.allOf.map(typeOf).filter((type) => type !== "object").join(" and ");
	if (schema.const !== undefined) return JSON.stringify(schema.const);
	const types = [].concat(schema.type || "any").map((type) => {
		if (type === "array" && schema.items) return "array of " + typeOf(schema.items);
		if (type === "object" && typeof schema.additionalProperties === "object" && !schema.properties) return "map of " + typeOf(schema.additionalProperties);
		return type;
	});
	return types.join(" or ") + (schema.format ? " (" + schema.format + ")" : "");
}

/** Returns what a schema demands beside its type. */
function limits(schema) {
	const words = [];
	const range = (low, high, unit) => {
		const n = (x) => x.toLocaleString("en");
		if (low !== undefined && high !== undefined) words.push(`${n(low)} to ${n(high)}${unit}`);
		else if (low !== undefined) words.push(`at least ${n(low)}${unit}`);
		else if (high !== undefined) words.push(`at most ${n(high)}${unit}`);
	};
	range(schema.minimum, schema.maximum, "");
	range(schema.minLength, schema.maxLength, " bytes");
	range(schema.minItems, schema.maxItems, " entries");
	if (schema.default !== undefined) words.push("default " + JSON.stringify(schema.default));
	if (schema.pattern) words.push("pattern " + schema.pattern);
	return words.join("; ");
}

/** Returns the values a schema allows, where they are listed. */
function values(schema) {
	const list = schema.enum || (schema.items && schema.items.enum) || (Array.isArray(schema.examples) && schema.type === "string" && schema.examples);
	if (!list || !list.length) return null;
	const parts = list.flatMap((value, n) => [n ? ", " : "", el("code", {}, typeof value === "string" ? value : JSON.stringify(value))]);
	return el("p", {}, schema.enum || (schema.items && schema.items.enum) ? "One of " : "Such as ", parts);
}

/** Returns the schema that has something to unfold below this one, through arrays, maps and references. */
function inner(schema) {
	let at = schema;
	for (let hops = 0; hops < 6; hops++) {
		const found = resolve(at);
		if (found.properties || found.oneOf || found.allOf) return { schema: found, name: nameOf(at) };
		const next = found.items || (typeof found.additionalProperties === "object" && found.additionalProperties);
		if (!next) return null;
		at = next;
	}
	return null;
}

const unfolds = (schema) => {
	const below = inner(schema);
	if (!below) return null;
	if (below.schema.properties || below.schema.allOf) return below;
	return below.schema.oneOf.some((one) => inner(one)) ? below : null;
};

/** Returns the tree of a schema's fields. Branches are made when they are opened, so that a tree may refer to itself. */
function tree(schema) {
	const found = resolve(schema);
	const list = el("ul", { class: "tree" });
	if (found.allOf) {
		for (const part of found.allOf) list.append(...tree(part).children);
		return list;
	}
	if (found.oneOf) {
		for (const one of found.oneOf) {
			const target = resolve(one);
			if (target.type === "null") continue;
			list.append(el("li", {}, branch(el("span", { class: "type" }, "either ", nameOf(one) || typeOf(one)), one, target, target.description)));
		}
		return list;
	}
	for (const [name, property] of Object.entries(found.properties || {})) {
		const required = (found.required || []).includes(name);
		const target = { ...resolve(property), ...property };
		const head = el("span", {}, el("code", {}, name), " ", el("span", { class: "type" }, typeOf(property)), required ? el("span", { class: "required" }, " required") : null);
		list.append(el("li", {}, branch(head, property, target, property.description || target.description)));
	}
	if (!list.children.length) {
		const below = unfolds(found);
		if (below) return tree(below.schema);
	}
	return list;
}

function branch(head, schema, target, description) {
	const about = el("div", { class: "about" }, prose(description), limits(target) ? el("p", { class: "type" }, limits(target)) : null, values(target));
	const below = unfolds(schema);
	if (!below) return [el("div", {}, head), about];
	const details = el("details", {}, el("summary", {}, "Fields" + (below.name ? " of " + below.name : "")));
	details.addEventListener("toggle", () => {
		if (details.open && details.children.length === 1) details.append(tree(below.schema));
	});
	return [el("div", {}, head), about, details];
}

/** Returns a box of text with a button that copies it. */
function copyable(pre, what) {
	const button = el("button", { type: "button", "aria-label": "Copy " + what }, "Copy");
	button.addEventListener("click", async () => {
		try {
			await navigator.clipboard.writeText(pre.textContent);
			say("Copied.");
		} catch {
			// Without the permission the text is at least selected.
			getSelection().selectAllChildren(pre);
			say("Selected: copy it with the keyboard.");
		}
	});
	return el("div", { class: "code" }, pre, button);
}

let saying;
function say(text) {
	const said = document.getElementById("said");
	said.textContent = text;
	clearTimeout(saying);
	saying = setTimeout(() => { said.textContent = ""; }, 2500);
}

const json = (value) => el("pre", { tabindex: "0" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
const quote = (text) => "'" + text.replace(/'/g, "'\\''") + "'";

/** Returns a command that calls an operation. */
function curl(path, method, operation, parameters, item) {
	const own = (item.servers || [])[0];
	const address = own ? Object.values(own.variables)[0].default : state.address;
	let url = path;
	const query = [];
	const lines = [];
	for (const p of parameters) {
		if (p.in === "path") url = url.replace(`{${p.name}}`, encodeURIComponent(p.example || (p.schema.enum || [p.name])[0]));
		else if (p.in === "query" && p.example !== undefined) query.push(p.name + "=" + encodeURIComponent(p.example));
	}
	const get = method === "get" ? "" : `-X ${method.toUpperCase()} `;
	lines.push(`curl ${get}${quote(address + url + (query.length ? "?" + query.join("&") : ""))}`);
	const schemes = (operation.security || []).map((one) => Object.keys(one)[0]);
	if (schemes.length) {
		const kind = schemes.includes("publishableKey") ? "pk_…" : schemes.includes("secretKey") ? "sk_…" : "TOKEN";
		lines.push("-H " + quote("Authorization: Bearer " + (state.key || kind)));
	}
	const content = operation.requestBody && Object.entries(operation.requestBody.content)[0];
	if (content) {
		lines.push("-H " + quote("Content-Type: " + content[0]));
		lines.push("-d " + quote(JSON.stringify(content[1].example)));
	}
	return lines.join(" \\\n  ");
}

function parametersTable(parameters) {
	const rows = parameters.map((p) => {
		const schema = p.schema || Object.values(p.content)[0].schema;
		const target = { ...resolve(schema), ...schema };
		const wide = unfolds(schema);
		return el("tr", {},
			el("th", { scope: "row" }, el("code", {}, p.name), el("br"), el("span", { class: "type" }, "in the " + ({ query: "address", path: "path", header: "headers", cookie: "cookies" })[p.in]),
				p.required ? el("span", { class: "required" }, " required") : null),
			el("td", {}, el("span", { class: "type" }, typeOf(schema) + (limits(target) ? "; " + limits(target) : ""))),
			el("td", {}, prose(p.description), values(target), wide ? branch("", schema, {}, "").slice(2) : null, p.example !== undefined ? el("p", { class: "type" }, "Example: ", el("code", {}, String(p.example))) : null));
	});
	return el("div", { class: "scroll" }, el("table", { class: "stack" },
		el("thead", {}, el("tr", {}, ["Parameter", "Type", "Meaning"].map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, rows)));
}

function content(contents) {
	return Object.entries(contents || {}).map(([mime, media], n) => {
		const schema = media.schema || {};
		const parts = [el("p", {}, el("code", {}, mime), " ", el("span", { class: "type" }, typeOf(schema)))];
		const fields = tree(schema);
		// The same body under another name needs no second tree.
		if (n === 0 || nameOf(schema) === "") {
			const found = resolve(schema);
			if (found.description) parts.push(...prose(found.description));
			if (fields.children.length) parts.push(fields);
		}
		if (media.example !== undefined) parts.push(el("details", {}, el("summary", {}, "Example"), json(media.example)));
		return parts;
	}).flat();
}

function responses(operation) {
	return Object.entries(operation.responses).map(([status, given]) => {
		const response = resolve(given);
		const bad = Number(status) >= 400;
		const summary = el("summary", {}, el("span", { class: "status" }, status), " ", bad ? (response["x-codes"] || []).join(", ") : response.description);
		const parts = [];
		if (bad) parts.push(...prose(response.description));
		const headers = Object.entries(response.headers || {}).map(([name, header]) => el("p", {}, el("code", {}, name), " ", prose(resolve(header).description).flatMap((p) => [...p.childNodes])));
		if (headers.length) parts.push(el("p", { class: "type" }, "Headers"), ...headers);
		if (bad) {
			const examples = Object.values((response.content || {})["application/problem+json"]?.examples || {}).map((e) => json(resolve(e).value));
			parts.push(el("details", {}, el("summary", {}, examples.length > 1 ? "Examples" : "Example"), examples));
		} else {
			parts.push(...content(response.content));
		}
		return el("details", { class: "part", open: !bad }, summary, parts);
	});
}

function security(operation) {
	const names = (operation.security || []).map((one) => Object.keys(one)[0]);
	if (!names.length) return el("p", {}, "No key is needed.");
	const parts = names.flatMap((name, n) => [n ? " or " : "", el("a", { href: "#key-" + name }, name)]);
	return el("p", {}, "Key: ", parts, ".");
}

function operationSection(path, method, operation, item) {
	const parameters = [...(item.parameters || []), ...(operation.parameters || [])].map(resolve);
	const id = operation.operationId;
	const pre = el("pre", { class: "curl", tabindex: "0" });
	const write = () => { pre.textContent = curl(path, method, operation, parameters, item); };
	write();
	curls.push(write);
	const body = operation.requestBody;
	return el("section", { class: "operation", id, "aria-labelledby": id + "-title" },
		el("h3", { id: id + "-title" }, operation.summary, el("a", { class: "hash", href: "#" + id, "aria-label": "Link to " + operation.summary }, "#")),
		el("p", { class: "line" }, el("span", { class: "method " + method }, method), el("span", { class: "path" }, path)),
		prose(operation.description), security(operation), copyable(pre, "the command"),
		parameters.length ? [el("h4", {}, "Parameters"), parametersTable(parameters)] : null,
		body ? [el("h4", {}, "Body"), content(body.content)] : null,
		el("h4", {}, "Answers"), responses(operation));
}

function codeTable(id, title, text, head, rows) {
	return [el("h2", { id }, title), prose(text), el("div", { class: "scroll" }, el("table", { class: "stack" },
		el("thead", {}, el("tr", {}, head.map((t) => el("th", { scope: "col" }, t)))),
		el("tbody", {}, rows.map(([code, ...cells]) => el("tr", { id: code }, el("th", { scope: "row" }, el("code", {}, code)), cells.map((c) => el("td", {}, prose(String(c)))))))))];
}

function schemes() {
	return [el("h2", { id: "keys" }, "Keys"), el("div", { class: "scroll" }, el("table", { class: "stack" },
		el("thead", {}, el("tr", {}, ["Name", "What it is"].map((t) => el("th", { scope: "col" }, t)))),
		el("tbody", {}, Object.entries(api.components.securitySchemes).map(([name, scheme]) =>
			el("tr", { id: "key-" + name }, el("th", { scope: "row" }, el("code", {}, name)), el("td", {}, prose(scheme.description)))))))];
}

function setting(label, value, placeholder, change) {
	const input = el("input", { type: "text", value, placeholder, autocomplete: "off", spellcheck: "false", id: "set-" + label.length });
	input.addEventListener("input", () => {
		change(input.value.trim());
		for (const write of curls) write();
	});
	return el("div", {}, el("label", { for: input.id }, label), input);
}

function render() {
	const main = document.getElementById("main");
	const nav = document.getElementById("nav");
	const server = api.servers[0];
	state.address = Object.values(server.variables)[0].default;
	document.getElementById("version").textContent = api.info.version;
	main.replaceChildren(el("h1", {}, api.info.title + " API"), ...prose(api.info.description),
		el("p", {}, el("a", { href: "/openapi.json" }, "The OpenAPI document"), " is made for tools."),
		el("div", { class: "settings" },
			setting("Address in the commands", state.address, "http://…", (value) => { state.address = value; }),
			setting("Key in the commands", "", "pk_… or sk_…", (value) => { state.key = value; })));
	const link = (href, ...children) => el("li", {}, el("a", { href }, ...children));
	const operations = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((m) => item[m]).map((method) => ({ path, method, item, operation: item[method] })));
	main.append(...schemes());
	const start = [link("#main", "Start"), link("#keys", "Keys"), link("#problems", "Problem codes"), link("#event-codes", "Event codes")];
	nav.append(el("ul", {}, start));
	for (const tag of api.tags) {
		const mine = operations.filter(({ operation }) => operation.tags.includes(tag.name));
		main.append(el("h2", { id: "tag-" + tag.name.toLowerCase() }, tag.name), ...prose(tag.description));
		main.append(...mine.map(({ path, method, operation, item }) => operationSection(path, method, operation, item)));
		nav.append(el("h2", {}, tag.name), el("ul", {}, mine.map(({ method, operation }) =>
			link("#" + operation.operationId, el("span", { class: "method " + method }, method === "delete" ? "del" : method), el("span", {}, operation.summary)))));
	}
	main.append(...codeTable("problems", "Problem codes", "Every answer with a status of 400 or more is `application/problem+json` with one of these codes; its `type` leads here.",
		["Code", "Status", "Meaning"], api["x-problem-codes"].map((c) => [c.code, c.status, c.meaning])).flat());
	main.append(...codeTable("event-codes", "Event codes", "What the result of an event may say beside `ok`, `duplicate`, `drop` and `retry`.",
		["Code", "Result", "Meaning"], api["x-event-codes"].map((c) => [c.code, c.result, c.meaning])).flat());
	menu(nav);
	// The target was not there when the browser looked for it.
	if (location.hash) {
		const hash = location.hash;
		history.replaceState(null, "", location.pathname);
		location.replace(hash);
	}
}

function menu(nav) {
	const button = document.getElementById("menu");
	const open = (yes) => {
		nav.classList.toggle("open", yes);
		button.setAttribute("aria-expanded", String(yes));
	};
	button.addEventListener("click", () => open(!nav.classList.contains("open")));
	nav.addEventListener("click", (event) => { if (event.target.closest("a")) open(false); });
	document.addEventListener("keydown", (event) => {
		if (event.key === "Escape" && nav.classList.contains("open")) {
			open(false);
			button.focus();
		}
	});
}

fetch("/openapi.json").then((answer) => {
	if (!answer.ok) throw new Error("the server answered " + answer.status);
	return answer.json();
}).then((document_) => {
	api = document_;
	render();
}).catch((error) => {
	document.getElementById("state").textContent = "The document cannot be shown: " + error.message + ".";
});
