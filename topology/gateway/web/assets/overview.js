// The overview, which follows the gateway while the page is visible.
import { address, askJson, byId, make, tell } from "./app.js";

const EVERY = 5000;
const KINDS = { up: "good", healthy: "good", draining: "warn", suspect: "warn", degraded: "warn", down: "bad" };

const figure = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
const state = (text) => make("span", { class: `state ${KINDS[text] || ""}` }, text);

const colour = (position, count) => `hsl(${(200 + Math.round((360 * position) / count)) % 360} 55% 55%)`;

function dot(position, count) {
  const mark = make("span", { class: "dot", "aria-hidden": "true" });
  mark.style.background = colour(position, count);
  return mark;
}

/** Draw the hash ring: each part has the colour of the node whose virtual node comes next, clockwise from the top. */
function draw(circle, ids) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const at = (place, radius) => {
    const angle = (2 * Math.PI * place) / circle.length;
    return `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
  };
  const parts = [];
  for (let from = 0, to; from < circle.length; from = to) {
    for (to = from + 1; to < circle.length && circle[to] === circle[from]; ) to++;
    const large = to - from > circle.length / 2 ? 1 : 0;
    const end = to - from === circle.length ? to - 0.01 : to; // an arc that ends where it begins is none
    const path = `M ${at(from, 98)} A 98 98 0 ${large} 1 ${at(end, 98)} L ${at(end, 62)} A 62 62 0 ${large} 0 ${at(from, 62)} Z`;
    const part = svg("path", { d: path, fill: colour(ids.indexOf(circle[from]), ids.length) });
    part.append(svg("title", {}));
    part.firstChild.textContent = circle[from];
    parts.push(part);
  }
  const share = (id) => Math.round((100 * circle.filter((one) => one === id).length) / circle.length);
  byId("ring").setAttribute("aria-label", `The hash ring: ${ids.map((id) => `${id} ${share(id)} %`).join(", ")}`);
  byId("ring").replaceChildren(...parts);
  byId("ring").toggleAttribute("hidden", !circle.length);
}

function row(node, copies, dot) {
  const bar = make("meter", { min: 0, max: Math.max(copies, 1), value: node.graphs_placed });
  bar.setAttribute("aria-label", `share of ${node.id} in all copies`);
  return make(
    "tr",
    {},
    make("td", {}, dot, node.id, make("br"), make("span", { class: "hint" }, node.url)),
    make("td", {}, state(node.state)),
    make("td", { class: "number" }, node.graphs_placed.toLocaleString("en")),
    make("td", { class: "number" }, (node.graphs_missing || 0).toLocaleString("en")),
    make("td", {}, bar),
  );
}

const told = (number, unknown) => (number === null ? unknown : number.toLocaleString("en"));

const linkRow = ({ group, instances, state: condition, lag }) =>
  make(
    "tr",
    {},
    make("td", {}, group),
    make("td", { class: "number" }, told(instances, "?")),
    make("td", {}, condition),
    make("td", { class: "number" }, told(lag, "–")),
  );

function show(overview) {
  const { health, nodes, links, circle } = overview;
  const count = (number, query) => make("a", { href: address("offerings", query) }, number.toLocaleString("en"));
  const states = Object.entries(overview.states).map(([name, number]) => figure(name, count(number, { state: name })));
  byId("state").replaceChildren(
    figure("Catalogue", state(health.status)),
    figure("Offerings", count(overview.offerings, {})),
    ...states,
    ...(nodes ? [figure("Nodes", nodes.length.toLocaleString("en"))] : []),
    ...Object.entries(health.failing || {}).map(([name]) => figure(name, make("span", { class: "state bad" }, "failing"))),
    figure("Copies missing", (health.copies_missing || 0).toLocaleString("en")),
    figure("Copies refused", (health.copies_refused || 0).toLocaleString("en")),
    figure("Ring epoch", health.epoch.toLocaleString("en")),
  );
  const problems = [
    ...Object.entries(health.failing || {}).map(([name, death]) => `${name} ${death}`),
    ...Object.entries(health.unusable || {}).map(([node, problem]) => `${node} cannot be used: ${problem}`),
    ...Object.entries(health.uninspected || {}).map(([node, problem]) => `${node} cannot be inspected: ${problem}`),
    ...Object.entries(health.refusing || {}).map(([node, problem]) => `${node} refuses copies: ${problem}`),
  ];
  byId("failing").replaceChildren(...problems.map((problem) => make("p", { class: "problem" }, problem)));
  const most = Math.max(...(nodes || []).map((node) => node.graphs_placed), 0);
  byId("links").replaceChildren(...(links || []).map(linkRow));
  byId("links-section").hidden = !links?.length;
  byId("untold-links").hidden = !links?.some(({ instances }) => instances === null);
  const ids = (nodes || []).map((node) => node.id);
  draw(circle || [], ids);
  byId("nodes").replaceChildren(
    ...(nodes || []).map((node, position) => row(node, most, circle?.length ? dot(position, ids.length) : "")),
  );
  byId("nodes-section").hidden = !nodes;
  byId("no-nodes").hidden = Boolean(ids.length);
  tell(null);
}

/** Ask once. Return whether to ask again: a browser asks its user for a key each time that one is missing. */
async function poll() {
  if (document.hidden) return true;
  try {
    show(await askJson("overview"));
  } catch (error) {
    tell(error);
    return error.status !== 401;
  }
  return true;
}

/** Follow the gateway's events; while none comes, since it has no room or a proxy keeps them back, ask again and again. */
function follow() {
  let isHeard = false;
  const ask = async () => (await poll()) || clearInterval(timer);
  const timer = setInterval(() => isHeard || ask(), EVERY);
  const events = new EventSource(address("overview"));
  events.onmessage = (event) => {
    isHeard = true;
    show(JSON.parse(event.data));
  };
  events.onerror = () => {
    isHeard = false;
    ask();
  };
  return () => (events.close(), clearInterval(timer));
}

// A page that is not looked at holds no stream.
let unfollow = follow();
document.addEventListener("visibilitychange", () => {
  unfollow();
  if (!document.hidden) unfollow = follow();
});
