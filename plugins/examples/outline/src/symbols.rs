//! The definitions in a file, and where a name is used. Owns the walk over a
//! syntax tree and what is kept of it.

use tree_sitter::{Node, Parser, Tree, TreeCursor};

use crate::language::{Language, Place, Rule};
use crate::naming::{self, Naming};

/// In characters: a longer line of code is cut.
const LONGEST_LINE: usize = 200;

/// A file that was read.
pub struct Source {
    /// Relative to the repository's top.
    pub path: String,
    pub language: &'static Language,
    pub text: String,
    tree: Tree,
}

/// Something that is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// What people call it: a function, a struct.
    pub kind: &'static str,
    pub name: String,
    /// What it is a part of, the outermost first.
    pub containers: Vec<String>,
    /// How many shown definitions are around it.
    pub depth: usize,
    /// The first and the last line, counted from 1.
    pub lines: (usize, usize),
    /// What stands before its body, on one line.
    pub signature: String,
    /// Whether it belongs into an outline.
    pub shown: bool,
    /// Where its name stands, in bytes. None where it adds to what is defined
    /// elsewhere.
    name_at: Option<usize>,
}

/// A place where a name stands in code.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    /// Counts from 1.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// Whether it is defined here.
    pub defines: bool,
    /// The innermost shown definition around it, if any.
    pub inside: Option<String>,
}

impl Source {
    /// Parses the file. None where the parser gives up, which it does for no
    /// text that fits into memory.
    pub fn parse(path: &str, language: &'static Language, text: String) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&(language.grammar)()).ok()?;
        let tree = parser.parse(&text, None)?;
        Some(Self { path: path.to_owned(), language, text, tree })
    }

    /// Whether parts of it do not follow the grammar.
    pub fn has_errors(&self) -> bool {
        self.tree.root_node().has_error()
    }

    /// Everything that is defined in it, in the order of the text.
    pub fn symbols(&self) -> Vec<Symbol> {
        let mut found = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut cursor = self.tree.walk();
        loop {
            let (node, level) = (cursor.node(), cursor.depth());
            while open.last().is_some_and(|open| open.level >= level) {
                open.pop();
            }
            let mut rules = self.language.rules(node.kind()).filter(|_| node.is_named());
            let opened = rules.find_map(|rule| self.define(node, rule, &open, &mut found));
            // Nothing is said to be inside of a field.
            if let Some(opened) = opened.filter(|opened| opened.place != Place::Member) {
                open.push(Open { level, ..opened });
            }
            if !next(&mut cursor) {
                return found;
            }
        }
    }

    /// Where the name stands in code, not in comments or texts.
    pub fn uses(&self, name: &str, symbols: &[Symbol]) -> Vec<Use> {
        let mut found = Vec::new();
        let mut cursor = self.tree.walk();
        loop {
            let node = cursor.node();
            if node.child_count() == 0
                && node.kind().contains("identifier")
                && self.text_of(node) == name
            {
                found.push(self.usage(node, symbols));
            }
            if !next(&mut cursor) {
                return found;
            }
        }
    }

    fn usage(&self, node: Node<'_>, symbols: &[Symbol]) -> Use {
        let line = node.start_position().row + 1;
        let name = node.byte_range();
        let around = symbols
            .iter()
            .filter(|symbol| symbol.shown && symbol.name_at != Some(name.start))
            .rfind(|symbol| symbol.lines.0 <= line && line <= symbol.lines.1);
        Use {
            line,
            text: self.line_around(name.start),
            defines: symbols.iter().any(|symbol| symbol.name_at == Some(name.start)),
            inside: around.map(|symbol| symbol.full_name(self.language.separator)),
        }
    }

    /// Takes in what the rule finds here. Returns the last of it, for the walk to
    /// be inside of; none where it finds nothing.
    fn define(
        &self,
        node: Node<'_>,
        rule: &Rule,
        open: &[Open],
        found: &mut Vec<Symbol>,
    ) -> Option<Open> {
        let is_member = rule.place == Place::Member;
        if is_member && open.iter().any(|open| open.place == Place::Function) {
            return None;
        }
        let extended = naming::extended(node, rule.naming, &self.text);
        let names: Vec<_> = match rule.naming {
            Naming::Extension(_) => vec![(extended.clone()?, None)],
            naming => naming::names(node, naming)
                .into_iter()
                .map(|name| (self.text_of(name).to_owned(), Some(name.start_byte())))
                .collect(),
        };
        let mut containers: Vec<_> = open.iter().map(|open| open.name.clone()).collect();
        if !matches!(rule.naming, Naming::Extension(_)) {
            containers.extend(extended);
        }
        for (name, name_at) in &names {
            found.push(Symbol {
                kind: rule.kind,
                name: name.clone(),
                containers: containers.clone(),
                depth: open.len(),
                lines: (node.start_position().row + 1, last_line(node)),
                signature: self.signature(node, name),
                shown: !is_member,
                name_at: *name_at,
            });
        }
        let (name, _) = names.into_iter().next_back()?;
        Some(Open { name, level: 0, place: rule.place })
    }

    fn text_of(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// From the beginning of its line to the body; without a body, to the end of
    /// the line. A name that comes later stands at its end.
    fn signature(&self, node: Node<'_>, name: &str) -> String {
        let body = naming::body(node).map(|body| body.start_byte());
        let line = self.line_start(node.start_byte());
        let indented = self.text.get(line..node.start_byte()).unwrap_or_default();
        // Where other code stands before it, that is none of it.
        let start = if indented.contains(['{', '}', ';']) { node.start_byte() } else { line };
        let most = self.text.floor_char_boundary(start + 4 * LONGEST_LINE);
        let text = self.text.get(start..body.unwrap_or(most).min(most)).unwrap_or_default();
        let text = if body.is_some() { text } else { text.lines().next().unwrap_or_default() };
        let text = one_line(text);
        let signature = text.trim_end_matches(['{', ';', ',', ':', ' ']);
        let is_named = signature.contains(name) || signature.ends_with('…');
        if is_named { signature.to_owned() } else { format!("{signature} … {name}") }
    }

    /// The line that a byte stands in, or what is near to it on a long line.
    fn line_around(&self, at: usize) -> String {
        let start = self.line_start(at);
        let end = self.text.floor_char_boundary(at + LONGEST_LINE);
        let text = self.text.get(start..end).unwrap_or_default();
        one_line(text.lines().next().unwrap_or_default())
    }

    /// Where the line of a byte begins, or what is near enough on a long line:
    /// generated files have lines of a megabyte.
    fn line_start(&self, at: usize) -> usize {
        let near = self.text.ceil_char_boundary(at.saturating_sub(LONGEST_LINE / 2));
        let before = self.text.get(near..at).unwrap_or_default();
        before.rfind('\n').map_or(near, |newline| near + newline + 1)
    }
}

impl Symbol {
    /// Its name with those of what it is a part of.
    pub fn full_name(&self, separator: &str) -> String {
        let names: Vec<_> =
            self.containers.iter().chain([&self.name]).map(String::as_str).collect();
        names.join(separator)
    }

    /// Whether this defines what is called so. Of `wanted` the last is the name,
    /// what stands before it the containers around it.
    pub fn is_called(&self, wanted: &[&str]) -> bool {
        let Some((name, containers)) = wanted.split_last() else { return false };
        let around: Vec<_> = self.containers.iter().map(String::as_str).collect();
        self.name_at.is_some() && self.name == *name && around.ends_with(containers)
    }
}

/// A definition that the walk is inside of.
struct Open {
    name: String,
    level: u32,
    place: Place,
}

/// A node that ends with a line break does not reach into the line after it.
fn last_line(node: Node<'_>) -> usize {
    let end = node.end_position();
    if end.column == 0 { end.row.max(1) } else { end.row + 1 }
}

/// Goes on to the next node, parents first. False at the end.
fn next(cursor: &mut TreeCursor<'_>) -> bool {
    if cursor.goto_first_child() {
        return true;
    }
    while !cursor.goto_next_sibling() {
        if !cursor.goto_parent() {
            return false;
        }
    }
    true
}

/// The text on one line, cut where it is long.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_LINE) {
        None => line,
        Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
    }
}
