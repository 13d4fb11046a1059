//! Small functions for plain text. Each module stands alone.

pub mod color;
pub mod csv;
pub mod dates;
pub mod indent;
pub mod numbers;
pub mod slug;
pub mod table;
pub mod words;
pub mod wrap;
