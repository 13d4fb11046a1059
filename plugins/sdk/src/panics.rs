//! What becomes of a panic. Inside a component it is a trap, and a trap tells
//! nobody why: the host's log gets the message first. Under `cargo test` a panic
//! is left as it is.

/// Lets the host's log have the message of a panic.
pub(crate) fn log() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        crate::log::write(crate::log::Level::Error, &panic.to_string());
    }));
}
