//! Tasks of the repository, called as `cargo xtask <task>`. The same code runs in tests, so what a task checks is
//! checked by `cargo test` too.

pub mod arrows;
pub mod ci;
pub mod codegen;
pub mod tidy;

use std::path::PathBuf;

/// The root of the repository this program was built from.
#[must_use]
pub fn repository_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
