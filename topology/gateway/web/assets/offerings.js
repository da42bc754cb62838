// The offerings page by page, and one of them in full.
import { address, ask, askJson, byId, link, make, tell } from "./app.js";

const LIMIT = 50;
const KINDS = { placed: "good", waiting: "warn", stale: "warn", failing: "bad", conflict: "bad", gone: "bad" };
const FACTS = {
  state: "State", since: "Since", error: "Last error", next_try: "Next try", address: "Ledger address", graph: "IRI",
  source: "Description", owner: "Owner", name: "Name", hash_check: "Hash", owned_by: "Graph owned by",
};

const given = new URLSearchParams(location.search);
const only = document.body.dataset.offering;
const parameters = { state: given.get("state"), id: given.get("id"), q: given.get("q"), offset: given.get("offset") };
const pageOf = (one) => address(`offerings/${encodeURIComponent(one.address || one.graph)}`);

const state = (text) => make("span", { class: `state ${KINDS[text] || ""}` }, text || "listed");

function row(one) {
  const name = one.graph || one.address;
  return make(
    "tr",
    {},
    make("td", {}, make("a", { href: pageOf(one) }, name)),
    make("td", {}, state(one.state), one.error ? make("div", { class: "hint" }, one.error) : ""),
    make("td", {}, one.nodes.join(", ")),
  );
}

function pages(total, offset) {
  const to = (text, place) => make("a", { href: address("offerings", { ...parameters, offset: String(place) }) }, text);
  return [
    offset > 0 ? to("← Previous", Math.max(offset - LIMIT, 0)) : "",
    offset + LIMIT < total ? to("Next →", offset + LIMIT) : "",
  ];
}

async function showOne(one) {
  const facts = Object.entries(FACTS).filter(([field]) => one[field]);
  byId("facts").replaceChildren(
    ...facts.flatMap(([field, name]) => [make("dt", {}, name), make("dd", {}, link(one[field], one[field]))]),
    make("dt", {}, "On nodes"),
    make("dd", {}, one.nodes.join(", ") || "none"),
  );
  byId("offering").hidden = false;
  try {
    const answer = await ask(pageOf(one), { headers: { Accept: "text/turtle" } });
    byId("description").textContent = await answer.text();
  } catch (error) {
    byId("description").textContent = error.message;
  }
}

async function showList() {
  const filter = byId("filter");
  for (const name of ["q", "state", "id"]) filter.elements[name].value = parameters[name] || "";
  const found = await askJson("offerings", { ...parameters, limit: String(LIMIT) });
  byId("count").textContent = `${found.total.toLocaleString("en")} ${found.total === 1 ? "offering" : "offerings"}`;
  byId("offerings").replaceChildren(...found.offerings.map(row));
  byId("pages").replaceChildren(...pages(found.total, found.offset));
  if (parameters.id && found.offerings.length) await showOne(found.offerings[0]);
}

try {
  await (only ? askJson(`offerings/${encodeURIComponent(only)}`).then(showOne) : showList());
} catch (error) {
  tell(error);
}
