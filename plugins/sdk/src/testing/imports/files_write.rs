//! Changes the checkout of a [`testing::Host`](crate::testing::Host). In a
//! component, the caller's own checkout.

use super::files::missing;
use super::path::parse_file;
use crate::testing::state::granted;
use crate::types::Error;

/// Creates or replaces the file. Whether it is executable, the fake forgets.
pub fn write(path: &str, contents: &[u8], _executable: Option<bool>) -> Result<(), Error> {
    granted("files-write", |state| {
        let file = parse_file(path)?;
        let folder = format!("{file}/");
        if state.files.keys().any(|other| other.starts_with(&folder)) {
            return Err(Error::Invalid(format!("{path} is a folder")));
        }
        state.files.insert(file, contents.to_vec());
        Ok(())
    })
}

/// Replaces the one place where `old` stands.
pub fn edit(path: &str, old: &str, new: &str) -> Result<(), Error> {
    granted("files-write", |state| {
        let bytes = state.files.get_mut(&parse_file(path)?).ok_or_else(|| missing(path))?;
        let text = String::from_utf8_lossy(bytes);
        match text.matches(old).count() {
            _ if old.is_empty() => Err(Error::Invalid("the text to replace is empty".to_owned())),
            1 => {
                *bytes = text.replacen(old, new, 1).into_bytes();
                Ok(())
            }
            0 => Err(Error::Invalid(format!("the text to replace is not in {path}"))),
            count => Err(Error::Invalid(format!(
                "the text to replace stands {count} times in {path}; give more of the lines \
                 around it"
            ))),
        }
    })
}

/// Removes a file.
pub fn remove(path: &str) -> Result<(), Error> {
    granted("files-write", |state| {
        state.files.remove(&parse_file(path)?).map(drop).ok_or_else(|| missing(path))
    })
}

/// Moves a file to where nothing is yet.
pub fn rename(old: &str, new: &str) -> Result<(), Error> {
    granted("files-write", |state| {
        let (from, to) = (parse_file(old)?, parse_file(new)?);
        if state.files.contains_key(&to) {
            return Err(Error::Invalid(format!("{new} exists already; remove it first")));
        }
        let bytes = state.files.remove(&from).ok_or_else(|| missing(old))?;
        state.files.insert(to, bytes);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn files_change_as_they_would_in_a_checkout() {
        let ran = Host::new().file("a", "x y x").file("b", "b").run(|| {
            assert!(
                matches!(edit("a", "x", "z"), Err(Error::Invalid(why)) if why.contains("2 times"))
            );
            assert!(edit("a", "q", "z").is_err() && edit("none", "q", "z").is_err());
            edit("a", "y", "z").unwrap();
            assert!(rename("a", "b").is_err());
            rename("a", "c/d").unwrap();
            assert!(write("c", b"", None).is_err());
            write("new", b"new", Some(true)).unwrap();
            remove("b").unwrap();
            assert!(matches!(remove("b"), Err(Error::NotFound(_))));
        });
        assert_eq!(ran.text("c/d").as_deref(), Some("x z x"));
        assert_eq!(ran.files.keys().collect::<Vec<_>>(), ["c/d", "new"]);
    }
}
