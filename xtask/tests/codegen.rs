//! The committed code is what the `.proto` files make.

#![allow(clippy::unwrap_used, reason = "a test that cannot make the code has failed")]

use xtask::{codegen, repository_root};

#[test]
fn committed_code_is_fresh() {
    codegen::check(&repository_root()).unwrap();
}

#[test]
fn a_changed_file_is_noticed() {
    let fresh = tempfile::tempdir().unwrap();
    codegen::generate(&repository_root(), fresh.path()).unwrap();
    let name = "usher.inventory.v1.rs";
    let mut text = std::fs::read_to_string(fresh.path().join(name)).unwrap();
    text.push('\n');
    std::fs::write(fresh.path().join(name), text).unwrap();
    assert_eq!(codegen::stale_files(&repository_root(), fresh.path()).unwrap(), [name]);
}
