//! Git's pack format, as far as it takes to write one: version 2, each object
//! stored whole. Knows what a pack is made of (`git help gitformat-pack`), not
//! what belongs into one or where it goes.
//!
//! libgit2's own builder looks for objects that are alike and stores their
//! differences, which takes longer than all else that a landing costs; git does
//! so anyway when it collects garbage.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{Indexer, ObjectType, Oid};
use sha1::{Digest, Sha1};

const SIGNATURE: &[u8; 4] = b"PACK";
const VERSION: u32 = 2;
/// How an index of the same version begins, what comes before the ids in it, and how
/// long one is.
const INDEX_SIGNATURE: &[u8] = b"\xfftOc";
const INDEX_HEAD: usize = 8 + 256 * 4;
const ID_LENGTH: usize = 20;
/// The bits of a length that fit beside an object's kind, and into each byte
/// that follows; one more bit says that another byte does.
const FIRST_BITS: u32 = 4;
const NEXT_BITS: u32 = 7;
const MORE: u8 = 0x80;
/// libgit2 maps a file into memory for each piece that it gets.
const PIECE: usize = 1024 * 1024;
/// Zero means git's usual mode for packs, which are never written again.
const MODE: u32 = 0;

/// An object's kind and bytes.
pub(super) type Object = (ObjectType, Rc<[u8]>);

/// Writes so many objects, no two of them the same, as a pack with its index into a
/// folder; returns the pack's name. Nothing is synced.
pub(super) fn write_pack(
    count: usize,
    objects: impl Iterator<Item = io::Result<Object>>,
    folder: &Path,
) -> io::Result<String> {
    // It reads again what it is given, so that a pack without a fault is left.
    let indexer = Indexer::new(None, folder, MODE, false).map_err(io::Error::other)?;
    let mut pack = Hashed { inner: BufWriter::with_capacity(PIECE, indexer), hash: Sha1::new() };
    let count = u32::try_from(count).map_err(io::Error::other)?;
    pack.write_all(SIGNATURE)?;
    pack.write_all(&VERSION.to_be_bytes())?;
    pack.write_all(&count.to_be_bytes())?;
    for object in objects {
        let (kind, bytes) = object?;
        pack.write_all(&header(kind_number(kind)?, bytes.len() as u64))?;
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::fast());
        encoder.write_all(&bytes)?;
        encoder.finish()?;
    }
    let Hashed { mut inner, hash } = pack;
    inner.write_all(&hash.finalize())?;
    let indexer = inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    indexer.commit().map_err(io::Error::other)
}

/// What a pack holds, as its index says.
pub(super) fn ids_in(index: &[u8]) -> io::Result<Vec<Oid>> {
    let broken = || io::Error::other("the index of a pack is not whole");
    let number = |at: usize| {
        let bytes = index.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or_else(broken)
    };
    if !index.starts_with(INDEX_SIGNATURE) || number(INDEX_SIGNATURE.len())? != VERSION {
        return Err(broken());
    }
    // Before the ids it says how many of them begin with each byte or one below it.
    let count = number(INDEX_HEAD - 4)? as usize;
    let ids = index.get(INDEX_HEAD..INDEX_HEAD + count * ID_LENGTH).ok_or_else(broken)?;
    ids.chunks_exact(ID_LENGTH).map(|id| Oid::from_bytes(id).map_err(io::Error::other)).collect()
}

fn kind_number(kind: ObjectType) -> io::Result<u8> {
    match kind {
        ObjectType::Commit => Ok(1),
        ObjectType::Tree => Ok(2),
        ObjectType::Blob => Ok(3),
        ObjectType::Tag => Ok(4),
        other => Err(io::Error::other(format!("a pack can't hold what is of kind {other}"))),
    }
}

/// What comes before an object's bytes: its kind and its length, the lowest bits
/// first.
fn header(kind: u8, length: u64) -> Vec<u8> {
    let low = |length: u64, bits: u32| (length & ((1 << bits) - 1)) as u8;
    let mut bytes = vec![kind << FIRST_BITS | low(length, FIRST_BITS)];
    let mut rest = length >> FIRST_BITS;
    while rest > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= MORE;
        }
        bytes.push(low(rest, NEXT_BITS));
        rest >>= NEXT_BITS;
    }
    bytes
}

/// Writes through, and hashes what goes by.
struct Hashed<W> {
    inner: W,
    hash: Sha1,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sandbox, run_git};
    use super::*;

    /// Bytes that look like chance, and are the same each time.
    fn noise(length: usize) -> Vec<u8> {
        let step = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 56) as u8)
        };
        let mut state = 7;
        std::iter::from_fn(|| step(&mut state)).take(length).collect()
    }

    #[test]
    fn git_finds_no_fault_in_a_pack_and_all_objects_in_it() {
        let sandbox = Sandbox::with(&[("a", "one\n"), ("folder/b", "two\n")]);
        sandbox.git(&["tag", "--annotate", "--message", "a tag", "first"]);
        let git = git2::Repository::open(sandbox.top()).unwrap();
        let odb = git.odb().unwrap();
        let mut objects: Vec<Oid> =
            ["HEAD", "HEAD^{tree}", "HEAD:a", "HEAD:folder", "HEAD:folder/b", "first"]
                .iter()
                .map(|name| git.revparse_single(name).unwrap().id())
                .collect();
        // The lengths at which a header grows, and more than a piece holds.
        for length in [0, 1, 15, 16, 2047, 2048, 262_143, 262_144, 3 * PIECE + 1] {
            objects.push(odb.write(ObjectType::Blob, &noise(length)).unwrap());
            objects.push(odb.write(ObjectType::Blob, &vec![b'x'; length.max(2)]).unwrap());
        }
        objects.sort();
        objects.dedup();
        let folder = tempfile::tempdir().unwrap();
        let read = |id: &Oid| {
            let object = odb.read(*id).unwrap();
            Ok((object.kind(), object.data().into()))
        };
        let name = write_pack(objects.len(), objects.iter().map(read), folder.path()).unwrap();
        let pack = folder.path().join(format!("pack-{name}.pack"));
        let pack = pack.to_str().unwrap();
        let listed = run_git(folder.path(), &["verify-pack", "--verbose", pack]);
        assert!(listed.ends_with(&format!("{pack}: ok")), "{listed}");
        let empty = folder.path().join("empty");
        let place = empty.to_str().unwrap();
        run_git(folder.path(), &["init", "--quiet", "--bare", place]);
        run_git(&empty, &["index-pack", "--strict", "-o", "other.idx", pack]);
        // Git's index of the pack is byte for byte that of libgit2.
        let index = |path: std::path::PathBuf| std::fs::read(path).unwrap();
        assert_eq!(
            index(empty.join("other.idx")),
            index(folder.path().join(format!("pack-{name}.idx")))
        );
        let whole = index(empty.join("other.idx"));
        assert_eq!(ids_in(&whole).unwrap(), objects);
        for cut in [0, 7, 8, INDEX_HEAD - 1, INDEX_HEAD + objects.len() * ID_LENGTH - 1] {
            assert!(ids_in(&whole[..cut]).is_err(), "{cut}");
        }
        for id in objects {
            let object = odb.read(id).unwrap();
            let line = format!("{id} {:<6} {} ", object.kind().to_string(), object.len());
            assert_eq!(listed.matches(&line).count(), 1, "{line}");
        }
    }
}
