//! Full disks.
pub(super) fn run(_seed: u64) -> anyhow::Result<()> {
    Ok(())
}
