"""criteria-judge: a judge that stops when every acceptance criterion is ticked.

The criteria are the boxes of a Markdown file, `- [ ] open` and `- [x] ticked`. No
model is asked; whoever fulfils a criterion ticks its box.
"""

import re

from componentize_py_types import Err
from guard import guarded
from wit_world import exports
from wit_world.exports.judge import CycleReport, Decision, Verdict
from wit_world.imports import files, settings
from wit_world.imports.types import Brief, Error_NotFound

# The file with the criteria, where the setting `file` names no other.
DEFAULT_FILE = "ACCEPTANCE.md"
# The host hands out no larger piece of a file.
LARGEST_FILE = 10 * 1024 * 1024
BOX = re.compile(r"\s*[-*+]\s+\[(?P<mark>[ xX])\]\s+(?P<criterion>.*\S)")


class Judge(exports.Judge):
    @guarded
    def review(self, brief: Brief, cycle: CycleReport) -> Verdict:
        path = settings.get("file") or DEFAULT_FILE
        text = read(path)
        if text is None:
            return go_on(
                f"There is no {path}, so nothing says when the goal is met. Write the "
                "criteria into it, each as `- [ ] criterion`."
            )
        boxes = [match for line in text.splitlines() if (match := BOX.match(line))]
        if not boxes:
            return go_on(f"{path} has no criterion such as `- [ ] criterion`.")
        still_open = [box["criterion"] for box in boxes if box["mark"] == " "]
        if still_open:
            criteria = "\n".join(f"- {criterion}" for criterion in still_open)
            count = f"{len(still_open)} of {len(boxes)} criteria"
            return go_on(f"{count} in {path} are open:\n{criteria}")
        reasoning = f"All {len(boxes)} criteria in {path} are ticked."
        return Verdict(Decision.STOP, goal_met=True, reasoning=reasoning)


def go_on(reasoning: str) -> Verdict:
    return Verdict(Decision.NEXT_CYCLE, goal_met=False, reasoning=reasoning)


def read(path: str) -> str | None:
    """The file's text, or nothing where there is no such file."""
    try:
        return files.read(path, 0, LARGEST_FILE).decode(errors="replace")
    except Err as error:
        if isinstance(error.value, Error_NotFound):
            return None
        raise
