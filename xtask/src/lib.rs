//! Tasks of the repository, called as `cargo xtask <task>`. The same code runs in tests, so what a task checks is
//! checked by `cargo test` too.

pub mod arrows;
pub mod ci;
pub mod codegen;
pub mod instructions;
pub mod models;
pub mod nightly;
pub mod pictures;
pub mod program;
pub mod tidy;

use std::path::PathBuf;

/// The root of the repository this program was started in.
#[must_use]
pub fn repository_root() -> PathBuf {
    // Cargo sets it for what it runs. The value at compile time may name another clone that shares the target folder.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(manifest);
    root.pop();
    root
}
