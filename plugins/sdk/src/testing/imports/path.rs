//! Which paths a checkout takes: those that the real host takes.

use crate::types::Error;

/// The path without what means nothing; empty for the top.
pub(super) fn parse(path: &str) -> Result<String, Error> {
    let wrong = |why| Err(Error::Invalid(format!("the path {path:?} {why}")));
    if path.starts_with('/') {
        return wrong("is absolute; give it relative to the repository's top");
    }
    if path.contains(['\0', '\\', '\n', '\r']) {
        return wrong("holds a character that no path here may have");
    }
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return wrong("leads upwards with `..`");
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case(".git")) {
        return wrong("leads into git's own folder");
    }
    Ok(names.join("/"))
}

/// The path of a file.
pub(super) fn parse_file(path: &str) -> Result<String, Error> {
    match parse(path)? {
        parsed if parsed.is_empty() || path.ends_with('/') => {
            Err(Error::Invalid(format!("the path {path:?} names no file")))
        }
        parsed => Ok(parsed),
    }
}
