//! `cargo xtask <task>`.

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let root = xtask::repository_root();
    match std::env::args().nth(1).as_deref() {
        Some("codegen") => xtask::codegen::run(&root),
        _ => bail!("usage: cargo xtask codegen"),
    }
}
