// The overview, which follows the gateway while the page is visible.
import { address, askJson, byId, make, tell } from "./app.js";

const EVERY = 5000;
const KINDS = { up: "good", healthy: "good", draining: "warn", suspect: "warn", degraded: "warn", down: "bad" };

const figure = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
const state = (text) => make("span", { class: `state ${KINDS[text] || ""}` }, text);

function row(node, most) {
  const bar = make("meter", { min: 0, max: Math.max(most, 1), value: node.graphs_placed });
  bar.setAttribute("aria-label", `graphs on ${node.id}`);
  return make(
    "tr",
    {},
    make("td", {}, node.id, make("br"), make("span", { class: "hint" }, node.url)),
    make("td", {}, state(node.state)),
    make("td", { class: "number" }, node.graphs_placed.toLocaleString("en")),
    make("td", { class: "number" }, (node.graphs_missing || 0).toLocaleString("en")),
    make("td", {}, bar),
  );
}

function show(overview) {
  const { health, nodes } = overview;
  const count = (number, query) => make("a", { href: address("offerings", query) }, number.toLocaleString("en"));
  const states = Object.entries(overview.states).map(([name, number]) => figure(name, count(number, { state: name })));
  byId("state").replaceChildren(
    figure("Catalogue", state(health.status)),
    figure("Offerings", count(overview.offerings, {})),
    ...states,
    ...(nodes ? [figure("Nodes", nodes.length.toLocaleString("en"))] : []),
    figure("Copies missing", (health.copies_missing || 0).toLocaleString("en")),
    figure("Ring epoch", health.epoch.toLocaleString("en")),
  );
  const most = Math.max(...(nodes || []).map((node) => node.graphs_placed), 0);
  byId("nodes").replaceChildren(...(nodes || []).map((node) => row(node, most)));
  byId("nodes-section").hidden = !nodes;
  tell(null);
}

async function poll() {
  if (document.hidden) return;
  try {
    show(await askJson("overview"));
  } catch (error) {
    tell(error);
  }
}

/** Follow the gateway's events; where it has no room for another client, or a proxy keeps them back, ask again and again. */
function follow() {
  let timer;
  const events = new EventSource(address("overview"));
  events.onmessage = (event) => show(JSON.parse(event.data));
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) timer ??= setInterval(poll, EVERY);
    poll();
  };
  return () => (events.close(), clearInterval(timer));
}

// A page that is not looked at holds no stream.
let unfollow = follow();
document.addEventListener("visibilitychange", () => {
  unfollow();
  if (!document.hidden) unfollow = follow();
});
