//! Which folders of the machine a command can read, and its environment: the
//! system's programs and libraries, and the toolchains that developers keep in
//! their home folder, by name; never what holds credentials.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Access;

/// Of the system. From `/etc` only what programs and libraries look up: it also
/// holds passwords and keys.
const SYSTEM: [&str; 43] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/sys/devices/system/cpu",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/environment",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/profile",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// Below the home folder: programs and the packages that they have fetched.
const TOOLCHAINS: [&str; 32] = [
    ".asdf",
    ".bun/bin",
    ".bun/install/cache",
    ".cache/go-build",
    ".cargo/bin",
    ".cargo/config",
    ".cargo/config.toml",
    ".cargo/git",
    ".cargo/registry",
    ".deno/bin",
    ".gradle/caches",
    ".gradle/wrapper",
    ".juliaup",
    ".local/bin",
    ".local/lib",
    ".local/pipx/venvs",
    ".local/share/mise",
    ".local/share/pnpm/store",
    ".local/share/uv",
    ".m2/repository",
    ".npm/_cacache",
    ".nvm",
    ".nuget/packages",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".rvm",
    ".sdkman/candidates",
    ".volta",
    "go/bin",
    "go/pkg",
    "miniconda3",
];

/// Variables that a command gets as they are.
const KEPT: [&str; 14] = [
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

/// What can be read, beyond what the user allows: everything of the lists that
/// is there, and where links among it lead.
pub(super) fn readable(access: &Access) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    if let Some(home) = home() {
        found.extend(TOOLCHAINS.iter().map(|name| home.join(name)));
    }
    for (variable, below) in [
        ("CARGO_HOME", &["bin", "config", "config.toml", "git", "registry"] as &[&str]),
        ("RUSTUP_HOME", &[""]),
        ("JAVA_HOME", &[""]),
        ("GOROOT", &[""]),
        ("NVM_DIR", &[""]),
        ("PYENV_ROOT", &[""]),
    ] {
        if let Some(folder) = std::env::var_os(variable).map(PathBuf::from) {
            found.extend(below.iter().map(|name| folder.join(name)));
        }
    }
    found.extend(access.readable.iter().cloned());
    let targets: Vec<PathBuf> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    found.extend(targets);
    found.retain(|path| path.is_absolute() && path != Path::new("/") && path.exists());
    found.sort();
    found.dedup();
    found
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// A command's environment: what is on the list, toolchains named by their
/// place, since its home is a folder of its own, and nothing that holds a key.
pub(super) fn environment(temporary: &Path, network: bool) -> BTreeMap<OsString, OsString> {
    let mut environment = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let is_locale = name.to_str().is_some_and(|name| name.starts_with("LC_"));
        if is_locale || KEPT.iter().any(|kept| name == *kept) {
            environment.insert(name, value);
        }
    }
    let mut set = |name: &str, value: OsString| environment.insert(name.into(), value);
    if let Some(home) = home() {
        let toolchain = |variable: &str, name: &str| {
            std::env::var_os(variable).unwrap_or_else(|| home.join(name).into_os_string())
        };
        set("CARGO_HOME", toolchain("CARGO_HOME", ".cargo"));
        set("RUSTUP_HOME", toolchain("RUSTUP_HOME", ".rustup"));
        set("GOMODCACHE", toolchain("GOMODCACHE", "go/pkg/mod"));
    }
    set("HOME", temporary.join("home").into_os_string());
    set("TMPDIR", temporary.as_os_str().to_owned());
    set("TERM", "dumb".into());
    set("GIT_TERMINAL_PROMPT", "0".into());
    // A sentence at once instead of minutes of trying.
    if !network {
        set("CARGO_NET_OFFLINE", "true".into());
        set("npm_config_offline", "true".into());
        set("PIP_NO_INDEX", "1".into());
        set("GOPROXY", "off".into());
    }
    environment
}
