// Builds plugin.js into validate.wasm: `node build.mjs`.

import { execSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";

const COMPONENT = "validate.wasm";
const BUNDLE = "bundle/plugin.js";

process.chdir(import.meta.dirname);
if (!existsSync("node_modules/.package-lock.json")) {
  console.log("installing what package.json names");
  execSync("npm install --no-audit --no-fund", { stdio: "inherit" });
}
const { build } = await import("rolldown");
// It imports preview2-shim without saying so; that is why package.json names it.
const { componentize } = await import("@bytecodealliance/componentize-js");

// One file with all that plugin.js imports, packages of npm included. What comes
// from the host stays an import.
await build({
  input: "plugin.js",
  external: /^code-agent:/,
  platform: "neutral",
  resolve: { mainFields: ["module", "main"] },
  output: { file: BUNDLE, format: "esm" },
  logLevel: "warn",
  // There is no such module at run time either: nothing of Node.js, say.
  onLog: (level, log, report) =>
    report(log.code === "UNRESOLVED_IMPORT" ? "error" : level, log),
});

// Without WASI, the component reaches nothing but what wit/world.wit imports.
const { component } = await componentize({
  sourcePath: BUNDLE,
  witPath: "wit",
  worldName: "plugin",
  disableFeatures: ["clocks", "fetch-event", "http", "random", "stdio"],
});
await writeFile(COMPONENT, component);
console.log(`${COMPONENT}: ${(component.length / 1e6).toFixed(1)} MB`);
