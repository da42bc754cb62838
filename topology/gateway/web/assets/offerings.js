// The offerings page by page, and one of them in full.
import { address, ask, askJson, byId, lastPart, link, make, tell } from "./app.js";
import { turtle } from "./turtle.js";

const LIMIT = 50;
const KINDS = { placed: "good", waiting: "warn", stale: "warn", failing: "bad", conflict: "bad", gone: "bad" };
const FACTS = {
  since: "Since", error: "Last error", next_try: "Next try", address: "Ledger address", graph: "IRI",
  source: "Description at", owner: "Owner", name: "Name on the ledger", hash_check: "Hash", owned_by: "Graph owned by",
};
const HASHES = { same: "the ledger's", differs: "another one than the ledger's" };

const given = new URLSearchParams(location.search);
const only = document.body.dataset.offering;
const FACETS = ["provider", "theme", "keyword", "licence"];
const FILTERS = ["q", "state", "id", ...FACETS];
const filters = Object.fromEntries(FILTERS.map((name) => [name, given.get(name)]));
const parameters = { ...filters, offset: given.get("offset") };
const pageOf = (one) => address(`offerings/${encodeURIComponent(one.address || one.graph)}`);

const state = (text) => make("span", { class: `state ${KINDS[text] || ""}` }, text || "listed");

/** Return the host that an IRI names, to tell offerings of one title apart; else the IRI. */
function hostOf(iri) {
  try {
    return new URL(iri).host || iri;
  } catch {
    return iri;
  }
}

function row(one) {
  const iri = one.graph || one.address;
  const title = one.title || one.name;
  const name = make("a", { href: pageOf(one), title: iri }, title || iri);
  return make(
    "tr",
    {},
    make("td", {}, name, title ? make("div", { class: "hint" }, hostOf(iri)) : ""),
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

/** Name a Creative Commons licence as people do; of another one, return its address. */
function licenceName(url) {
  const found = /creativecommons\.org\/(?:licenses|publicdomain)\/([a-z-]+)\/([\d.]+)/.exec(url);
  if (!found) return url;
  return found[1] === "zero" ? `CC0 ${found[2]}` : found[1] === "mark" ? "Public Domain Mark" : `CC ${found[1].toUpperCase()} ${found[2]}`;
}

/** Return what the description says, which the page has with it for search engines: names, each with its elements. */
function described() {
  const said = JSON.parse(document.querySelector("script[type='application/ld+json']")?.textContent || "{}");
  const named = ({ "@id": iri, name }) => link(iri, name === iri ? lastPart(iri) : name);
  const others = (facet) => (value) => make("a", { href: address("offerings", { [facet]: value }) }, value);
  const provider = (name) => (name === "unknown" ? name : others("provider")(name));
  return [
    ["Description", said.description && said.description !== said.name ? [said.description] : []],
    ["Provider", said.creator ? [provider(said.creator.name)] : []],
    ["Themes", (said.about || []).map(named)],
    ["Keywords", (said.keywords || []).map(others("keyword"))],
    ["Licence", said.license ? [link(said.license, licenceName(said.license))] : []],
    ["Issued", said.datePublished ? [said.datePublished] : []],
    ["Places", (said.spatialCoverage || []).map(named)],
    ["Data", (said.distribution || []).map((one) => link(one.contentUrl, `${one.contentUrl}${one.encodingFormat ? ` (${one.encodingFormat})` : ""}`))],
  ];
}

const listed = (elements) => elements.flatMap((one, position) => (position ? [", ", one] : [one]));

async function showOne(one) {
  const facts = Object.entries(FACTS).filter(([field]) => one[field]);
  const all = [
    ...described(),
    ["State", one.state ? [state(one.state)] : []],
    ...facts.map(([field, name]) => [name, [link(one[field], field === "hash_check" ? HASHES[one[field]] : one[field])]]),
    ["On nodes", [one.nodes.join(", ") || "none"]],
  ];
  byId("facts").replaceChildren(
    ...all.filter(([, values]) => values.length).flatMap(([name, values]) => [make("dt", {}, name), make("dd", {}, ...listed(values))]),
  );
  byId("offering").hidden = false;
  try {
    const answer = await ask(pageOf(one), { headers: { Accept: "application/n-triples" } });
    byId("description").textContent = turtle(await answer.text());
  } catch (error) {
    byId("description").textContent = error.message;
  }
}

/** Say why a page of the list is empty, and where to look. */
async function emptiness(total) {
  const to = (text, query) => make("a", { href: address("offerings", query) }, text);
  if (total) return ["This page lies beyond the last offering: ", to("show the first page", filters)];
  if (FILTERS.some((name) => filters[name])) return ["Nothing matches this filter: ", to("show all offerings", {})];
  const { states } = await askJson("overview");
  const others = Object.entries(states).filter(([, number]) => number);
  if (others.length) {
    return ["None stands yet; the ledger lists others: ", ...listed(others.map(([state, number]) => to(`${number.toLocaleString("en")} ${state}`, { state })))];
  }
  return [
    "Nothing is listed yet. With a ledger, catena doctor and the log of address_generator tell whether its booth answers; without one, " +
      "the graphs of the nodes are listed.",
  ];
}

async function showList() {
  const filter = byId("filter");
  for (const name of FILTERS) filter.elements[name].value = filters[name] || "";
  byId("facets").open = FACETS.some((name) => filters[name]);
  const found = await askJson("offerings", { ...parameters, limit: String(LIMIT) });
  byId("count").textContent = `${found.total.toLocaleString("en")} ${found.total === 1 ? "offering" : "offerings"}`;
  byId("offerings").replaceChildren(...found.offerings.map(row));
  byId("pages").replaceChildren(...pages(found.total, found.offset));
  byId("list").hidden = !found.offerings.length;
  if (!found.offerings.length) byId("empty").replaceChildren(...(await emptiness(found.total)));
  byId("empty").hidden = Boolean(found.offerings.length);
  if (parameters.id && found.offerings.length) await showOne(found.offerings[0]);
}

try {
  await (only ? askJson(`offerings/${encodeURIComponent(only)}`).then(showOne) : showList());
} catch (error) {
  tell(error);
}
