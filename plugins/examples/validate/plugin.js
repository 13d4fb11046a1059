// validate: a tool that says where JSON and YAML files are not well-formed.

import { list, read } from "code-agent:plugin/files@0.1.0";
import { failure, guarded } from "./guard.js";
import { isJson, problemsOf } from "./problems.js";

const VALIDATE_FILES = {
  name: "validate_files",
  description:
    "Checks whether JSON and YAML files are well-formed. Names file, line, column and what is wrong.",
  parameters: JSON.stringify({
    type: "object",
    properties: {
      paths: {
        type: "array",
        items: { type: "string" },
        description:
          "Files that end in .json, .yml or .yaml, relative to the repository's top; all of them if left out.",
      },
    },
    additionalProperties: false,
  }),
  writes: false,
};
// So many files are checked where none is named.
const MOST_FILES = 1000;
// The host hands out no larger piece of a file.
const LARGEST_JSON = 10 * 1024 * 1024;
// The parser of YAML is slow, and may take a thousand times the memory of its text.
const LARGEST_YAML = 128 * 1024;
// So much YAML is checked in one call, for the sake of its time.
const MOST_YAML = 8 * 1024 * 1024;

export const toolProvider = guarded({
  specs() {
    return [VALIDATE_FILES];
  },

  call(name, args) {
    if (name !== VALIDATE_FILES.name) {
      throw failure("not-found", `there is no tool ${name}; call ${VALIDATE_FILES.name}`);
    }
    const named = pathsArgument(args);
    const { paths, truncated } = named ? { paths: named, truncated: false } : allFiles();
    const lines = report(paths, named ? explained : leftOut);
    if (truncated) lines.push(`There are more files; name those beyond the first ${MOST_FILES}.`);
    return lines.join("\n");
  },
});

/** Reads the arguments; the model wrote them, so they can be anything. */
function pathsArgument(args) {
  const right = 'the arguments have to be like {"paths": ["package.json"]}, or {} for all files';
  let paths;
  try {
    ({ paths } = JSON.parse(args));
  } catch {
    throw failure("invalid", right);
  }
  if (paths === undefined) return undefined;
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string")) {
    throw failure("invalid", right);
  }
  const other = paths.find((path) => !/\.(json|ya?ml)$/.test(path));
  if (other) throw failure("invalid", `${other} ends neither in .json nor in .yml or .yaml`);
  return paths;
}

function allFiles() {
  return list(["*.json", "*.yml", "*.yaml"], MOST_FILES);
}

/** The answer's lines. `failed` is given what check() throws, and the path. */
function report(paths, failed) {
  const lines = [];
  const count = { checked: 0, problems: 0, leftOut: 0, yaml: 0 };
  for (const path of paths) {
    const { problems, size, why } = check(path, MOST_YAML - count.yaml, failed);
    if (why !== undefined) {
      lines.push(`${path}: left out: ${why}`);
      count.leftOut += 1;
      continue;
    }
    for (const { line, column, message } of problems) {
      lines.push(`${path}:${line}:${column}: ${message}`);
    }
    count.checked += 1;
    count.problems += problems.length;
    if (!isJson(path)) count.yaml += size;
  }
  const what = count.problems === 0 ? "no problem" : `problems: ${count.problems}`;
  const without = count.leftOut === 0 ? "" : `, left out: ${count.leftOut}`;
  lines.push(`Files: ${count.checked}, ${what}${without}.`);
  return lines;
}

/** The file's `problems` and `size`, or `why` there is nothing to be said of it. */
function check(path, yamlLeft, failed) {
  if (!isJson(path) && yamlLeft <= 0) {
    return { why: `${inWords(MOST_YAML)} of YAML were checked; name it in another call` };
  }
  const largest = isJson(path) ? LARGEST_JSON : LARGEST_YAML;
  try {
    const bytes = read(path, 0n, largest);
    if (bytes.length === largest && read(path, BigInt(largest), 1).length > 0) {
      return { why: `it is larger than ${inWords(largest)}` };
    }
    return { problems: problemsOf(path, new TextDecoder().decode(bytes)), size: bytes.length };
  } catch (error) {
    return failed(error, path);
  }
}

/**
 * A listing has links, too, that lead nowhere or out of the checkout: one such
 * file must not cost the answer about the others.
 */
function leftOut(error) {
  return { why: error.payload?.val ?? String(error) };
}

/** A file that the model named has to be there. */
function explained(error, path) {
  if (error.payload?.tag !== "not-found") throw error;
  throw failure("not-found", `there is no file ${path}; name one relative to the repository's top`);
}

function inWords(bytes) {
  const kibibytes = bytes / 1024;
  return kibibytes < 1024 ? `${kibibytes} KiB` : `${kibibytes / 1024} MiB`;
}
