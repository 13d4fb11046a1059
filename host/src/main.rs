//! The program: everything is in the library, so that it can be embedded.

use std::process::ExitCode;

fn main() -> ExitCode {
    code_agent::cli::main()
}
