//! A command's environment: made from a list, so that it holds no key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::Policy;
use super::places::home;

/// Variables that a command gets as they are.
const KEPT: [&str; 21] = [
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "USER",
    "LOGNAME",
    "JAVA_HOME",
    "GOROOT",
    "NVM_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "RUSTUP_TOOLCHAIN",
    "VIRTUAL_ENV",
    "SSL_CERT_DIR",
];

/// What is on the list, toolchains named by their place, since the command's home
/// is a folder of its own. With `own_caches` packages are kept in that home.
pub(super) fn of(policy: &Policy, own_caches: bool) -> BTreeMap<OsString, OsString> {
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        if KEPT.iter().any(|kept| name == *kept) {
            environment.insert(name, value);
        }
    }
    let mut set = |name: &str, value: OsString| environment.insert(name.into(), value);
    let own = policy.folders.home.as_path();
    if let Some(home) = home() {
        let folder = |variable: &str, below: &Path, name: &str| {
            let known = std::env::var_os(variable).filter(|_| below == home);
            known.unwrap_or_else(|| below.join(name).into_os_string())
        };
        let caches = if own_caches { own } else { home.as_path() };
        set("RUSTUP_HOME", folder("RUSTUP_HOME", &home, ".rustup"));
        set("CARGO_HOME", folder("CARGO_HOME", caches, ".cargo"));
        set("GOMODCACHE", folder("GOMODCACHE", caches, "go/pkg/mod"));
    }
    set("HOME", own.as_os_str().to_owned());
    set("TMPDIR", policy.seen_temporary().as_os_str().to_owned());
    set("TERM", "dumb".into());
    set("GIT_TERMINAL_PROMPT", "0".into());
    // Looking for leaks takes ptrace, which nobody has here.
    set("ASAN_OPTIONS", "detect_leaks=0".into());
    // A sentence at once instead of minutes of trying.
    if !policy.network {
        set("CARGO_NET_OFFLINE", "true".into());
        set("npm_config_offline", "true".into());
        set("PIP_NO_INDEX", "1".into());
        set("GOPROXY", "off".into());
    }
    environment
}
