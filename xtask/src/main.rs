//! `cargo xtask <task>`.

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <task>
  codegen  make the Rust code of crate `proto` from its .proto files
  layouts  copy the byte layouts from beside the encoders into docs/FORMAT.md
  tidy     check who imports whom, names of folders, and that linked documents exist
  ci       everything that must pass before a change goes in";

fn main() -> Result<()> {
    let root = xtask::repository_root();
    let task = std::env::args().nth(1);
    match task.as_deref() {
        Some("codegen") => xtask::codegen::run(&root),
        Some("layouts") => xtask::pictures::run(&root),
        Some("tidy") => xtask::tidy::run(&root),
        Some("ci") => xtask::ci::run(&root),
        _ => bail!("{USAGE}"),
    }
}
