//! Which files a list of globs means, as the real host reads them: like lines of
//! `.gitignore`.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::types::Error;

/// Compiled globs. Without any that includes, every file is meant.
pub(super) struct Globs {
    wanted: Option<GlobSet>,
    unwanted: GlobSet,
}

impl Globs {
    pub(super) fn parse(globs: &[String]) -> Result<Self, Error> {
        let unwanted: Vec<&str> = globs.iter().filter_map(|glob| glob.strip_prefix('!')).collect();
        let wanted: Vec<&str> =
            globs.iter().map(String::as_str).filter(|glob| !glob.starts_with('!')).collect();
        Ok(Self {
            wanted: if wanted.is_empty() { None } else { Some(set(&wanted)?) },
            unwanted: set(&unwanted)?,
        })
    }

    pub(super) fn want(&self, path: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.is_match(path))
            && !self.unwanted.is_match(path)
    }
}

fn set(globs: &[&str]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for &glob in globs {
        let wrong =
            |error: &globset::Error| Error::Invalid(format!("the glob {glob:?}: {}", error.kind()));
        let plain = match glob.trim_start_matches("./").trim_matches('/') {
            "" | "." => "**",
            plain => plain,
        };
        let anchored = plain.contains('/') || glob.starts_with('/');
        let everywhere = if anchored { "" } else { "**/" };
        let below = format!("{plain}/**");
        for pattern in [plain, below.as_str()] {
            let pattern = format!("{everywhere}{pattern}");
            let built = GlobBuilder::new(&pattern).literal_separator(true).build();
            set.add(built.map_err(|error| wrong(&error))?);
        }
    }
    set.build().map_err(|error| Error::Invalid(format!("the globs can't be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_read_like_lines_of_gitignore() {
        let want = |globs: &[&str], path: &str| {
            let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
            Globs::parse(&globs).unwrap().want(path)
        };
        assert!(want(&[], "a/b.rs") && want(&["*.rs"], "a/b.rs") && want(&["a"], "a/b.rs"));
        assert!(want(&["a/**"], "a/b/c.rs") && want(&["."], "a") && want(&["./a/*.rs"], "a/b.rs"));
        assert!(!want(&["/b.rs"], "a/b.rs") && !want(&["a/*.rs"], "a/b/c.rs"));
        assert!(want(&["!a"], "b.rs") && !want(&["*.rs", "!a"], "a/b.rs"));
        assert!(Globs::parse(&["[".to_owned()]).is_err());
    }
}
