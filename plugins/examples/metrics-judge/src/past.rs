//! What files were before: from what they are now and the diffs since. Owns the
//! reading of unified diffs backwards. A file whose diff does not fit is unknown,
//! never guessed.

use std::collections::BTreeMap;

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    Text(String),
    /// It was not there.
    Absent,
    /// The diff can't be read or does not fit: a name or a text that is no UTF-8,
    /// or a part that was cut.
    Unknown,
}

/// What one file went through.
struct Change<'a> {
    path: &'a str,
    is_new: bool,
    /// False where a hunk ends early, because the diff was cut.
    is_whole: bool,
    hunks: Vec<Hunk<'a>>,
}

struct Hunk<'a> {
    /// The first line in the file as it is now, counted from 1.
    start: usize,
    /// How many lines of the file as it is now.
    length: usize,
    /// How many lines of the file as it was.
    old_length: usize,
    /// With their first character.
    lines: Vec<&'a str>,
}

/// All files that changed, as they were. `diffs` lead from now to then, each from
/// the older to the newer state; `now` reads a file as it is.
pub fn before(diffs: &[String], mut now: impl FnMut(&str) -> Then) -> BTreeMap<String, Then> {
    let mut past = BTreeMap::new();
    for diff in diffs {
        for change in changes(diff) {
            let is_now = match past.remove(change.path) {
                Some(then) => then,
                None => now(change.path),
            };
            past.insert(change.path.to_owned(), back(&change, is_now));
        }
    }
    past
}

fn back(change: &Change<'_>, now: Then) -> Then {
    let text = match &now {
        _ if change.is_new => return Then::Absent,
        Then::Unknown => return Then::Unknown,
        Then::Text(text) => text.as_str(),
        Then::Absent => "",
    };
    let lines: Vec<&str> = text.lines().collect();
    undone(change, &lines).map_or(Then::Unknown, Then::Text)
}

/// None where the lines are not those that the diff leads to.
fn undone(change: &Change<'_>, now: &[&str]) -> Option<String> {
    if !change.is_whole {
        return None;
    }
    let mut text = String::new();
    let mut take = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let mut at = 0;
    for hunk in &change.hunks {
        // A hunk without lines of now names the line before it.
        let start = if hunk.length == 0 { hunk.start } else { hunk.start.checked_sub(1)? };
        now.get(at..start)?.iter().for_each(|line| take(line));
        at = start;
        for line in &hunk.lines {
            let (kind, line) = line.split_at_checked(1)?;
            if kind == "-" {
                take(line);
                continue;
            }
            if *now.get(at)? != line {
                return None;
            }
            at += 1;
            if kind == " " {
                take(line);
            }
        }
    }
    now.get(at..)?.iter().for_each(|line| take(line));
    Some(text)
}

/// The files of a diff. A name in quotes is of one that holds strange characters,
/// and stays a name that no file has.
fn changes(diff: &str) -> Vec<Change<'_>> {
    let mut found: Vec<Change<'_>> = Vec::new();
    let mut lines = diff.lines();
    while let Some(line) = lines.next() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            // Both names are the same, with `a/` and `b/` in front.
            let path = names.get(names.len() / 2 + 1..).unwrap_or_default();
            let path = path.strip_prefix("b/").unwrap_or(path);
            found.push(Change { path, is_new: false, is_whole: true, hunks: Vec::new() });
            continue;
        }
        let Some(change) = found.last_mut() else { continue };
        change.is_new |= line.starts_with("new file mode ");
        if let Some(mut hunk) = line.strip_prefix("@@ -").and_then(header) {
            change.is_whole &= fill(&mut hunk, &mut lines);
            change.hunks.push(hunk);
        }
    }
    found
}

/// Takes the hunk's lines: as many as it says, for they may look like anything.
/// False where there are fewer.
fn fill<'a>(hunk: &mut Hunk<'a>, lines: &mut impl Iterator<Item = &'a str>) -> bool {
    let (mut old, mut new) = (hunk.old_length, hunk.length);
    while old + new > 0 {
        let Some(line) = lines.next() else { return false };
        let (is_old, is_new) = match line.as_bytes().first() {
            Some(b'-') => (1, 0),
            Some(b'+') => (0, 1),
            Some(b' ') => (1, 1),
            // That the last line ends without a line break.
            Some(b'\\') => continue,
            _ => return false,
        };
        let Some(left) = old.checked_sub(is_old).zip(new.checked_sub(is_new)) else { return false };
        (old, new) = left;
        hunk.lines.push(line);
    }
    true
}

/// `3,4 +5,6 @@ …`
fn header<'a>(text: &str) -> Option<Hunk<'a>> {
    let (old, rest) = text.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let length = |range: &str| range.split_once(',').map_or(Some(1), |(_, many)| many.parse().ok());
    let start = new.split(',').next()?.parse().ok()?;
    Some(Hunk { start, length: length(new)?, old_length: length(old)?, lines: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\
diff --git a/a.txt b/a.txt
index 1..2 100644
--- a/a.txt
+++ b/a.txt
@@ -1,4 +1,4 @@
-zero
 one
-two
+2
+2.5
 three
@@ -9 +8,0 @@ seven
-eight
diff --git a/new b.rs b/new b.rs
new file mode 100644
--- /dev/null
+++ b/new b.rs
@@ -0,0 +1,2 @@
+--- looks like
+diff --git a/x b/x
\\ No newline at end of file
diff --git a/gone.rs b/gone.rs
deleted file mode 100644
--- a/gone.rs
+++ /dev/null
@@ -1 +0,0 @@
-fn gone() {}
";

    fn now(path: &str) -> Then {
        match path {
            "a.txt" => text("one\n2\n2.5\nthree\nfour\nfive\nsix\nseven\nnine"),
            "new b.rs" => text("--- looks like\ndiff --git a/x b/x"),
            _ => Then::Absent,
        }
    }

    fn text(text: &str) -> Then {
        Then::Text(text.to_owned())
    }

    #[test]
    fn a_diff_leads_back() {
        let past = before(&[DIFF.to_owned()], now);
        let old = "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";
        assert_eq!(past["a.txt"], text(old));
        assert_eq!(past["new b.rs"], Then::Absent);
        assert_eq!(past["gone.rs"], text("fn gone() {}\n"));
        assert_eq!(past.len(), 3);
    }

    #[test]
    fn several_diffs_lead_further_back() {
        let older = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,0 +1 @@\n+zero\n\
                     diff --git a/new b.rs b/new b.rs\n--- a/new b.rs\n+++ /dev/null\n\
                     @@ -1 +0,0 @@\n-// old\n";
        let past = before(&[DIFF.to_owned(), older.to_owned()], now);
        assert!(matches!(&past["a.txt"], Then::Text(text) if text.starts_with("one\ntwo\n")));
        assert_eq!(past["new b.rs"], text("// old\n"));
    }

    #[test]
    fn what_does_not_fit_is_unknown() {
        let other = before(&[DIFF.to_owned()], |_| text("something else\n"));
        assert_eq!(other["a.txt"], Then::Unknown);
        let (cut, _) = DIFF.split_once("+2.5").unwrap();
        assert_eq!(before(&[cut.to_owned()], now)["a.txt"], Then::Unknown);
    }
}
