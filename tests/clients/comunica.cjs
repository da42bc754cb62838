// Asks a SPARQL endpoint by Comunica: node comunica.cjs ENDPOINT KEY QUERY…; writes each value found on a line of its own.
const { QueryEngine } = require("@comunica/query-sparql");

const [endpoint, key, ...queries] = process.argv.slice(2);

function withKey(input, init = {}) {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${key}`);
  return fetch(input, { ...init, headers });
}

async function main() {
  const engine = new QueryEngine();
  for (const query of queries) {
    // Without a type: Comunica reads the service description to learn that this is a SPARQL endpoint.
    const result = await engine.query(query, { sources: [endpoint], fetch: withKey });
    const found = await result.execute();
    if (result.resultType === "boolean") console.log(String(found));
    else if (result.resultType === "quads") for await (const quad of found) console.log(quad.object.value);
    else for await (const row of found) for (const [, term] of row) console.log(term.value);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
