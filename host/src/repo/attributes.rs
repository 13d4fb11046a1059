//! Git's attributes as a commit has them: its `.gitattributes` files, read from
//! git's objects and from no working tree. Owns finding those files and a handle
//! that merges by them; what an attribute means is others' business.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Config, Index, ObjectType, Oid, Repository, Tree};

use super::changes::Mode;
use super::path::CheckoutPath;
use super::tree::index_entry;

/// The name of the files that say what attributes a path has.
pub(super) const ATTRIBUTES: &str = ".gitattributes";
/// What a commit's own attributes begin with here. Those of the user and of the
/// system are asked only where no file of the commit says anything.
const NOBODY_ELSES: &[u8] = b"* !merge\n";
/// What some editors begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The `.gitattributes` that may say something of these paths.
pub(super) fn attribute_files<'a>(
    paths: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<CheckoutPath> {
    let folders = paths.into_iter().flat_map(|path| Path::new(path).ancestors().skip(1));
    let folders: BTreeSet<&Path> = folders.collect();
    let file = |folder: &Path| folder.join(ATTRIBUTES).to_str().map(CheckoutPath::parse_file);
    folders.into_iter().filter_map(|folder| file(folder)?.ok()).collect()
}

/// The file that a tree has there.
pub(super) fn blob_at(tree: &Tree<'_>, name: &str) -> Option<Oid> {
    let entry = tree.get_path(Path::new(name)).ok()?;
    (entry.kind() == Some(ObjectType::Blob)).then(|| entry.id())
}

/// A handle of the same objects in which these paths have the attributes that the
/// tree gives them, and no others: not those of a working tree, which may stand on
/// something else, nor those of the user or the machine, with which the same merge
/// would come out differently elsewhere. It knows no config either.
pub(super) fn merging_by<'a>(
    git: &Repository,
    tree: &Tree<'_>,
    paths: impl IntoIterator<Item = &'a str>,
) -> Result<Repository, git2::Error> {
    let mut index = Index::new()?;
    for name in attribute_files(paths.into_iter().chain([ATTRIBUTES])) {
        let held = blob_at(tree, name.as_str());
        let at_the_top = name.as_str() == ATTRIBUTES;
        let blob = if at_the_top { Some(git.blob(&alone(git, held)?)?) } else { held };
        if let Some(id) = blob {
            index.add(&index_entry(&name, Mode::File, id))?;
        }
    }
    let merging = Repository::from_odb(git.odb()?)?;
    merging.set_config(&Config::new()?)?;
    merging.set_index(&mut index)?;
    Ok(merging)
}

/// The attributes at the top, after which nobody else is asked.
fn alone(git: &Repository, held: Option<Oid>) -> Result<Vec<u8>, git2::Error> {
    let mut text = NOBODY_ELSES.to_vec();
    if let Some(held) = held {
        let blob = git.find_blob(held)?;
        let own = blob.content();
        text.extend(own.strip_prefix(BYTE_ORDER_MARK).unwrap_or(own));
    }
    Ok(text)
}
