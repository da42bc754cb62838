// The parts that all pages use: requests to the gateway, and elements made from text, never from markup of strangers.

const root = new URL(document.body.dataset.root || ".", location.href);

/** Return the address of a resource of the gateway, with parameters. */
export function address(path, parameters = {}) {
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, value);
  return url;
}

/** Fetch from the gateway; an error has the gateway's own words, and line and column where it has them. */
export async function ask(url, options = {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The gateway does not answer.");
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || `The gateway answers with status ${response.status}.`), problem);
  }
  return response;
}

export const askJson = async (path, parameters) =>
  (await ask(address(path, parameters), { headers: { Accept: "application/json" } })).json();

/** Make an element with children, each a text or an element. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Make a link that shows its address where the text does not. */
export function link(href, text) {
  const title = text === href ? {} : { title: href };
  // Only these schemes: a stranger's IRI could be javascript:.
  return /^https?:/i.test(String(href)) ? make("a", { href, rel: "noreferrer", ...title }, text) : make("span", title, text);
}

/** Return the last part of an IRI, which most often is a word; the whole where there is no such part. */
export const lastPart = (iri) => iri.replace(/[#/:]+$/, "").split(/[#/:]/).pop() || iri;

export const byId = (id) => document.getElementById(id);

/** Show an error, or hide the last one. */
export function tell(error) {
  const place = byId("problem");
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}
