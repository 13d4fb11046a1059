//! `types`: how an error reaches the component.

use crate::plugin::bindings::code_agent::plugin::types::{Error, Host};
use crate::plugin::convert::ImportError;
use crate::plugin::state::CallState;

impl Host for CallState {
    fn convert_error(&mut self, error: ImportError) -> wasmtime::Result<Error> {
        match error {
            ImportError::Answer(error) => Ok(error.into()),
            ImportError::Trap(error) => Err(error),
        }
    }
}
