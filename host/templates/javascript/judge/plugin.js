// {{name}}: a judge without a model, which goes on while something is left to do.

import { search } from "code-agent:plugin/files@0.1.0";
import { guarded } from "./guard.js";

// A line with this word is work that is left.
const MARK = "FIXME";
// So many of these lines are named.
const MOST_LINES = 20;

export const judge = guarded({
  review(brief, cycle) {
    const unfinished = [...failedTasks(cycle), ...redCheck(cycle), ...markedLines()];
    if (unfinished.length > 0) {
      const reasoning = unfinished.map((reason) => `- ${reason}`).join("\n");
      return { decision: "next-cycle", goalMet: false, reasoning };
    }
    const reasoning = `No task failed, the check is not red, and no line says ${MARK}.`;
    return { decision: "stop", goalMet: true, reasoning };
  },
});

function failedTasks(cycle) {
  return cycle.outcomes
    .filter((outcome) => outcome.status === "failed")
    .map((outcome) => `The task \`${outcome.draft.title}\` failed: ${outcome.summary}`);
}

function redCheck({ check }) {
  // None is set where it is undefined.
  if (check === undefined || check.passed) return [];
  return [`The check \`${check.commandLine}\` is red:\n${check.output}`];
}

function markedLines() {
  const { hits, truncated } = search({
    pattern: MARK,
    globs: [],
    ignoreCase: false,
    contextLines: 0,
    maxHits: MOST_LINES,
  });
  const lines = hits.map((hit) => `${hit.path}:${hit.line} is marked: ${hit.text.trim()}`);
  return truncated ? [...lines, `More lines say ${MARK}.`] : lines;
}
