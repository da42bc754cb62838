// Draws statements as a graph: subjects and objects as nodes, predicates as arrows between them.
import { address, lastPart, make } from "./app.js";
import { place } from "./graph.js";

const MOST = 200;
const LONGEST = 32;
const MARGIN = 90;
const TERM = String.raw`<[^>]*>|_:[^ ]+|"(?:[^"\\]|\\.)*"(?:\^\^<[^>]*>|@[\w-]+)?`;
export const STATEMENT = new RegExp(`^(${TERM}) <([^>]*)> (${TERM}) \\.$`);

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

/** Return how a term is shown: the last part of an IRI, the text of a literal; the labels of blank nodes say nothing. */
function label(term) {
  if (term.startsWith("_:")) return "_:";
  if (term.startsWith("<")) return cut(lastPart(term.slice(1, -1)));
  const literal = /^"((?:[^"\\]|\\.)*)"/.exec(term);
  return literal ? cut(JSON.parse(`"${literal[1].replace(/\\U([0-9A-F]{8})/g, (_, code) => String.fromCodePoint(parseInt(code, 16)))}"`)) : term;
}

/** Read N-Triples: nodes and links. Each literal is a node of its own, since equal texts mean nothing. */
function read(text) {
  const nodes = new Map();
  const links = [];
  const node = (id, term) => (nodes.has(id) || nodes.set(id, { id, term }), id);
  for (const line of text.split("\n").slice(0, MOST)) {
    const found = STATEMENT.exec(line);
    if (!found) continue;
    const [, subject, predicate, object] = found;
    const target = node(object.startsWith('"') ? `${object} ${links.length}` : object, object);
    links.push({ source: node(subject, subject), target, predicate });
  }
  return { nodes: [...nodes.values()], links };
}

function nodeOf({ x, y, term }) {
  const kind = term.startsWith('"') ? "literal" : "resource";
  const text = svg("text", { x, y: y - 10 }, label(term));
  const drawn = svg("g", { class: kind }, svg("title", {}, term), svg("circle", { cx: x, cy: y, r: kind === "literal" ? 4 : 7 }), text);
  if (!term.startsWith("<")) return drawn;
  return svg("a", { href: address("sparql", { query: `DESCRIBE ${term}` }) }, drawn);
}

function linkOf({ source, target, predicate }) {
  const [x, y] = [(source.x + target.x) / 2, (source.y + target.y) / 2];
  return svg(
    "g",
    { class: "link" },
    svg("title", {}, predicate),
    svg("line", { x1: source.x, y1: source.y, x2: target.x, y2: target.y, "marker-end": "url(#arrow)" }),
    svg("text", { x, y }, label(`<${predicate}>`)),
  );
}

/**
 * Draw statements into an element.
 *
 * @param {string} text - N-Triples; the first ones are drawn.
 * @returns {string} What was drawn, in words.
 */
export function draw(element, text) {
  const { nodes, links } = read(text);
  place(nodes, links);
  const xs = nodes.map(({ x }) => x);
  const ys = nodes.map(({ y }) => y);
  const [left, top] = [Math.min(...xs) - MARGIN, Math.min(...ys) - MARGIN];
  const [width, height] = [Math.max(...xs) + MARGIN - left, Math.max(...ys) + MARGIN - top];
  const arrow = svg("marker", { id: "arrow", viewBox: "0 0 10 10", refX: 20, refY: 5, markerWidth: 6, markerHeight: 6, orient: "auto" });
  arrow.append(svg("path", { d: "M 0 0 L 10 5 L 0 10 Z" }));
  const all = text.split("\n").filter(Boolean).length;
  const told = `${links.length.toLocaleString("en")}${all > links.length ? ` of ${all.toLocaleString("en")}` : ""} statements`;
  const picture = svg("svg", { role: "img", "aria-label": `A graph of ${told}`, viewBox: `${left} ${top} ${width} ${height}`, width, height });
  picture.append(svg("defs", {}, arrow), ...links.map(linkOf), ...nodes.map(nodeOf));
  element.replaceChildren(nodes.length ? picture : make("p", { class: "hint" }, "No statements."));
  return told;
}
