// Prints the licence of each package that is built into the editor.
import { readdirSync, readFileSync } from "node:fs";

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [folder, found] of Object.entries(lock.packages)) {
  if (!folder || found.dev) continue;
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const name = folder.replace(/^node_modules\//, "");
  console.log(`${name} ${found.version}\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n\n${"-".repeat(80)}\n`);
}
