//! Who may import whom. The rules are checked against the manifests, because an arrow that is wrong once is
//! copied: the core must stay free of clocks, threads and formats, the log free of seats, the engine free of gRPC.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

/// What one of our crates may depend on.
struct Rule {
    crate_name: &'static str,
    /// Crates of ours it may use.
    ours: &'static [&'static str],
    /// Crates of ours its tests may use as well.
    ours_in_tests: &'static [&'static str],
    /// Crates of others: what it may use, what it must not.
    others: Others,
}

/// What a crate may use of others.
enum Others {
    /// Anything.
    Any,
    /// Nothing but these.
    Only(&'static [&'static str]),
    /// Anything but these, where a name that ends in `*` stands for all that begin so.
    Not(&'static [&'static str]),
}

/// The crates of async and gRPC, which the synchronous half must not know.
const EDGE: &[&str] = &["tokio*", "tonic*", "prost*", "hyper*", "h2", "http*", "tower*", "futures*", "axum*"];

const RULES: &[Rule] = &[
    // Macros that are nothing in a normal build: everything that is simulated may use them.
    Rule { crate_name: "probe", ours: &[], ours_in_tests: &[], others: Others::Only(&[]) },
    // One instruction that safe code cannot say.
    Rule { crate_name: "prefetch", ours: &[], ours_in_tests: &[], others: Others::Only(&[]) },
    Rule {
        crate_name: "inventory-core",
        ours: &["prefetch", "probe"],
        ours_in_tests: &[],
        others: Others::Only(&["hashbrown", "smallvec"]),
    },
    Rule { crate_name: "model", ours: &["inventory-core"], ours_in_tests: &[], others: Others::Not(EDGE) },
    Rule { crate_name: "venue", ours: &["inventory-core"], ours_in_tests: &[], others: Others::Not(EDGE) },
    Rule { crate_name: "wal", ours: &["probe"], ours_in_tests: &[], others: Others::Not(EDGE) },
    Rule {
        crate_name: "engine",
        ours: &["inventory-core", "probe", "wal"],
        ours_in_tests: &["model"],
        others: Others::Not(EDGE),
    },
    Rule {
        crate_name: "proto",
        ours: &[],
        ours_in_tests: &[],
        others: Others::Only(&["bytes", "prost", "prost-types", "tonic", "tonic-prost"]),
    },
    Rule {
        crate_name: "server",
        ours: &["backup", "engine", "history", "inventory-core", "proto", "venue"],
        // Tests speak to the server as its callers do.
        ours_in_tests: &["client"],
        others: Others::Any,
    },
    Rule { crate_name: "client", ours: &["proto"], ours_in_tests: &[], others: Others::Any },
    Rule {
        crate_name: "cli",
        ours: &["backup", "client", "engine", "inventory-core", "proto", "venue", "wal"],
        ours_in_tests: &[],
        others: Others::Any,
    },
    Rule { crate_name: "loadgen", ours: &["client", "proto"], ours_in_tests: &[], others: Others::Any },
    Rule {
        crate_name: "sim",
        ours: &["engine", "inventory-core", "model", "probe", "wal"],
        ours_in_tests: &[],
        others: Others::Not(EDGE),
    },
    // Derived from the log, never asked by the engine.
    Rule {
        crate_name: "history",
        ours: &["engine", "inventory-core", "wal"],
        ours_in_tests: &[],
        others: Others::Not(EDGE),
    },
    // Object stores are asynchronous; nothing else of the edge is needed.
    Rule { crate_name: "backup", ours: &["engine", "wal"], ours_in_tests: &["inventory-core"], others: Others::Any },
    Rule {
        crate_name: "trials",
        ours: &["backup", "client", "engine", "inventory-core", "model", "proto", "wal"],
        ours_in_tests: &[],
        others: Others::Any,
    },
    Rule {
        crate_name: "fuzz-targets",
        ours: &["backup", "engine", "inventory-core", "proto", "server", "venue", "wal"],
        ours_in_tests: &[],
        others: Others::Any,
    },
    Rule {
        crate_name: "benches",
        ours: &["engine", "inventory-core", "wal"],
        ours_in_tests: &[],
        others: Others::Not(EDGE),
    },
    // It starts the programs it compares; of ours it needs only the messages.
    Rule { crate_name: "peers", ours: &["proto"], ours_in_tests: &[], others: Others::Any },
    Rule { crate_name: "xtask", ours: &[], ours_in_tests: &[], others: Others::Any },
];

/// A member of the workspace, as far as arrows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it depends on, in every table of its manifest.
    pub dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The crate, under its true name when it is renamed.
    pub name: String,
    /// Only tests, examples and benches use it.
    pub only_in_tests: bool,
}

/// The members of the workspace at `root`.
///
/// # Errors
/// When a manifest cannot be read.
pub fn read_packages(root: &Path) -> Result<Vec<Package>> {
    let workspace = read_manifest(&root.join("Cargo.toml"))?;
    let workspace = table(&workspace, "workspace").context("the root manifest has no [workspace]")?;
    let empty = Table::new();
    let shared = table(workspace, "dependencies").unwrap_or(&empty);
    let members = workspace.get("members").and_then(Value::as_array).context("the workspace has no members")?;

    let mut packages = Vec::new();
    for member in members.iter().filter_map(Value::as_str) {
        let manifest = read_manifest(&root.join(member).join("Cargo.toml"))?;
        let name = table(&manifest, "package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let mut dependencies = Vec::new();
        collect(&manifest, shared, &mut dependencies);
        for target in table(&manifest, "target").unwrap_or(&empty).values().filter_map(Value::as_table) {
            collect(target, shared, &mut dependencies);
        }
        packages.push(Package { name: name.unwrap_or(member).to_owned(), dependencies });
    }
    Ok(packages)
}

/// Add what the dependency tables of one manifest, or of one target of it, name.
fn collect(tables: &Table, shared: &Table, dependencies: &mut Vec<Dependency>) {
    let kinds = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
    for (kind, only_in_tests) in kinds {
        let Some(lines) = table(tables, kind) else { continue };
        for (key, line) in lines {
            let renamed = |line: &Value| Some(line.as_table()?.get("package")?.as_str()?.to_owned());
            let name = renamed(line).or_else(|| renamed(shared.get(key)?)).unwrap_or_else(|| key.clone());
            dependencies.push(Dependency { name, only_in_tests });
        }
    }
}

fn read_manifest(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.parse().with_context(|| format!("parse {}", path.display()))
}

fn table<'a>(of: &'a Table, key: &str) -> Option<&'a Table> {
    of.get(key)?.as_table()
}

/// One sentence for each arrow that points the wrong way; empty when all is well.
#[must_use]
pub fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let Some(rule) = RULES.iter().find(|rule| rule.crate_name == package.name) else {
            wrong.push(format!("{} has no rule: say in xtask/src/arrows.rs what it may import", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_ours = packages.iter().any(|other| other.name == name);
            let allowed = if is_ours {
                rule.ours.contains(&name) || dependency.only_in_tests && rule.ours_in_tests.contains(&name)
            } else {
                dependency.only_in_tests || others_allow(&rule.others, name)
            };
            if !allowed {
                let place = if dependency.only_in_tests { " in its tests" } else { "" };
                wrong.push(format!("{} must not depend on {name}{place}", package.name));
            }
        }
    }
    wrong
}

fn others_allow(others: &Others, name: &str) -> bool {
    match others {
        Others::Any => true,
        Others::Only(names) => names.contains(&name),
        Others::Not(names) => !names.iter().any(|banned| match banned.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *banned,
        }),
    }
}

/// What the source of the core lacks of the two attributes that keep it pure; empty when it has both.
#[must_use]
pub fn missing_core_attributes(lib_source: &str) -> Vec<&'static str> {
    ["#![no_std]", "#![forbid(unsafe_code)]"]
        .into_iter()
        .filter(|attribute| !lib_source.lines().any(|line| line.trim_end() == *attribute))
        .collect()
}
