//! The tests on what the checkers really said: `samples/` has their output on a
//! few wrong lines, recorded with ruff 0.17, mypy 2.4, pyright 1.1.414,
//! TypeScript 5, ESLint 9, Go 1.19 and clippy of Rust 1.95.

use code_agent_sdk::testing::{Host, Ran};

use super::*;
use crate::checkers::Checker;
use crate::reading::Severity;

/// Severity, file, line, column and rule of each finding.
fn read_by(checker: &Checker, output: &str) -> Vec<(Severity, String, u64, u64, String)> {
    let found = (checker.read)(output);
    assert!(found.iter().all(|finding| !finding.message.is_empty()), "{found:?}");
    let short = |finding: reading::Finding| {
        let path = finding.path.trim_start_matches("/checkout/").to_owned();
        (finding.severity, path, finding.line, finding.column, finding.rule)
    };
    found.into_iter().map(short).collect()
}

fn expected(
    findings: &[(Severity, &str, u64, u64, &str)],
) -> Vec<(Severity, String, u64, u64, String)> {
    let owned = |(severity, path, line, column, rule): &(Severity, &str, u64, u64, &str)| {
        (*severity, (*path).to_owned(), *line, *column, (*rule).to_owned())
    };
    findings.iter().map(owned).collect()
}

use Severity::{Error as Wrong, Warning};

#[test]
fn what_checkers_of_python_say_is_read() {
    assert_eq!(
        read_by(&checkers::RUFF, include_str!("../samples/ruff.txt")),
        expected(&[
            (Wrong, "broken.py", 1, 12, "invalid-syntax"),
            (Wrong, "broken.py", 2, 1, "invalid-syntax"),
            (Warning, "stock.py", 1, 8, "F401"),
            (Warning, "stock.py", 10, 12, "F821"),
        ])
    );
    assert_eq!(
        read_by(&checkers::MYPY, include_str!("../samples/mypy.txt")),
        expected(&[
            (Wrong, "stock.py", 5, 18, "assignment"),
            (Wrong, "stock.py", 6, 12, "return-value"),
        ])
    );
    assert_eq!(
        read_by(&checkers::PYRIGHT, include_str!("../samples/pyright.json")),
        expected(&[
            (Wrong, "stock.py", 5, 18, "reportAssignmentType"),
            (Wrong, "stock.py", 6, 12, "reportReturnType"),
            (Wrong, "stock.py", 10, 12, "reportUndefinedVariable"),
        ])
    );
}

#[test]
fn what_checkers_of_javascript_say_is_read() {
    assert_eq!(
        read_by(&checkers::TSC, include_str!("../samples/tsc.txt")),
        expected(&[
            (Wrong, "src/shelf.ts", 2, 9, "TS2322"),
            (Wrong, "src/shelf.ts", 3, 3, "TS2322"),
            (Wrong, "src/shelf.ts", 6, 51, "TS2322"),
        ])
    );
    let configuration = "error TS5023: Unknown compiler option 'x'.\n";
    assert_eq!(read_by(&checkers::TSC, configuration), expected(&[(Wrong, "", 0, 0, "TS5023")]));
    let longer = "a.ts(1,2): error TS2345: One.\n  And more.\n    And more.\n";
    assert_eq!((checkers::TSC.read)(longer)[0].message, "One. And more. And more.");
    assert_eq!(
        read_by(&checkers::ESLINT, include_str!("../samples/eslint.json")),
        expected(&[
            (Wrong, "broken.js", 1, 1, ""),
            (Warning, "stock.js", 3, 20, "eqeqeq"),
            (Wrong, "stock.js", 3, 32, "no-debugger"),
            (Wrong, "stock.js", 4, 10, "no-undef"),
        ])
    );
}

#[test]
fn what_go_vet_says_is_read() {
    assert_eq!(
        read_by(&checkers::GO_VET, include_str!("../samples/govet.txt")),
        expected(&[
            (Wrong, "inner/inner.go", 4, 9, ""),
            (Warning, "stock.go", 14, 2, "assign"),
            (Warning, "stock.go", 12, 16, "copylocks"),
            (Warning, "stock.go", 9, 2, "printf"),
        ])
    );
    let broken = "# shop\n{ not JSON\nvet: ./a.go:1:2: expected ')'\n";
    assert_eq!(read_by(&checkers::GO_VET, broken), expected(&[(Wrong, "a.go", 1, 2, "")]));
}

#[test]
fn what_cargo_says_is_read() {
    assert_eq!(
        read_by(&checkers::CARGO, include_str!("../samples/cargo.txt")),
        expected(&[
            (Warning, "src/lib.rs", 5, 9, "unused_variables"),
            (Warning, "src/lib.rs", 4, 21, "clippy::ptr_arg"),
            (Wrong, "src/lib.rs", 13, 22, "E0308"),
            (Warning, "src/lib.rs", 5, 9, "unused_variables"),
        ])
    );
}

#[test]
fn what_no_checker_wrote_is_no_finding() {
    for checker in [
        &checkers::CARGO,
        &checkers::RUFF,
        &checkers::MYPY,
        &checkers::PYRIGHT,
        &checkers::TSC,
        &checkers::ESLINT,
        &checkers::GO_VET,
    ] {
        for output in ["", "{", "[]", "null", "{\"a\": [1]}", "Oops: it failed\n: : :\n", "((,):"] {
            assert_eq!((checker.read)(output), [], "{} of {output:?}", checker.name.text());
        }
    }
}

/// The folder of the checkout that the recordings were made in, as a script's
/// first command prints it.
fn header(code: i32, output: &str, errors: &str) -> String {
    format!("{code}\n{}\n/checkout\n{errors}", output.len())
}

/// The tool, on a repository that uses ruff and mypy in `tools/`.
fn checked(asked: Diagnostics) -> Ran<Result<String, Error>> {
    let ruff = include_str!("../samples/ruff.txt").replace("/checkout/", "/checkout/tools/");
    let paths = ["tools/pyproject.toml".to_owned()];
    let used = detection::used(&paths, |_| Some("[tool.ruff]\n[tool.mypy]\n".to_owned()));
    let host = Host::new().file(&paths[0], "[tool.ruff]\n[tool.mypy]\n");
    let host = used.iter().fold(host, |host, used| match used.checker.name {
        Name::Ruff => host.command(&running::script(used), 0, &header(1, &ruff, "")),
        _ => host.command(&running::script(used), 127, ""),
    });
    let host = host.command(&running::fetch(0), 0, &encoded(&ruff));
    host.run(|| diagnostics(asked))
}

/// In base64, as `base64` prints it.
fn encoded(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |index: usize| three.get(index).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = char::from(LETTERS[(bits >> shift & 63) as usize]);
            encoded.push(if place > three.len() { '=' } else { letter });
        }
    }
    encoded + "\n"
}

fn everything() -> Diagnostics {
    Diagnostics { paths: Vec::new(), checkers: Vec::new(), seconds: None }
}

#[test]
fn all_that_is_used_is_run_and_told_in_one_list() {
    let told = checked(everything()).returned.unwrap();
    let expected = "\
mypy in tools: not run: `mypy` is not installed where commands can see it, though \
tools/pyproject.toml asks for it
ruff in tools: errors: 2, warnings: 2, notes: 0

tools/broken.py:1:12: error: invalid-syntax: Expected a parameter or the end of the parameter list [ruff]
tools/broken.py:2:1: error: invalid-syntax: unexpected EOF while parsing [ruff]
tools/stock.py:1:8: warning: F401: `os` imported but unused [ruff]
tools/stock.py:10:12: warning: F821: Undefined name `missing` [ruff]
";
    assert_eq!(told, expected);
}

#[test]
fn a_model_chooses_files_and_checkers() {
    let asked = Diagnostics { paths: vec!["./tools/stock.py".to_owned()], ..everything() };
    let told = checked(asked).returned.unwrap();
    assert!(told.contains("stock.py:1:8") && !told.contains("broken.py:"), "{told}");
    let asked = Diagnostics { checkers: vec![Name::Mypy], ..everything() };
    let ran = checked(asked);
    assert_eq!(ran.commands().len(), 1);
    assert!(ran.returned.unwrap().ends_with("Nothing was found.\n"));
    let asked = Diagnostics { checkers: vec![Name::Tsc], ..everything() };
    assert!(checked(asked).returned.unwrap().starts_with("No checker that is known is used"));
}

#[test]
fn a_checker_that_fails_says_why() {
    let paths = ["ruff.toml".to_owned()];
    let used = detection::used(&paths, |_| None);
    let said = header(2, "", "ruff failed\n  Cause: Unknown rule selector: `X`");
    let host = Host::new().file("ruff.toml", "").command(&running::script(&used[0]), 0, &said);
    let told = host.run(|| diagnostics(everything())).returned.unwrap();
    assert!(told.starts_with("ruff in .: failed with exit code 2: ruff failed\n  Cause: Unknown"));
}

#[test]
fn a_long_list_is_bounded_and_begins_with_the_errors() {
    let mut report = Report::default();
    let used = detection::used(&["mypy.ini".to_owned()], |_| None);
    let lines: String = (1..=3_000)
        .map(|n| {
            format!("a.py:{n}:1: {}: Wrong  [rule]\n", if n == 2_999 { "error" } else { "note" })
        })
        .collect();
    let ended = running::Ran::Ended {
        code: 1,
        output: lines,
        cut: true,
        errors: String::new(),
        top: "/checkout".to_owned(),
    };
    report.add(&used[0], &ended);
    let told = report.finish(&[]);
    assert!(told.starts_with(
        "mypy in .: errors: 1, warnings: 0, notes: 2999; its output is longer than 2 MiB, the rest \
         was not read\n\na.py:2999:1: error: rule: Wrong [mypy]\na.py:1:1: note"
    ));
    assert!(told.len() < 40_000 && told.contains(" more are left out"), "{} bytes", told.len());
}
