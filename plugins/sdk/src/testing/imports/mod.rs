//! The contract's imports as the fake host answers them, one module for each
//! interface, with the functions and types of the real ones.

pub mod files;
pub mod files_write;
pub mod git;
pub mod git_write;
mod glob;
pub mod lm;
mod path;
pub mod system;
pub mod tools;

pub use system::{commands, log, settings};

#[cfg(test)]
mod tests {
    use crate::bindings::imports::code_agent::plugin as real;

    /// Doesn't compile unless the two have one signature.
    macro_rules! same {
        ($($interface:ident::$function:ident),+ $(,)?) => {
            $(let _ = if true {
                real::$interface::$function
            } else {
                super::$interface::$function
            };)+
        };
    }

    #[test]
    fn the_fake_has_the_contracts_signatures() {
        same!(
            commands::run,
            files::list,
            files::read,
            files::read_lines,
            files::search,
            files::tree,
            files_write::edit,
            files_write::remove,
            files_write::rename,
            files_write::write,
            git::diff,
            git::log,
            git::status,
            git_write::commit_and_push,
            git_write::prepare,
            log::write,
            settings::get,
            tools::call,
            tools::specs,
        );
    }
}
