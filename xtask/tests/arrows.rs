//! Who imports whom, read from the manifests.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use xtask::arrows::{Dependency, Package, missing_core_attributes, read_packages, wrong_arrows};

#[test]
fn no_arrow_of_the_repository_is_wrong() {
    let packages = read_packages(&xtask::repository_root()).unwrap();
    assert!(packages.iter().any(|package| package.name == "engine"), "the manifests were not read");
    assert_eq!(wrong_arrows(&packages), Vec::<String>::new());
}

#[test]
fn the_core_has_neither_std_nor_unsafe_code() {
    let lib = std::fs::read_to_string(xtask::repository_root().join("inventory-core/src/lib.rs")).unwrap();
    assert_eq!(missing_core_attributes(&lib), Vec::<&str>::new());
}

/// `crate -> dependency` a line, `~>` for one of tests only; answers the wrong ones.
fn check(arrows: &str) -> String {
    let mut packages: Vec<Package> = ["inventory-core", "model", "venue", "wal", "engine", "proto", "server", "client"]
        .map(|name| Package { name: name.to_owned(), dependencies: Vec::new() })
        .into();
    for arrow in arrows.lines() {
        let [from, line, to] = arrow.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        let dependency = Dependency { name: to.to_owned(), only_in_tests: line == "~>" };
        match packages.iter_mut().find(|package| package.name == from) {
            Some(package) => package.dependencies.push(dependency),
            None => packages.push(Package { name: from.to_owned(), dependencies: vec![dependency] }),
        }
    }
    wrong_arrows(&packages).join("\n")
}

#[test]
fn right_arrows_pass() {
    let right = "inventory-core -> hashbrown
        inventory-core ~> proptest
        model -> inventory-core
        engine -> wal
        engine -> crossbeam-channel
        engine ~> model
        proto -> tonic-prost
        server -> tokio
        server ~> client
        client -> proto";
    assert_eq!(check(right), "");
}

#[test]
fn wrong_arrows_are_named() {
    let wrong = "inventory-core -> serde
        inventory-core ~> model
        model -> engine
        wal -> inventory-core
        wal -> tokio-util
        engine -> proto
        engine -> tonic
        engine -> tokio
        proto -> inventory-core
        client -> inventory-core
        server -> client
        server -> wal
        newcomer -> wal";
    let named = "inventory-core must not depend on serde
inventory-core must not depend on model in its tests
model must not depend on engine
wal must not depend on inventory-core
wal must not depend on tokio-util
engine must not depend on proto
engine must not depend on tonic
engine must not depend on tokio
proto must not depend on inventory-core
server must not depend on client
server must not depend on wal
client must not depend on inventory-core
newcomer has no rule: say in xtask/src/arrows.rs what it may import";
    assert_eq!(check(wrong), named);
}

#[test]
fn an_attribute_in_a_comment_does_not_count() {
    assert_eq!(missing_core_attributes("// #![no_std]\n#![forbid(unsafe_code)]\n"), ["#![no_std]"]);
}
