// The agent loop: a model and its tools take turns until the work is finished. The
// model is offered the host's tools and one of the role's own, which ends the work.

import { Conversation } from "code-agent:plugin/lm@0.1.0";
import * as tools from "code-agent:plugin/tools@0.1.0";
import { failure } from "./guard.js";

// So many replies of the model, and the attempt is over.
const MOST_TURNS = 100;
// From this share of the model's context window on, old tool results are emptied.
const FULL_CONTEXT = 0.8;
// The results of so many replies stay then.
const KEPT_RESULTS = 3;

/**
 * Lets the model work until it calls the finishing tool `{ name, description,
 * parameters }`, and returns the arguments of that call. `parameters` is a JSON
 * Schema of an object, by the words that `mistake` knows. `objection` says what
 * speaks against the arguments, for the model, if anything does.
 */
export function run(system, firstMessage, finish, objection = () => undefined) {
  const own = { ...finish, parameters: JSON.stringify(finish.parameters), writes: false };
  const conversation = Conversation.open({ system, tools: [...tools.specs(), own] });
  conversation.say(firstMessage);
  let reminded = false;
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const reply = conversation.reply();
    if (reply.calls.length > 0) {
      const { results, finished } = carryOut(reply.calls, finish, objection);
      conversation.answer(results);
      if (finished !== undefined) return finished;
      reminded = false;
    } else if (!reminded) {
      conversation.say(
        "You called no tool, and nobody reads what you write beside your calls. " +
          `Go on, or call \`${finish.name}\` if your work is done.`,
      );
      reminded = true;
    } else {
      throw failure("invalid", `the model stopped without calling \`${finish.name}\``);
    }
    if ((reply.contextUsed ?? 0) >= FULL_CONTEXT) conversation.elideResults(KEPT_RESULTS);
  }
  throw failure("exhausted", `\`${finish.name}\` was not called in ${MOST_TURNS} replies`);
}

/**
 * Runs the calls of one reply. Returns their `results` in the same order, and what
 * the model `finished` with, if it did.
 */
function carryOut(calls, finish, objection) {
  const others = calls.filter((call) => call.name !== finish.name);
  // All in one call, so that the host can run them side by side.
  const fromHost = others.length > 0 ? tools.call(others) : [];
  const allWell = !fromHost.some((result) => result.isError);
  const rest = fromHost.values();
  let finished;
  const results = calls.map((call) => {
    if (call.name !== finish.name) return rest.next().value;
    let { args, complaint } = readArguments(call.arguments, finish.parameters);
    if (!complaint && !allWell) {
      complaint = "another call of the same answer failed; look at its result first";
    }
    complaint ??= objection(args);
    if (complaint) return { id: call.id, output: `Not accepted: ${complaint}.`, isError: true };
    finished = args;
    return { id: call.id, output: "Accepted.", isError: false };
  });
  return { results, finished };
}

/** The arguments that the model wrote, and what is wrong with them, if anything. */
function readArguments(text, schema) {
  let args;
  try {
    args = JSON.parse(text);
  } catch (error) {
    return { complaint: `the arguments are no JSON: ${error.message}` };
  }
  return { args, complaint: mistake(args, schema, "") };
}

/** What is wrong with the value at that place in the arguments, in words for the model. */
function mistake(value, schema, place) {
  const named = place ? `\`${place}\`` : "the whole";
  if (typeOf(value) !== schema.type) return `${named} must be of type ${schema.type}`;
  if (schema.enum && !schema.enum.includes(value)) {
    return `${named} must be one of ${schema.enum.join(", ")}`;
  }
  if (schema.type === "array") {
    return firstOf(value.map((item, at) => mistake(item, schema.items, `${place}[${at}]`)));
  }
  if (schema.type !== "object") return undefined;
  const known = schema.properties;
  const missing = schema.required.find((name) => !Object.hasOwn(value, name));
  if (missing) return `\`${inside(place, missing)}\` is missing`;
  const strange = Object.keys(value).find((name) => !Object.hasOwn(known, name));
  if (strange) {
    return `\`${inside(place, strange)}\` is not known; there are ${Object.keys(known).join(", ")}`;
  }
  const parts = Object.entries(value);
  return firstOf(parts.map(([name, part]) => mistake(part, known[name], inside(place, name))));
}

function inside(place, name) {
  return place ? `${place}.${name}` : name;
}

/** The name that JSON Schema has for the value's type. */
function typeOf(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function firstOf(complaints) {
  return complaints.find((complaint) => complaint !== undefined);
}

/** A JSON Schema of an object that has no other properties. */
export function objectSchema(properties, optional = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

/** A JSON Schema of a text. */
export function text(description) {
  return { type: "string", description };
}

/** A JSON Schema of a list of texts. */
export function texts(description) {
  return { type: "array", items: { type: "string" }, description };
}

/** What every role is told, as the beginning of the first message. */
export function briefMessage(brief) {
  const parts = [`Goal: ${brief.goal}`, `Cycle: ${brief.cycle} of ${brief.maxCycles}`];
  if (!["", "."].includes(brief.rootPath)) {
    parts.push(`Only what lies below ${brief.rootPath} can change.`);
  }
  if (brief.instructions) {
    parts.push(`The repository's instructions to agents:\n${brief.instructions}`);
  }
  if (brief.guidance.length > 0) {
    parts.push(["What the user said since:", ...brief.guidance].join("\n"));
  }
  return parts.join("\n\n");
}
