//! What a shop has in stock. `fn not_code()` stands in a comment.

use std::collections::BTreeMap;

/// How many a shelf holds.
pub const SHELF: usize = 40;

#[derive(Debug, Clone)]
pub struct Item<'a, T = u32> {
    pub name: &'a str,
    pub count: T,
}

pub enum Change {
    Added { item: String },
    Removed(String),
}

pub trait Shelf {
    type Key;
    const WIDTH: usize;

    fn put(&mut self, key: Self::Key) -> bool;

    fn is_empty(&self) -> bool {
        true
    }
}

impl<'a, T> Shelf for Item<'a, T>
where
    T: Copy,
{
    type Key = &'a str;
    const WIDTH: usize = SHELF;

    fn put(&mut self, key: &'a str) -> bool {
        let fits = |name: &str| name.len() < Self::WIDTH;
        fn longer(one: &str, other: &str) -> bool {
            one.len() > other.len()
        }
        fits(key) && longer(key, self.name)
    }
}

macro_rules! stock {
    ($($name:ident),*) => {
        vec![$(stringify!($name)),*]
    };
}

mod count;

pub(crate) mod report {
    pub async unsafe fn print<W: std::io::Write>(out: &mut W) -> std::io::Result<()> {
        let text = r#"fn neither() { "is code" }"#;
        writeln!(out, "{text} {}", super::SHELF)
    }
}

union Bits {
    whole: u32,
    parts: [u8; 4],
}

type Stock = BTreeMap<String, Item<'static>>;

extern "C" {
    fn weigh(item: *const u8) -> f64;
}
