// {{name}}: a tool that counts the words of a file.

import { read } from "code-agent:plugin/files@0.1.0";
import { failure, guarded } from "./guard.js";

const COUNT_WORDS = {
  name: "count_words",
  description: "Counts the words of a text file.",
  parameters: JSON.stringify({
    type: "object",
    properties: {
      path: { type: "string", description: "The file, relative to the repository's top." },
    },
    required: ["path"],
    additionalProperties: false,
  }),
  writes: false,
};
// The host hands out no larger piece of a file.
const LARGEST_FILE = 10 * 1024 * 1024;

export const toolProvider = guarded({
  specs() {
    return [COUNT_WORDS];
  },

  call(name, args) {
    if (name !== COUNT_WORDS.name) {
      throw failure("not-found", `there is no tool ${name}; call ${COUNT_WORDS.name}`);
    }
    return countWords(pathArgument(args));
  },
});

/** Reads the arguments; the model wrote them, so they can be anything. */
function pathArgument(args) {
  const path = parsed(args)?.path;
  if (typeof path !== "string") {
    throw failure("invalid", 'the arguments have to be like {"path": "README.md"}');
  }
  return path;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function countWords(path) {
  const words = new TextDecoder().decode(contents(path)).match(/\S+/g) ?? [];
  return `${path} has ${words.length} words`;
}

function contents(path) {
  try {
    return read(path, 0n, LARGEST_FILE);
  } catch (error) {
    if (error.payload?.tag !== "not-found") throw error;
    throw failure("not-found", `there is no file ${path}; name one relative to the repository's top`);
  }
}
