//! The repository is tidy, and the check sees what is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::path::Path;

use xtask::tidy::{empty_name, missing_documents, problems};

#[test]
fn the_repository_is_tidy() {
    assert_eq!(problems(&xtask::repository_root()).unwrap(), Vec::<String>::new());
}

#[test]
fn names_that_say_nothing_are_found() {
    assert!(empty_name(Path::new("engine/src/utils/mod.rs")).is_some());
    assert!(empty_name(Path::new("wal/src/helpers.rs")).is_some());
    assert!(empty_name(Path::new("wal/src/segment.rs")).is_none());
}

#[test]
fn documents_that_do_not_exist_are_found() {
    let root = xtask::repository_root();
    let markdown = "[here](LICENSE) [there](https://example.org/x) [gone](no/such.md#part)";
    let missing = |name: &str, text: &str| missing_documents(&root, Path::new(""), Path::new(name), text);
    assert_eq!(missing("README.md", markdown), ["no/such.md"]);
    // Put together here, or this very line would be found.
    let named = format!("//! See {}/NONE.md.", "docs");
    assert_eq!(missing("lib.rs", &named), [format!("{}/NONE.md", "docs")]);
}
