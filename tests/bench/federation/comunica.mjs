// Comunica in one process that stays: each line of standard input is a query in JSON, each line of standard output its answer.
//
//     node comunica.mjs FOLDER ENDPOINT...
//
// FOLDER is where @comunica/query-sparql is installed.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, ...endpoints] = process.argv.slice(2);
const found = createRequire(`${folder}/package.json`).resolve('@comunica/query-sparql');
const { QueryEngine } = await import(pathToFileURL(found));
const engine = new QueryEngine();
const sources = endpoints.map((value) => ({ type: 'sparql', value }));

async function answer(query) {
  const result = await engine.query(query, { sources });
  const type = result.resultType === 'quads' ? 'application/n-triples' : 'application/sparql-results+json';
  const { data } = await engine.resultToString(result, type);
  const parts = [];
  for await (const part of data) {
    parts.push(part);
  }
  return { type, body: parts.join('') };
}

for await (const line of createInterface({ input: process.stdin })) {
  const started = performance.now();
  let told;
  try {
    told = await answer(JSON.parse(line));
  } catch (error) {
    told = { error: String(error?.message ?? error).slice(0, 300) };
  }
  console.log(JSON.stringify({ ...told, seconds: (performance.now() - started) / 1000 }));
}
