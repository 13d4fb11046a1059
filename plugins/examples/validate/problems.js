// What is wrong with the text of one file. It knows nothing of the host, so that
// it can be tried in Node.js, too.

import { LineCounter, parseAllDocuments } from "yaml";

// How the component's engine, SpiderMonkey, says where a JSON text is wrong.
const PLACE_IN_JSON = /^JSON\.parse: (.*) at line (\d+) column (\d+) of the JSON data$/s;

/** A list of `{ line, column, message }`, both counted from 1. */
export function problemsOf(path, text) {
  return isJson(path) ? problemsOfJson(text) : problemsOfYaml(text);
}

/** What is no JSON file is one of YAML here. */
export function isJson(path) {
  return path.endsWith(".json");
}

function problemsOfJson(text) {
  try {
    JSON.parse(text);
    return [];
  } catch (error) {
    // Such as that the memory does not suffice, which is no fault of the file's.
    if (!(error instanceof SyntaxError)) throw error;
    const [, message, line, column] = PLACE_IN_JSON.exec(error.message) ?? [];
    if (line === undefined) return [{ line: 1, column: 1, message: error.message }];
    return [{ line: Number(line), column: Number(column), message }];
  }
}

function problemsOfYaml(text) {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false });
  const errors = documents.flatMap((document) => document.errors);
  return errors.map(({ pos, message }) => {
    const { line, col: column } = lineCounter.linePos(pos[0]);
    return { line, column, message };
  });
}
