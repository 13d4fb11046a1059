//! The judge as a whole, with a model that follows a script.

use code_agent_sdk::judge::Decision;
use code_agent_sdk::testing::{Host, Ran, brief, call};
use serde_json::json;

use super::*;

/// Eight lines of code that stand in two files after the cycle.
const BLOCK: &str = "\
fn total(items: &[u32]) -> u32 {
    let mut total = 0;
    for item in items {
        total += item;
        log(total);
    }
    total
}
";

const DIFF: &str = "\
diff --git a/a.rs b/a.rs
--- a/a.rs
+++ b/a.rs
@@ -1,2 +1,2 @@
-// FIXME: old
-fn a() {}
+// TODO: write it
+fn a() { if b() && c() { d() } }
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-if a:
-    b()
diff --git a/two.rs b/two.rs
new file mode 100644
--- /dev/null
+++ b/two.rs
@@ -0,0 +1,8 @@
+fn total(items: &[u32]) -> u32 {
+    let mut total = 0;
+    for item in items {
+        total += item;
+        log(total);
+    }
+    total
+}
";

fn cycle() -> CycleReport {
    CycleReport {
        overview: "All of it.".to_owned(),
        outcomes: Vec::new(),
        planner_failures: Vec::new(),
        check: None,
        rolled_back: Vec::new(),
        base: "base".to_owned(),
        head: "head".to_owned(),
    }
}

fn host() -> Host {
    Host::new()
        .file("a.rs", "// TODO: write it\nfn a() { if b() && c() { d() } }\n")
        .file("one.rs", BLOCK)
        .file("two.rs", BLOCK)
        .file("notes.txt", "TODO: not code\n")
        .diff(DIFF)
}

fn judged(host: Host) -> Ran<Result<Verdict, Error>> {
    let verdict = json!({"decision": "stop", "goal_met": true, "reasoning": "All is there.\n"});
    let host = host.reply(call("submit_verdict", verdict));
    host.run(|| MetricsJudge::review(brief("Add totals."), cycle()))
}

const FIGURES: &str = "\
## Code metrics, before and after the cycle

| Measure | Before | After | Change |
| --- | ---: | ---: | ---: |
| Source files | 3 | 3 | 0 |
| Lines | 12 | 18 | +6 |
| Lines of code | 11 | 17 | +6 |
| Decisions (branches, loops, cases, and/or) | 2 | 4 | +2 |
| Duplicated lines of code | 0 | 16 | +16 |
| TODO, FIXME, XXX, HACK | 1 | 1 | 0 |

Files with more decisions than before:

- `a.rs`: 0 decisions before, 2 after; 1 lines of code before, 1 after
- `two.rs`: 0 decisions before, 1 after; 0 lines of code before, 8 after

New comments about what is left to do:

- `a.rs:1`: TODO: write it
";

#[test]
fn the_figures_are_told_and_stand_below_the_reasoning() {
    let ran = judged(host());
    assert!(ran.said()[0].ends_with(FIGURES), "{}", ran.said()[0]);
    let verdict = ran.returned.unwrap();
    assert_eq!((verdict.decision, verdict.goal_met), (Decision::Stop, true));
    assert_eq!(verdict.reasoning, format!("All is there.\n\n{FIGURES}"));
}

#[test]
fn what_does_not_fit_its_diff_is_left_aside() {
    let ran = judged(host().file("a.rs", "fn other() {}\n"));
    let reasoning = ran.returned.unwrap().reasoning;
    assert!(reasoning.contains("1 changed files are left aside"), "{reasoning}");
    assert!(reasoning.contains("| Source files | 2 | 2 | 0 |"), "{reasoning}");
}

#[test]
fn a_diff_that_is_cut_gives_no_figures_from_before() {
    let ran = judged(host().diff(&format!("{DIFF}\n[cut after 200 KB; the whole diff]\n")));
    let reasoning = ran.returned.unwrap().reasoning;
    assert!(reasoning.contains("The cycle's diff is too long"), "{reasoning}");
    assert!(reasoning.contains("| Lines | ? | 18 | ? |"), "{reasoning}");
}

#[test]
fn links_that_cannot_be_read_are_left_out_and_said() {
    let nowhere = Error::NotFound("c.py does not exist".to_owned());
    let outside = Error::Denied("d.py leads out of the checkout".to_owned());
    let ran = judged(host().unreadable("c.py", nowhere).unreadable("d.py", outside));
    let reasoning = ran.returned.unwrap().reasoning;
    assert!(reasoning.contains("| Source files | 3 | 3 | 0 |"), "{reasoning}");
    let gap =
        "2 files can't be read and are left out, `c.py` first: not found: c.py does not exist.";
    assert!(reasoning.contains(gap), "{reasoning}");
}

#[test]
fn without_git_it_still_judges() {
    let ran = judged(host().deny("git"));
    let reasoning = ran.returned.unwrap().reasoning;
    assert!(reasoning.starts_with("All is there.\n\n## Code metrics\n\nNothing could be measured"));
}
