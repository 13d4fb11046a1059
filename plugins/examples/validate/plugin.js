// validate: a tool that says where JSON and YAML files are not well-formed.

import { list, read } from "code-agent:plugin/files@0.1.0";
import { failure, guarded } from "./guard.js";
import { problemsOf } from "./problems.js";

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
const LARGEST_FILE = 10 * 1024 * 1024;

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
    return report(paths, truncated);
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

function report(paths, truncated) {
  const lines = paths.flatMap((path) =>
    problemsOf(path, textOf(path)).map(
      ({ line, column, message }) => `${path}:${line}:${column}: ${message}`,
    ),
  );
  const what = lines.length === 0 ? "no problem" : `problems: ${lines.length}`;
  lines.push(`Files: ${paths.length}, ${what}.`);
  if (truncated) lines.push(`There are more files; name those beyond the first ${MOST_FILES}.`);
  return lines.join("\n");
}

function textOf(path) {
  return new TextDecoder().decode(contents(path));
}

function contents(path) {
  try {
    return read(path, 0n, LARGEST_FILE);
  } catch (error) {
    if (error.payload?.tag !== "not-found") throw error;
    throw failure("not-found", `there is no file ${path}; name one relative to the repository's top`);
  }
}
