//! Named points between two steps that belong together, at which a test lets
//! the program die as if the machine had failed. Outside of debug builds they
//! do nothing.

/// The variable that names the point to die at.
#[cfg(debug_assertions)]
const VARIABLE: &str = "CODE_AGENT_CRASH_AT";

/// Dies here, with no destructor run, if the environment names this point.
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os(VARIABLE).is_some_and(|wanted| wanted == name) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
