// Writes statements as Turtle for people: by subject, with prefixes.
import { STATEMENT } from "./statements.js";

const PREFIXES = {
  sedimark: "https://w3id.org/sedimark/ontology#",
  dcterms: "http://purl.org/dc/terms/",
  dcat: "http://www.w3.org/ns/dcat#",
  dqv: "http://www.w3.org/ns/dqv#",
  foaf: "http://xmlns.com/foaf/0.1/",
  odrl: "http://www.w3.org/ns/odrl/2/",
  rdf: "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
  rdfs: "http://www.w3.org/2000/01/rdf-schema#",
  schema: "https://schema.org/",
  skos: "http://www.w3.org/2004/02/skos/core#",
  xsd: "http://www.w3.org/2001/XMLSchema#",
};
const TYPE = `${PREFIXES.rdf}type`;

/**
 * Return N-Triples as Turtle.
 *
 * @param {string} text - N-Triples; returned as they are if a line is none.
 */
export function turtle(text) {
  const used = new Set();
  const labels = new Map();
  const short = (term) =>
    term
      .replace(/^_:.*/, (label) => (labels.has(label) || labels.set(label, `_:b${labels.size + 1}`), labels.get(label)))
      .replace(/<([^<>]*)>$/, (whole, iri) => {
        const found = Object.entries(PREFIXES).find(([, start]) => iri.startsWith(start) && /^[A-Za-z][\w-]*$/.test(iri.slice(start.length)));
        if (!found) return whole;
        used.add(found[0]);
        return `${found[0]}:${iri.slice(found[1].length)}`;
      });
  const subjects = new Map();
  for (const line of text.split("\n").filter(Boolean).sort()) {
    const found = STATEMENT.exec(line);
    if (!found) return text;
    const [, subject, predicate, object] = found;
    const name = predicate === TYPE ? "a" : short(`<${predicate}>`);
    if (!subjects.has(subject)) subjects.set(subject, new Map());
    const said = subjects.get(subject);
    said.set(name, [...(said.get(name) || []), short(object)]);
  }
  const blocks = [...subjects].map(([subject, said]) => {
    const lines = [...said].sort(([one], [other]) => (other === "a") - (one === "a"));
    return `${short(subject)}\n${lines.map(([predicate, objects]) => `  ${predicate} ${objects.join(", ")}`).join(" ;\n")} .\n`;
  });
  return [...[...used].sort().map((name) => `PREFIX ${name}: <${PREFIXES[name]}>\n`), "\n", ...blocks.flatMap((block) => [block, "\n"])].join("").trim();
}
