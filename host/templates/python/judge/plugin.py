"""{{name}}: a judge without a model, which goes on while something is left to do."""

from guard import guarded
from wit_world import exports
from wit_world.exports.judge import CycleReport, Decision, TaskStatus, Verdict
from wit_world.imports import files
from wit_world.imports.types import Brief

# A line with this word is work that is left.
MARK = "FIXME"
# So many of these lines are named.
MOST_LINES = 20


class Judge(exports.Judge):
    @guarded
    def review(self, brief: Brief, cycle: CycleReport) -> Verdict:
        unfinished = failed_tasks(cycle) + red_check(cycle) + marked_lines()
        if unfinished:
            reasoning = "\n".join(f"- {reason}" for reason in unfinished)
            return Verdict(Decision.NEXT_CYCLE, goal_met=False, reasoning=reasoning)
        reasoning = f"No task failed, the check is not red, and no line says {MARK}."
        return Verdict(Decision.STOP, goal_met=True, reasoning=reasoning)


def failed_tasks(cycle: CycleReport) -> list[str]:
    return [
        f"The task `{outcome.draft.title}` failed: {outcome.summary}"
        for outcome in cycle.outcomes
        if outcome.status == TaskStatus.FAILED
    ]


def red_check(cycle: CycleReport) -> list[str]:
    if cycle.check is None or cycle.check.passed:
        return []
    return [f"The check `{cycle.check.command_line}` is red:\n{cycle.check.output}"]


def marked_lines() -> list[str]:
    query = files.Query(
        MARK, globs=[], ignore_case=False, context_lines=0, max_hits=MOST_LINES
    )
    found = files.search(query)
    lines = [
        f"{hit.path}:{hit.line} is marked: {hit.text.strip()}" for hit in found.hits
    ]
    return [*lines, f"More lines say {MARK}."] if found.truncated else lines
