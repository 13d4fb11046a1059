//! What a plugin may do in one call: what its manifest asks for, as far as the
//! user consents to it, as far as its caller may do it. Pure, and checked in
//! every function that the host offers, for the default plugins too.

use super::manifest::{FILE_NAME, Kind, PluginEntry};
use crate::agent::{Grant, Rights};
use crate::types::Role;

/// What a tool may do in a folder that the user has named, and no more has
/// been said.
const TOOL_BASE: Rights = Rights::these(&[Grant::Files, Grant::Git, Grant::Settings]);
/// What a tool can ask for. It has no model, calls no other tool and lands
/// nothing.
const TOOL_MOST: Rights = TOOL_BASE.with(Grant::FilesWrite).with(Grant::Commands);

/// What the user consents to by naming the plugins folder.
pub fn base(kind: Kind) -> Rights {
    match kind {
        Kind::Role(role) => Rights::of(role),
        Kind::Tool => TOOL_BASE,
    }
}

/// What can be asked for at all.
pub fn most(kind: Kind) -> Rights {
    match kind {
        Kind::Role(role) => Rights::of(role),
        Kind::Tool => TOOL_MOST,
    }
}

/// What the manifest asks for: the base where it doesn't say. What the user has
/// set for it, a plugin can always read.
pub fn asked(kind: Kind, manifest: Option<Rights>) -> Rights {
    manifest.map_or(base(kind), |rights| rights.with(Grant::Settings))
}

/// What the manifest asks for and the user has to allow.
pub fn to_allow(kind: Kind, manifest: Option<Rights>) -> Rights {
    asked(kind, manifest).beyond(base(kind))
}

/// What a plugin may do: manifest ∩ user ∩ caller's rights. `allowed`: what the
/// user allows beyond the base.
pub fn effective(kind: Kind, manifest: Option<Rights>, allowed: Rights, caller: Rights) -> Rights {
    let user = base(kind).and(allowed).also_in(most(kind));
    asked(kind, manifest).also_in(user).also_in(caller)
}

/// Why a plugin of this kind can't ask for it.
pub fn never(kind: Kind, grant: Grant) -> String {
    match kind {
        Kind::Role(role) => format!("the role {role} has no right to `{grant}`; leave it out"),
        Kind::Tool => format!(
            "no tool may use `{grant}`: a tool has no model, calls no other tool and lands nothing"
        ),
    }
}

/// The sentence for a call without the grant: what is missing, and the line
/// that asks for it where one would help. `caller`: for whom the plugin works,
/// and what that one may do.
pub fn denial(
    entry: &PluginEntry,
    kind: Kind,
    grant: Grant,
    caller: Option<(Role, Rights)>,
) -> String {
    let name = &entry.name;
    let missing = format!("plugin `{name}` has no right to `{grant}`");
    if !most(kind).allows(grant) {
        return format!("{missing}: {}", never(kind, grant));
    }
    if !asked(kind, entry.grants).allows(grant) {
        return format!("{missing}. To ask for it, {}", line_to_add(entry, kind, grant));
    }
    match caller {
        None => format!("{missing} while it says what its tools are: it has no checkout then"),
        Some((role, rights)) if !rights.allows(grant) => {
            if grant == Grant::Commands && Rights::of(role).allows(grant) {
                return format!(
                    "{missing}: this host has no sandbox to run commands in; `code-agent doctor` says why"
                );
            }
            format!("{missing} when the {role} calls it, which has none itself")
        }
        Some(_) => format!(
            "{missing}: nobody has allowed it. `code-agent plugin allow` with the plugins folder does, or \
             --allow-plugins for one run"
        ),
    }
}

fn line_to_add(entry: &PluginEntry, kind: Kind, grant: Grant) -> String {
    let asked = asked(kind, entry.grants).with(grant);
    let words = asked.beyond(Rights::these(&[Grant::Settings])).list();
    let words: Vec<String> = words.map(|grant| format!("\"{grant}\"")).collect();
    let line = format!("grants = [{}]", words.join(", "));
    let name = &entry.name;
    let allow = match to_allow(kind, Some(asked)).is_empty() {
        true => "",
        false => ", and allow it with `code-agent plugin allow` and the plugins folder",
    };
    if entry.kind.is_some() {
        return format!("let [plugins.{name}] in {FILE_NAME} say {line}{allow}");
    }
    let file = entry.component.file_name().unwrap_or_default().display();
    let is = match kind {
        Kind::Role(role) => format!("role = \"{role}\""),
        Kind::Tool => "tool = true".to_owned(),
    };
    format!(
        "add to {FILE_NAME} a table [plugins.{name}] with component = \"{file}\", {is} and {line}{allow}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: Kind = Kind::Tool;
    const WORKER: Kind = Kind::Role(Role::Worker);
    const JUDGE: Kind = Kind::Role(Role::Judge);

    fn rights(words: &str) -> Rights {
        let find = |word: &str| Grant::ALL.into_iter().find(|grant| grant.as_str() == word);
        Rights::these(&words.split_whitespace().map(|word| find(word).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_plugin_may_do_what_manifest_user_and_caller_all_say() {
        let all = rights("files files-write git git-write commands lm tools settings");
        let (worker, planner) = (Rights::of(Role::Worker), Rights::of(Role::SubPlanner));
        let judge = Rights::of(Role::Judge);
        let none = Rights::NONE;
        #[rustfmt::skip]
        let table = [
            // A tool without an entry, or whose entry asks for nothing in particular.
            (TOOL, None, none, worker, "files git settings"),
            (TOOL, None, all, worker, "files git settings"),
            (TOOL, None, none, none, ""),
            // What it asks for needs consent, and a caller who may do it.
            (TOOL, Some("files commands"), none, worker, "files settings"),
            (TOOL, Some("files commands"), rights("commands"), worker, "files commands settings"),
            (TOOL, Some("files commands"), rights("commands"), judge, "files commands settings"),
            (TOOL, Some("files commands"), rights("commands"), planner, "files settings"),
            (TOOL, Some("files-write"), rights("files-write"), worker, "files-write settings"),
            (TOOL, Some("files-write"), rights("files-write"), judge, "settings"),
            (TOOL, Some("files-write"), rights("commands"), worker, "settings"),
            // It can ask for less than the base.
            (TOOL, Some(""), all, worker, "settings"),
            // What no tool may do, nobody can allow.
            (TOOL, Some("lm tools git-write"), all, all, "settings"),
            // A role has its role's rights, or what it asks for of them.
            (WORKER, None, none, worker, "files files-write git git-write commands lm tools settings"),
            (WORKER, Some("lm tools files"), none, worker, "lm tools files settings"),
            (JUDGE, None, none, judge, "files git commands lm tools settings"),
            (JUDGE, None, all, all, "files git commands lm tools settings"),
            (JUDGE, Some("files files-write"), all, all, "files settings"),
            (JUDGE, None, none, judge.beyond(rights("commands")), "files git lm tools settings"),
        ];
        for (kind, manifest, allowed, caller, expected) in table {
            let found = effective(kind, manifest.map(rights), allowed, caller);
            assert_eq!(
                found,
                rights(expected),
                "{kind}, manifest {manifest:?}, user {allowed}, caller {caller}: {found}"
            );
        }
    }

    #[test]
    fn only_what_is_more_than_the_base_is_to_be_allowed() {
        for (kind, manifest, expected) in [
            (TOOL, None, ""),
            (TOOL, Some("files git"), ""),
            (TOOL, Some("files commands files-write"), "commands files-write"),
            (WORKER, None, ""),
            (WORKER, Some("commands"), ""),
        ] {
            assert_eq!(to_allow(kind, manifest.map(rights)), rights(expected), "{manifest:?}");
        }
    }

    #[test]
    fn a_denial_says_what_would_help() {
        let dropped = PluginEntry::without_entry("outline".into(), "/p/outline.wasm".into());
        let mut entry = PluginEntry { kind: Some(TOOL), ..dropped.clone() };
        let worker = Some((Role::Worker, Rights::of(Role::Worker)));
        let planner = Some((Role::SubPlanner, Rights::of(Role::SubPlanner)));
        let said = |entry: &PluginEntry, grant, caller| denial(entry, TOOL, grant, caller);
        assert_eq!(
            said(&entry, Grant::Commands, worker),
            "plugin `outline` has no right to `commands`. To ask for it, let [plugins.outline] in plugins.toml say \
             grants = [\"files\", \"git\", \"commands\"], and allow it with `code-agent plugin allow` and the \
             plugins folder"
        );
        let words = said(&dropped, Grant::FilesWrite, worker);
        assert!(
            words.contains("component = \"outline.wasm\", tool = true and grants = "),
            "{words}"
        );
        assert!(said(&entry, Grant::Lm, worker).contains("no tool may use `lm`"));
        entry.grants = Some(rights("commands"));
        assert!(said(&entry, Grant::Files, worker).ends_with(
            "[\"files\", \"commands\"], and allow it with \
            `code-agent plugin allow` and the plugins folder"
        ));
        assert!(said(&entry, Grant::Commands, worker).contains("--allow-plugins"));
        assert!(said(&entry, Grant::Commands, planner).contains("when the sub-planner calls it"));
        assert!(said(&entry, Grant::Commands, None).contains("says what its tools are"));
        let bare = Some((Role::Worker, Rights::of(Role::Worker).beyond(rights("commands"))));
        assert!(said(&entry, Grant::Commands, bare).contains("no sandbox"));
    }
}
