//! Which folders of the machine a command can read: the system's programs and
//! libraries, and the toolchains that developers keep in their home folder, by
//! name; never what holds credentials.

#![expect(clippy::disallowed_methods, reason = "the machine's own folders and cargo's settings")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::Access;

/// Of the system. From `/etc` only what programs and libraries look up: it also
/// holds passwords and keys.
const SYSTEM: [&str; 44] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/sys/devices/system/cpu",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
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
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/profile",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
];

/// Names in `/etc` that belong to languages, mostly with a number behind: their
/// settings, which they don't start without.
const LANGUAGES: [&str; 8] = ["ghc", "gradle", "java", "maven", "perl", "php", "python", "R"];

/// Below the home folder: programs and the packages that they have fetched.
const TOOLCHAINS: [&str; 31] = [
    ".asdf",
    ".bun/bin",
    ".bun/install/cache",
    ".cache/go-build",
    ".cargo/bin",
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
    ".local/share/uv/python",
    ".local/share/uv/tools",
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

/// Variables that name a toolchain's folder, and what of it can be read.
const NAMED: [(&str, &[&str]); 7] = [
    ("CARGO_HOME", &["bin", "git", "registry"]),
    ("GOROOT", &[""]),
    ("JAVA_HOME", &[""]),
    ("NVM_DIR", &[""]),
    ("PYENV_ROOT", &[""]),
    ("RUSTUP_HOME", &[""]),
    ("VIRTUAL_ENV", &["bin", "include", "lib", "lib64", "pyvenv.cfg"]),
];

/// Words in the names of settings that hold credentials.
const CREDENTIALS: [&str; 4] = ["password", "secret", "token", "_key"];

/// What can be read, beyond what the user allows: everything of the lists that
/// is there, what `PATH` names, and where links among it lead.
pub(super) fn readable(access: &Access) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    found.extend(languages());
    let home = home();
    if let Some(home) = &home {
        found.extend(TOOLCHAINS.iter().map(|name| home.join(name)));
    }
    for (variable, below) in NAMED {
        if let Some(folder) = std::env::var_os(variable).map(PathBuf::from) {
            found.extend(below.iter().map(|name| folder.join(name)));
        }
    }
    found.extend(cargo_config());
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path).filter_map(|folder| program_folder(&folder)));
    found.extend(access.readable.iter().cloned());
    let targets: Vec<PathBuf> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    found.extend(targets);
    let above_home = |path: &Path| home.as_ref().is_some_and(|home| home.starts_with(path));
    let named = |path: &Path| access.readable.iter().any(|allowed| allowed == path);
    found.retain(|path| path.is_absolute() && path.exists() && (named(path) || !above_home(path)));
    found.sort();
    // What lies in a folder that is shown needs no showing of its own.
    found.dedup_by(|path, before| {
        path == before || (path.starts_with(&*before) && !before.is_symlink())
    });
    found
}

fn languages() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/etc") else { return Vec::new() };
    let is_number = |rest: &str| !rest.starts_with(|letter: char| letter.is_alphabetic());
    let is_language = |name: &str| {
        LANGUAGES.iter().any(|language| name.strip_prefix(language).is_some_and(is_number))
    };
    let named =
        entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_language));
    named.map(|entry| entry.path()).collect()
}

/// What of a folder of programs can be read: the folder, and below `/opt` all
/// of the package that it belongs to.
fn program_folder(folder: &Path) -> Option<PathBuf> {
    let Ok(below) = folder.strip_prefix("/opt") else { return Some(folder.to_owned()) };
    below.iter().next().map(|package| Path::new("/opt").join(package))
}

/// Cargo's settings, unless they hold credentials: those belong into
/// `credentials.toml`, which no command sees.
pub(super) fn cargo_config() -> Option<PathBuf> {
    let folder = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| home().map(|home| home.join(".cargo")))?;
    let file = ["config.toml", "config"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|file| file.is_file())?;
    let settings: toml::Table = fs::read_to_string(&file).ok()?.parse().ok()?;
    if settings.iter().any(|(name, value)| holds_credentials(name, value)) {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let file = file.display();
            tracing::warn!(
                "{file} holds credentials, so no command sees it; move them to credentials.toml"
            );
        });
        return None;
    }
    Some(file)
}

fn holds_credentials(name: &str, value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(table) => {
            table.iter().any(|(name, value)| holds_credentials(name, value))
        }
        toml::Value::Array(values) => values.iter().any(|value| holds_credentials(name, value)),
        toml::Value::String(text) => {
            let name = name.to_lowercase();
            let in_address = text.split_once("://").is_some_and(|(_, rest)| {
                rest.split('/').next().is_some_and(|host| host.contains('@'))
            });
            in_address || CREDENTIALS.iter().any(|word| name.contains(word))
        }
        _ => false,
    }
}

/// The user's home.
pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let settings: toml::Table = text.parse().unwrap();
        settings.iter().any(|(name, value)| holds_credentials(name, value))
    }

    #[test]
    fn credentials_in_settings_are_found() {
        for text in [
            "[registries.own]\ntoken = \"x\"",
            "[env]\nAPI_TOKEN = { value = \"x\" , TOKEN = \"y\" }",
            "[http]\nproxy = \"http://me:pw@proxy:80\"",
            "[env]\nAWS_SECRET_ACCESS_KEY = \"x\"",
        ] {
            assert!(holds(text), "{text}");
        }
        assert!(!holds(
            "[registry]\nglobal-credential-providers = [\"cargo:token\"]\n[source.own]\n\
             registry = \"sparse+https://host/index/@v1\""
        ));
    }

    #[test]
    fn a_package_below_opt_is_whole_and_other_programs_are_their_folder() {
        assert_eq!(program_folder(Path::new("/opt/go/1.25/bin")), Some("/opt/go".into()));
        assert_eq!(program_folder(Path::new("/opt")), None);
        assert_eq!(program_folder(Path::new("/srv/bin")), Some("/srv/bin".into()));
    }
}
