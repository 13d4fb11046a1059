//! What a node that defines something calls it. Owns how a name is found in each
//! form of definition; which forms a language has, `language` says.

use tree_sitter::Node;

/// How the name of a definition is found.
#[derive(Clone, Copy)]
pub enum Naming {
    /// In this field, which may be there several times.
    Field(&'static str),
    /// In this field, but a definition only where there is a body: `mod a;` and
    /// `struct a x` tell of one elsewhere.
    FieldWithBody(&'static str),
    /// It adds to the type in this field, and defines nothing itself.
    Extension(&'static str),
    /// In this field, where the value beside it is a function or a class.
    FunctionIn(&'static str),
    /// At the end of each declarator: `*a[3]` declares `a`.
    Declarators,
    /// In this field, where it holds a plain name and no pattern.
    PlainName(&'static str),
}

/// The nodes of the names that are defined here.
pub fn names<'tree>(node: Node<'tree>, naming: Naming) -> Vec<Node<'tree>> {
    match naming {
        Naming::Field(field) => fields(node, field),
        Naming::FieldWithBody(field) => match node.child_by_field_name("body") {
            Some(_) => fields(node, field),
            None => Vec::new(),
        },
        Naming::Extension(_) => Vec::new(),
        Naming::FunctionIn(field) => match function_value(node) {
            Some(_) => fields(node, field).into_iter().filter_map(last_name).collect(),
            None => Vec::new(),
        },
        Naming::Declarators => {
            fields(node, "declarator").into_iter().filter_map(declared).collect()
        }
        Naming::PlainName(field) => {
            fields(node, field).into_iter().filter(|name| is_name(*name)).collect()
        }
    }
}

/// Where the body begins: what stands before it is the signature.
pub fn body<'tree>(node: Node<'tree>) -> Option<Node<'tree>> {
    let holder = function_value(node).unwrap_or(node);
    holder.child_by_field_name("body")
}

/// The name of the type that a Rust `impl` or a Go method belongs to.
pub fn extended(node: Node<'_>, naming: Naming, text: &str) -> Option<String> {
    let field = match naming {
        Naming::Extension(field) => field,
        _ => "receiver",
    };
    let written = text.get(node.child_by_field_name(field)?.byte_range())?;
    // `(s *Server[T])`, `&'a Server<T>`, `path::Server<T>`
    let written = written.trim_matches(['(', ')', ' ']);
    let plain = written.split(['[', '<']).next().unwrap_or(written).trim_end();
    let last = plain.rsplit([' ', '*', ':', '&']).next().unwrap_or(plain);
    (!last.is_empty()).then(|| last.to_owned())
}

fn fields<'tree>(node: Node<'tree>, field: &str) -> Vec<Node<'tree>> {
    node.children_by_field_name(field, &mut node.walk()).collect()
}

/// The function or class that is the value of a variable, a field or a property.
fn function_value<'tree>(node: Node<'tree>) -> Option<Node<'tree>> {
    let value = node.child_by_field_name("value").or_else(|| node.child_by_field_name("right"))?;
    let kinds = ["arrow_function", "function_expression", "generator_function", "class"];
    kinds.contains(&value.kind()).then_some(value)
}

/// Of `exports.read` the part `read`.
fn last_name<'tree>(node: Node<'tree>) -> Option<Node<'tree>> {
    let name = if node.kind() == "member_expression" {
        node.child_by_field_name("property")?
    } else {
        node
    };
    is_name(name).then_some(name)
}

fn is_name(node: Node<'_>) -> bool {
    node.kind().ends_with("identifier")
}

/// The identifier inside of pointers, arrays, functions and initial values.
fn declared<'tree>(declarator: Node<'tree>) -> Option<Node<'tree>> {
    let mut node = declarator;
    while !is_name(node) {
        node = node
            .child_by_field_name("declarator")
            .or_else(|| node.child_by_field_name("name"))
            // Parentheses and attributes have no field for what they hold.
            .or_else(|| node.named_child(0))?;
    }
    Some(node)
}
