//! The languages that can be read: their files' endings, their grammars and
//! which nodes of a syntax tree define something. Owns these tables; how a tree
//! is walked is `symbols`' business.

use crate::naming::Naming;

/// One language.
pub struct Language {
    /// As people write it.
    pub name: &'static str,
    /// The endings of its files.
    pub endings: &'static [&'static str],
    /// What stands between a container's name and a member's.
    pub separator: &'static str,
    pub grammar: fn() -> tree_sitter::Language,
    rules: &'static [Rule],
}

/// A kind of node that defines something.
pub struct Rule {
    node: &'static str,
    /// What people call it.
    pub kind: &'static str,
    pub naming: Naming,
    pub place: Place,
}

/// Where a definition counts, and whether an outline shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A function: shown, wherever it stands.
    Function,
    /// A type or what else holds members: shown, wherever it stands.
    Container,
    /// A field, a variant, a constant: not shown, and nothing where it is local
    /// to a function.
    Member,
}

impl Language {
    /// The rules for a kind of node. The first that finds a name holds.
    pub fn rules(&self, node: &str) -> impl Iterator<Item = &'static Rule> {
        self.rules.iter().filter(move |rule| rule.node == node)
    }
}

/// The language of a file, by its ending.
pub fn of(path: &str) -> Option<&'static Language> {
    let name = path.rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    LANGUAGES.iter().find(|language| language.endings.contains(&ending))
}

/// Globs for every file that can be read.
pub fn globs() -> Vec<String> {
    LANGUAGES
        .iter()
        .flat_map(|language| language.endings)
        .map(|ending| format!("*.{ending}"))
        .collect()
}

const fn function(node: &'static str, kind: &'static str, naming: Naming) -> Rule {
    Rule { node, kind, naming, place: Place::Function }
}

const fn container(node: &'static str, kind: &'static str, naming: Naming) -> Rule {
    Rule { node, kind, naming, place: Place::Container }
}

const fn member(node: &'static str, kind: &'static str, naming: Naming) -> Rule {
    Rule { node, kind, naming, place: Place::Member }
}

/// All of them.
pub static LANGUAGES: [Language; 8] = [
    Language {
        name: "Rust",
        endings: &["rs"],
        separator: "::",
        grammar: || tree_sitter_rust::LANGUAGE.into(),
        rules: &[
            function("function_item", "function", Naming::Field("name")),
            function("function_signature_item", "function", Naming::Field("name")),
            function("macro_definition", "macro", Naming::Field("name")),
            container("struct_item", "struct", Naming::Field("name")),
            container("enum_item", "enum", Naming::Field("name")),
            container("union_item", "union", Naming::Field("name")),
            container("trait_item", "trait", Naming::Field("name")),
            container("type_item", "type", Naming::Field("name")),
            container("associated_type", "type", Naming::Field("name")),
            container("mod_item", "module", Naming::FieldWithBody("name")),
            container("impl_item", "impl", Naming::Extension("type")),
            member("const_item", "constant", Naming::Field("name")),
            member("static_item", "static", Naming::Field("name")),
            member("enum_variant", "variant", Naming::Field("name")),
            member("field_declaration", "field", Naming::Field("name")),
        ],
    },
    Language {
        name: "Python",
        endings: &["py", "pyi"],
        separator: ".",
        grammar: || tree_sitter_python::LANGUAGE.into(),
        rules: &[
            function("function_definition", "function", Naming::Field("name")),
            container("class_definition", "class", Naming::Field("name")),
            container("type_alias_statement", "type", Naming::Field("left")),
            member("assignment", "variable", Naming::PlainName("left")),
        ],
    },
    Language {
        name: "JavaScript",
        endings: &["js", "mjs", "cjs", "jsx"],
        separator: ".",
        grammar: || tree_sitter_javascript::LANGUAGE.into(),
        rules: &ECMASCRIPT,
    },
    Language {
        name: "TypeScript",
        endings: &["ts", "mts", "cts"],
        separator: ".",
        grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        rules: &ECMASCRIPT,
    },
    Language {
        name: "TypeScript with JSX",
        endings: &["tsx"],
        separator: ".",
        grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(),
        rules: &ECMASCRIPT,
    },
    Language {
        name: "Go",
        endings: &["go"],
        separator: ".",
        grammar: || tree_sitter_go::LANGUAGE.into(),
        rules: &[
            function("function_declaration", "function", Naming::Field("name")),
            function("method_declaration", "method", Naming::Field("name")),
            function("method_elem", "method", Naming::Field("name")),
            container("type_spec", "type", Naming::Field("name")),
            container("type_alias", "type", Naming::Field("name")),
            member("const_spec", "constant", Naming::Field("name")),
            member("var_spec", "variable", Naming::Field("name")),
            member("field_declaration", "field", Naming::Field("name")),
        ],
    },
    Language {
        name: "Java",
        endings: &["java"],
        separator: ".",
        grammar: || tree_sitter_java::LANGUAGE.into(),
        rules: &[
            function("method_declaration", "method", Naming::Field("name")),
            function("constructor_declaration", "constructor", Naming::Field("name")),
            function("compact_constructor_declaration", "constructor", Naming::Field("name")),
            function("annotation_type_element_declaration", "method", Naming::Field("name")),
            container("class_declaration", "class", Naming::Field("name")),
            container("interface_declaration", "interface", Naming::Field("name")),
            container("enum_declaration", "enum", Naming::Field("name")),
            container("record_declaration", "record", Naming::Field("name")),
            container("annotation_type_declaration", "annotation", Naming::Field("name")),
            member("field_declaration", "field", Naming::Declarators),
            member("constant_declaration", "constant", Naming::Declarators),
            member("enum_constant", "variant", Naming::Field("name")),
        ],
    },
    Language {
        name: "C",
        endings: &["c", "h"],
        separator: ".",
        grammar: || tree_sitter_c::LANGUAGE.into(),
        rules: &[
            function("function_definition", "function", Naming::Declarators),
            function("preproc_function_def", "macro", Naming::Field("name")),
            container("struct_specifier", "struct", Naming::FieldWithBody("name")),
            container("union_specifier", "union", Naming::FieldWithBody("name")),
            container("enum_specifier", "enum", Naming::FieldWithBody("name")),
            container("type_definition", "type", Naming::Declarators),
            member("declaration", "declaration", Naming::Declarators),
            member("field_declaration", "field", Naming::Declarators),
            member("preproc_def", "constant", Naming::Field("name")),
            member("enumerator", "variant", Naming::Field("name")),
        ],
    },
];

/// JavaScript's grammar has a part of these nodes, TypeScript's all but one.
static ECMASCRIPT: [Rule; 23] = [
    function("function_declaration", "function", Naming::Field("name")),
    function("generator_function_declaration", "function", Naming::Field("name")),
    function("function_signature", "function", Naming::Field("name")),
    function("method_definition", "method", Naming::Field("name")),
    function("method_signature", "method", Naming::Field("name")),
    function("abstract_method_signature", "method", Naming::Field("name")),
    function("variable_declarator", "function", Naming::FunctionIn("name")),
    function("assignment_expression", "function", Naming::FunctionIn("left")),
    function("field_definition", "method", Naming::FunctionIn("property")),
    function("public_field_definition", "method", Naming::FunctionIn("name")),
    function("pair", "method", Naming::FunctionIn("key")),
    container("class_declaration", "class", Naming::Field("name")),
    container("abstract_class_declaration", "class", Naming::Field("name")),
    container("interface_declaration", "interface", Naming::Field("name")),
    container("type_alias_declaration", "type", Naming::Field("name")),
    container("enum_declaration", "enum", Naming::Field("name")),
    container("internal_module", "namespace", Naming::Field("name")),
    container("module", "namespace", Naming::Field("name")),
    member("variable_declarator", "variable", Naming::PlainName("name")),
    member("field_definition", "field", Naming::PlainName("property")),
    member("public_field_definition", "field", Naming::PlainName("name")),
    member("property_signature", "field", Naming::Field("name")),
    member("enum_assignment", "variant", Naming::Field("name")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_file_has_the_language_of_its_ending() {
        let name = |path| of(path).map(|language| language.name);
        assert_eq!(name("a/b.test.ts"), Some("TypeScript"));
        assert_eq!(name("b.tsx"), Some("TypeScript with JSX"));
        assert_eq!(name("include/x.h"), Some("C"));
        assert_eq!(name("Makefile"), None);
        assert_eq!(name("a.rs/notes"), None);
    }

    #[test]
    fn every_rule_names_a_node_of_its_grammar() {
        for language in &LANGUAGES {
            let grammar = (language.grammar)();
            let nodes = language.rules.iter().map(|rule| rule.node);
            let missing: BTreeSet<_> =
                nodes.filter(|node| grammar.id_for_node_kind(node, true) == 0).collect();
            let expected: &[&str] = match language.name {
                "JavaScript" => &[
                    "abstract_class_declaration",
                    "abstract_method_signature",
                    "enum_assignment",
                    "enum_declaration",
                    "function_signature",
                    "interface_declaration",
                    "internal_module",
                    "method_signature",
                    "module",
                    "property_signature",
                    "public_field_definition",
                    "type_alias_declaration",
                ],
                "TypeScript" | "TypeScript with JSX" => &["field_definition"],
                _ => &[],
            };
            let missing: Vec<_> = missing.into_iter().collect();
            assert_eq!(missing, expected, "{}", language.name);
        }
    }
}
