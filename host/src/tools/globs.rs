//! Which files a caller asks for with globs. Knows names only.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::repo::path::CheckoutPath;
use crate::types::CallError;

/// More globs at once are refused.
const MOST_GLOBS: usize = 100;
/// In bytes: a longer glob is refused.
const LONGEST_GLOB: usize = 1000;

/// Globs, compiled. Without any, every file is wanted.
#[derive(Clone, Debug)]
pub struct Globs {
    wanted: Option<GlobSet>,
    unwanted: GlobSet,
}

impl Globs {
    /// Compiles globs relative to the repository's top. As in `.gitignore`,
    /// one without a `/` holds in every folder and one that names a folder
    /// holds for all below it. A `!` in front excludes.
    pub fn parse(globs: &[String]) -> Result<Self, CallError> {
        if globs.len() > MOST_GLOBS {
            return Err(CallError::Invalid(format!("more than {MOST_GLOBS} globs at once")));
        }
        let mut wanted = GlobSetBuilder::new();
        let mut unwanted = GlobSetBuilder::new();
        let mut wants_all = true;
        for glob in globs {
            match glob.strip_prefix('!') {
                Some(glob) => add(&mut unwanted, glob)?,
                None => {
                    wants_all = false;
                    add(&mut wanted, glob)?;
                }
            }
        }
        let wanted = build(&wanted)?;
        Ok(Self { wanted: (!wants_all).then_some(wanted), unwanted: build(&unwanted)? })
    }

    /// Whether the file is asked for.
    pub fn want(&self, path: &CheckoutPath) -> bool {
        let path = path.as_str();
        self.wanted.as_ref().is_none_or(|wanted| wanted.is_match(path))
            && !self.unwanted.is_match(path)
    }
}

fn add(set: &mut GlobSetBuilder, glob: &str) -> Result<(), CallError> {
    if glob.len() > LONGEST_GLOB {
        return Err(CallError::Invalid(format!("a glob is longer than {LONGEST_GLOB} bytes")));
    }
    let plain = glob.trim_start_matches("./").trim_matches('/');
    if plain.is_empty() || plain == "." {
        set.add(compile(glob, "**")?);
        return Ok(());
    }
    let everywhere = if plain.contains('/') || glob.starts_with('/') { "" } else { "**/" };
    set.add(compile(glob, &format!("{everywhere}{plain}"))?);
    set.add(compile(glob, &format!("{everywhere}{plain}/**"))?);
    Ok(())
}

fn compile(asked: &str, glob: &str) -> Result<globset::Glob, CallError> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map_err(|error| CallError::Invalid(format!("the glob {asked:?}: {}", error.kind())))
}

fn build(set: &GlobSetBuilder) -> Result<GlobSet, CallError> {
    set.build().map_err(|error| CallError::Invalid(format!("the globs can't be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(globs: &[&str], path: &str) -> bool {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        Globs::parse(&globs).unwrap().want(&CheckoutPath::parse(path).unwrap())
    }

    #[test]
    fn globs_hold_as_in_gitignore() {
        assert!(wants(&[], "a/b.rs"));
        assert!(wants(&["*.rs"], "a/b.rs"));
        assert!(!wants(&["/*.rs"], "a/b.rs"));
        assert!(!wants(&["a/*.rs"], "a/b/c.rs"));
        assert!(wants(&["a/**/*.rs"], "a/b/c.rs"));
        for folder in ["a/b", "./a/b/", "b", "."] {
            assert!(wants(&[folder], "a/b/c.rs"), "{folder}");
        }
        assert!(wants(&["*.{rs,toml}", "!target"], "a/b.toml"));
        assert!(!wants(&["*.{rs,toml}", "!target"], "target/b.toml"));
        assert!(wants(&["!target"], "a"));
    }

    #[test]
    fn globs_that_cannot_be_are_refused() {
        for globs in [vec!["[".to_owned()], vec!["a".repeat(1001)], vec!["a".to_owned(); 101]] {
            assert!(matches!(Globs::parse(&globs), Err(CallError::Invalid(_))), "{globs:?}");
        }
    }
}
