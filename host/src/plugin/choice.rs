//! Which of the loaded plugins fill which role. All judges are asked; of any
//! other role there has to be one, or the user names it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plugin;
use super::manifest::{FILE_NAME, Kind};
use crate::types::Role;
use crate::{Error, Result};

/// The plugins that the user has named, by role.
pub type Choice = BTreeMap<Role, Vec<String>>;

/// The plugins of each role; a role that a run can do without may have none.
pub(super) fn choose(
    plugins: Vec<Arc<Plugin>>,
    choice: &Choice,
) -> Result<BTreeMap<Role, Vec<Arc<Plugin>>>> {
    let mut chosen = BTreeMap::new();
    for role in Role::ALL {
        let candidates: Vec<_> =
            plugins.iter().filter(|plugin| plugin.kind == Kind::Role(role)).collect();
        let names: Vec<&str> = candidates.iter().map(|plugin| plugin.entry.name.as_str()).collect();
        let wanted = choice.get(&role).map_or(&[][..], Vec::as_slice);
        let indices = fill(role, &names, wanted).map_err(Error::usage)?;
        if !indices.is_empty() {
            let of_role = indices.into_iter().map(|index| candidates[index].clone()).collect();
            chosen.insert(role, of_role);
        }
    }
    Ok(chosen)
}

/// A folder's plugins over those of the folders before: the roles that it fills
/// are its own. A tool can't be told from another by its name alone.
pub(super) fn take_over(
    before: Vec<Arc<Plugin>>,
    own: Vec<Arc<Plugin>>,
) -> Result<Vec<Arc<Plugin>>> {
    let is_taken = |plugin: &Arc<Plugin>| {
        plugin.kind != Kind::Tool && own.iter().any(|other| other.kind == plugin.kind)
    };
    let mut all: Vec<_> = before.into_iter().filter(|plugin| !is_taken(plugin)).collect();
    for plugin in own {
        let name = &plugin.entry.name;
        if all.iter().any(|other| other.entry.name == *name) {
            return Err(Error::usage(format!(
                "two of the plugins folders have a plugin `{name}`; give one of them another name"
            )));
        }
        all.push(plugin);
    }
    Ok(all)
}

/// The plugin of this name, or the only one.
pub(super) fn alone(plugins: Vec<Arc<Plugin>>, name: Option<&str>) -> Result<Arc<Plugin>> {
    let names: Vec<&str> = plugins.iter().map(|plugin| plugin.entry.name.as_str()).collect();
    let names = names.join(", ");
    let mut wanted: Vec<_> = plugins
        .into_iter()
        .filter(|plugin| name.is_none_or(|name| plugin.entry.name == name))
        .collect();
    match (wanted.pop(), wanted.is_empty(), name) {
        (Some(plugin), true, _) => Ok(plugin),
        (_, _, Some(name)) => {
            Err(Error::usage(format!("no plugin is called `{name}`; there are {names}")))
        }
        (_, _, None) => Err(Error::usage(format!(
            "the folder has the plugins {names}; say with plugin = \"NAME\" which one is meant"
        ))),
    }
}

/// Which of the candidates fill the role.
fn fill(role: Role, candidates: &[&str], wanted: &[String]) -> Result<Vec<usize>, String> {
    let listed = candidates.join(", ");
    let find = |name: &String| {
        let found = candidates.iter().position(|candidate| candidate == name);
        found.ok_or_else(|| match candidates {
            [] => format!("--role {role}={name}: no plugin fills the role {role}"),
            _ => format!("--role {role}={name}: `{name}` is no {role}; there are {listed}"),
        })
    };
    let mut named = wanted.iter().map(find).collect::<Result<Vec<usize>, String>>()?;
    named.sort_unstable();
    named.dedup();
    match (named.as_slice(), candidates) {
        ([], []) if role.is_optional() => Ok(Vec::new()),
        ([], []) => Err(format!(
            "no plugin fills the role {role}; name the default plugins' folder before your own \
             (--plugins DEFAULT --plugins OWN), or add a table [plugins.NAME] to {FILE_NAME} with role = \
             \"{role}\" and its component"
        )),
        ([], [_]) => Ok(vec![0]),
        ([], _) if role == Role::Judge => Ok((0..candidates.len()).collect()),
        ([], [first, ..]) => Err(format!(
            "the plugins {listed} fill the role {role}; say which one with --role, such as --role {role}={first}"
        )),
        ([_], _) => Ok(named),
        (_, _) if role == Role::Judge => Ok(named),
        (_, _) => Err(format!("only one plugin can be the {role}; leave one --role {role}=… out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A role, the plugins that could fill it, those that the user names, and
    /// which of them fill it.
    type Case = (
        Role,
        &'static [&'static str],
        &'static [&'static str],
        Result<&'static [usize], &'static str>,
    );

    #[test]
    fn each_role_gets_its_plugins_or_a_sentence() {
        let (worker, judge, merger) = (Role::Worker, Role::Judge, Role::Merger);
        #[rustfmt::skip]
        let table: [Case; 13] = [
            (worker, &["plain"], &[], Ok(&[0])),
            (worker, &["careful", "plain"], &["plain"], Ok(&[1])),
            (worker, &["careful", "plain"], &["plain", "plain"], Ok(&[1])),
            (worker, &["careful", "plain"], &[], Err("careful, plain fill the role worker; say which one with \
                --role, such as --role worker=careful")),
            (worker, &["plain"], &["fast"], Err("`fast` is no worker; there are plain")),
            (worker, &["careful", "plain"], &["plain", "careful"], Err("only one plugin can be the worker")),
            (worker, &[], &[], Err("no plugin fills the role worker; name")),
            (worker, &[], &["fast"], Err("no plugin fills the role worker")),
            (judge, &["a", "b", "c"], &[], Ok(&[0, 1, 2])),
            (judge, &["a", "b", "c"], &["c", "a"], Ok(&[0, 2])),
            (judge, &["a", "b"], &["b"], Ok(&[1])),
            (merger, &[], &[], Ok(&[])),
            (merger, &["a", "b"], &[], Err("--role merger=a")),
        ];
        for (role, candidates, wanted, expected) in table {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            match (fill(role, candidates, &wanted), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
                (found, _) => panic!("{role} {candidates:?} {wanted:?}: {found:?}"),
            }
        }
    }
}
