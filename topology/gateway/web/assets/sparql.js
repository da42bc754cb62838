// The query editor: runs a query, and shows its result as a table, as text or as a graph.
import { address, ask, byId, link, make, tell } from "./app.js";

const MOST_ROWS = 1000;
const LONGEST_ADDRESS = 8000; // of the common proxies
const TABLE = "application/sparql-results+json";
const STATEMENTS = "application/n-triples";
const PREFIXES = `PREFIX sedimark: <https://w3id.org/sedimark/ontology#>
PREFIX dcterms: <http://purl.org/dc/terms/>
`;
const EXAMPLES = {
  "Titles of offerings": `${PREFIXES}
SELECT ?offering ?title WHERE {
  ?offering a sedimark:Offering ; dcterms:title ?title .
} ORDER BY ?title LIMIT 50`,
  "Search in titles": `${PREFIXES}
SELECT DISTINCT ?offering ?title WHERE {
  ?offering a sedimark:Offering ; dcterms:title ?title .
  FILTER(CONTAINS(LCASE(STR(?title)), "water"))
} LIMIT 50`,
  "One offering, whole": `${PREFIXES}
CONSTRUCT { ?s ?p ?o } WHERE {
  { SELECT ?graph { GRAPH ?graph { ?offering a sedimark:Offering } } ORDER BY ?graph LIMIT 1 }
  GRAPH ?graph { ?s ?p ?o }
}`,
  "Triples of each graph": `SELECT ?graph (COUNT(*) AS ?triples) WHERE {
  GRAPH ?graph { ?s ?p ?o }
} GROUP BY ?graph ORDER BY DESC(?triples) LIMIT 50`,
  "Classes in use": `SELECT ?class (COUNT(DISTINCT ?s) AS ?instances) WHERE {
  ?s a ?class
} GROUP BY ?class ORDER BY DESC(?instances)`,
};

const TERMS = {
  sedimark: ["https://w3id.org/sedimark/ontology#", "Offering Asset AssetProvision AssetQuality OfferingContract Participant hasAsset hasOfferingContract isProvidedBy isListedBy belongsTo offeredBy"],
  dcterms: ["http://purl.org/dc/terms/", "title description creator publisher issued license language spatial identifier format"],
  dcat: ["http://www.w3.org/ns/dcat#", "keyword theme endpointURL themeTaxonomy"],
  odrl: ["http://www.w3.org/ns/odrl/2/", "permission prohibition action constraint duty leftOperand operator rightOperand"],
  schema: ["https://schema.org/", "alternateName accountId url"],
  rdf: ["http://www.w3.org/1999/02/22-rdf-syntax-ns#", "type"],
  rdfs: ["http://www.w3.org/2000/01/rdf-schema#", "label"],
  xsd: ["http://www.w3.org/2001/XMLSchema#", "string integer decimal date dateTime"],
};
const prefixes = Object.fromEntries(Object.entries(TERMS).map(([name, [iri, terms]]) => [name, { iri, terms: terms.split(" ") }]));
const area = byId("query");
let editor = null; // the component, once it is there; the text area works without it
let running = null;

/** Return the address of this page with a query; what stands after the "#" is read by no server or proxy. */
function addressOf(query) {
  const url = address("sparql", { query });
  return url.href.length > LONGEST_ADDRESS ? new URL(`#${url.search.slice(1)}`, address("sparql")) : url;
}

const queryOf = ({ search, hash }) => new URLSearchParams(search).get("query") || new URLSearchParams(hash.slice(1)).get("query");

function follow() {
  const query = area.value;
  byId("link").href = addressOf(query);
  for (const one of document.querySelectorAll("[data-format]"))
    one.href = address("sparql", { query, format: one.dataset.format });
}

/** Return the elements that show a term. */
function term(value) {
  if (!value) return [];
  if (value.type === "triple") {
    const { subject, predicate, object } = value.value;
    return ["<<( ", ...[subject, predicate, object].flatMap((one) => [...term(one), " "]), ")>>"];
  }
  if (value.type === "uri") return [link(address("sparql", { query: `DESCRIBE <${value.value}>` }), value.value)];
  const suffix = value["xml:lang"] ? ` @${value["xml:lang"]}` : "";
  return [(value.type === "bnode" ? "_:" : "") + value.value + suffix];
}

function showTable(found) {
  const names = found.head.vars || [];
  const rows = found.results.bindings;
  const table = byId("table");
  table.tHead.replaceChildren(make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, `?${name}`))));
  table.tBodies[0].replaceChildren(
    ...rows.slice(0, MOST_ROWS).map((row) => make("tr", {}, ...names.map((name) => make("td", {}, ...term(row[name]))))),
  );
  table.hidden = false;
  const cut = rows.length > MOST_ROWS ? `, of which the first ${MOST_ROWS} are shown` : "";
  return `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "row" : "rows"}${cut}`;
}

function showText(text) {
  byId("text").textContent = text;
  byId("text").hidden = false;
}

/** Offer the formats that suit the answer: a graph is no table, and the other way round. */
function offer(isGraph) {
  for (const one of document.querySelectorAll("[data-format]")) one.hidden = one.dataset.format === (isGraph ? "csv" : "turtle");
}

async function show(response) {
  const kind = response.headers.get("Content-Type") || "";
  if (!kind.startsWith("text/plain")) offer(!kind.startsWith(TABLE)); // a plan is no answer
  if (kind.startsWith(STATEMENTS)) {
    const { draw } = await import("./statements.js");
    byId("drawing").hidden = false;
    return draw(byId("drawing"), await response.text());
  }
  if (!kind.startsWith(TABLE)) {
    showText(await response.text());
    byId("draw").hidden = !kind.startsWith("text/turtle");
    return "";
  }
  const found = await response.json();
  return found.results ? showTable(found) : found.boolean ? "yes" : "no";
}

/** Give up the answer that is shown or awaited. */
function clear() {
  running?.abort();
  tell(null);
  byId("table").hidden = byId("text").hidden = byId("drawing").hidden = byId("draw").hidden = true;
  byId("status").textContent = "";
}

async function run(parameters = {}, graphs = "text/turtle") {
  clear();
  running = new AbortController();
  const { signal } = running;
  byId("status").textContent = "waiting for the answer …";
  const started = performance.now();
  try {
    const accept = parameters.explain ? "text/plain" : `${TABLE}, ${graphs};q=0.9`;
    const body = new URLSearchParams({ query: area.value, ...parameters });
    const response = await ask(address("sparql"), { method: "POST", body, headers: { Accept: accept }, signal });
    const said = await show(response);
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const completeness = response.headers.get("Catena-Completeness") || "";
    byId("status").textContent = [said, completeness, `${seconds} s`].filter(Boolean).join(" · ");
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("status").textContent = "";
    tell(error);
    if (error.line) select(error.line, error.column);
  }
}

/** Put the cursor where the query goes wrong. */
function select(line, column) {
  if (editor) return editor.select(line, column);
  const before = area.value.split("\n").slice(0, line - 1).join("\n");
  const place = before.length + (line > 1 ? 1 : 0) + column - 1;
  area.focus();
  area.setSelectionRange(place, place + 1);
}

const submit = () => byId("query-form").requestSubmit();

const examples = byId("examples");
examples.append(make("option", { value: "" }, "choose …"), ...Object.keys(EXAMPLES).map((name) => make("option", {}, name)));
examples.addEventListener("change", () => {
  if (!EXAMPLES[examples.value]) return;
  area.value = EXAMPLES[examples.value];
  editor?.set(area.value);
  follow();
});
area.addEventListener("input", follow);
area.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
});
byId("query-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("link").href !== location.href) history.pushState(null, "", byId("link").href);
  run();
});
byId("downloads").addEventListener("click", (event) => {
  const { format } = event.target.dataset;
  if (!format || event.target.href.length <= LONGEST_ADDRESS) return;
  event.preventDefault();
  const fields = Object.entries({ query: area.value, format }).map(([name, value]) => Object.assign(make("input", { name }), { type: "hidden", value }));
  const form = make("form", { method: "post", action: address("sparql") }, ...fields);
  document.body.append(form);
  form.submit();
  form.remove();
});
byId("draw").addEventListener("click", () => run({}, STATEMENTS));
byId("explain").addEventListener("click", () => run({ explain: "text" }));

/** Put the query of the address into the editor, and run it. */
function take() {
  const asked = queryOf(location);
  area.value = asked || EXAMPLES["Titles of offerings"];
  editor?.set(area.value);
  follow();
  if (asked) run();
  else clear();
}

addEventListener("popstate", take);
take();

import("./editor.js").then(({ edit }) => {
  const onChange = (text) => {
    area.value = text;
    follow();
  };
  editor = edit(area, { prefixes, onChange, onRun: submit });
});
