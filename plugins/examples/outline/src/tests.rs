//! The tools on real sources in each language: `samples/` has one for each, and
//! beside it the outline that is right.

use code_agent_sdk::testing::{Host, Ran};

use super::*;

/// Each sample with its outline.
macro_rules! samples {
    ($($name:literal),*) => {
        [$((
            $name,
            include_str!(concat!("../samples/", $name)),
            include_str!(concat!("../samples/", $name, ".outline")),
        )),*]
    };
}

const SAMPLES: [(&str, &str, &str); 8] = samples!(
    "stock.rs",
    "stock.py",
    "stock.js",
    "stock.ts",
    "shelf.tsx",
    "stock.go",
    "Stock.java",
    "stock.c"
);

fn with_samples<T>(work: impl FnOnce() -> T) -> Ran<T> {
    let host = SAMPLES.iter().fold(Host::new(), |host, (name, text, _)| host.file(name, text));
    host.file("README.md", "# longest\n").run(work)
}

fn definition(name: &str) -> String {
    let asked = FindDefinition { name: name.to_owned(), paths: Vec::new() };
    with_samples(|| find_definition(asked)).returned.unwrap()
}

fn references(name: &str) -> String {
    let asked = FindReferences { name: name.to_owned(), paths: Vec::new() };
    with_samples(|| find_references(asked)).returned.unwrap()
}

#[test]
fn functions_and_types_are_told_in_each_language() {
    for (name, _, outlined) in SAMPLES {
        let asked = Outline { paths: vec![name.to_owned()] };
        let told = with_samples(|| outline(asked)).returned.unwrap();
        assert_eq!(told, outlined, "the outline of {name}");
    }
}

#[test]
fn no_comment_and_no_text_is_taken_for_code() {
    let told = with_samples(|| outline(Outline { paths: Vec::new() })).returned.unwrap();
    for name in ["not_code", "notCode", "neither", "nor_this", "NorThis"] {
        assert!(!told.contains(&format!(" {name}")), "{name} is in {told}");
        assert!(definition(name).contains("is defined nowhere"), "{name}");
    }
    assert!(!told.contains("README"));
}

#[test]
fn definitions_are_found_with_their_containers() {
    let told = definition("Shelf::put");
    assert!(told.contains("stock.rs:"), "{told}");
    assert_eq!(definition("Store.Put").lines().count(), 2);
    assert!(definition("Store.Put").starts_with("stock.go:"));
    assert!(definition("SHELF").contains("stock.c:5: constant SHELF\n"));
    assert!(definition("Item::count").contains("stock.rs:11: field Item::count\n"));
    assert!(definition("SHELF").contains("stock.js:5: variable SHELF\n"));
    assert!(definition("ADDED").contains("variant Stock.Change.ADDED"));
    assert!(definition("parse").contains("stock.js:"), "{}", definition("parse"));
    assert!(definition("limit").contains("is defined nowhere"), "it is local");
}

#[test]
fn references_are_lines_of_code_with_what_is_around_them() {
    let told = references("longest");
    assert!(told.contains("  56: used in main: print(longest("), "{told}");
    assert!(told.contains("defined: export const longest"), "{told}");
    assert!(!told.contains("README"), "{told}");
    let told = references("SHELF");
    assert!(told.contains(": used in report::print: writeln!("), "{told}");
    assert!(told.contains(": used in item_t.item: char name[SHELF];"), "{told}");
}

#[test]
fn a_bad_name_and_a_missing_file_are_explained() {
    let asked = FindReferences { name: "two words".to_owned(), paths: Vec::new() };
    let error = with_samples(|| find_references(asked)).returned.unwrap_err();
    assert!(matches!(error, Error::Invalid(text) if text.contains("`two words` is no name")));
    let told = with_samples(|| outline(Outline { paths: vec!["none".to_owned()] })).returned;
    assert!(
        told.unwrap().starts_with("There is no source file here; looked at are files like *.rs")
    );
}

#[test]
fn an_answer_is_bounded_and_says_what_is_left_out() {
    let many: String = (0..5_000).map(|n| format!("fn function_number_{n}() {{}}\n")).collect();
    let large = "x".repeat(1 << 21);
    let host = Host::new().file("many.rs", &many).file("large.py", large).file("z.go", "package z");
    let told = host.run(|| outline(Outline { paths: Vec::new() })).returned.unwrap();
    assert!(told.len() < 45_000, "{} bytes", told.len());
    assert!(
        told.starts_with("large.py (larger than 256 KiB, left out)\nmany.rs (Rust, 5000 lines)\n")
    );
    assert!(told.contains(" more lines or files are left out: name fewer files in `paths`]"));
}

#[test]
fn links_that_cannot_be_read_are_left_out_and_the_rest_is_told() {
    let nowhere = Error::NotFound("a.py does not exist".to_owned());
    let outside = Error::Denied("b.py leads out of the checkout".to_owned());
    let host = Host::new().unreadable("a.py", nowhere).unreadable("b.py", outside);
    let asked = || outline(Outline { paths: Vec::new() });
    let told = host.file("c.py", "def f(): pass\n").run(asked).returned.unwrap();
    assert_eq!(
        told,
        "a.py (left out: not found: a.py does not exist)\n\
         b.py (left out: denied: b.py leads out of the checkout)\n\
         c.py (Python, 1 lines)\n  1: def f()\n"
    );
}

#[test]
fn broken_and_hostile_sources_are_read_as_far_as_they_go() {
    let deep = "(".repeat(100_000);
    let host = Host::new()
        .file("broken.rs", "fn whole() {}\nstruct {{{ \nfn after(x: u32) -> u32 { x }\n")
        .file("deep.js", format!("function f() {{}}\n{deep}"))
        .file("noise.ts", noise(60_000))
        .file("empty.c", "")
        .file("latin.py", b"def f\xe9():\n  pass\ndef g(): pass\n");
    let told = host.run(|| outline(Outline { paths: Vec::new() })).returned.unwrap();
    assert!(
        told.contains("broken.rs (Rust, 3 lines; parts of it can't be parsed)\n  1: fn whole()")
    );
    assert!(told.contains("  1: function f()"), "{told}");
    assert!(told.contains("empty.c (C, 0 lines)"), "{told}");
    assert!(told.contains("def g()"), "{told}");
    assert!(told.contains("noise.ts (TypeScript, "), "{told}");
}

/// What looks like code and is none, always the same: it makes a parser try
/// everything.
fn noise(length: usize) -> String {
    let words = ["{", "}", "<", ">", "(", ")", "a", " ", "=>", "`", "/", "\n", "class ", "if "];
    let mut state = 1_usize;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
        text.push_str(words[(state >> 16) % words.len()]);
    }
    text
}
