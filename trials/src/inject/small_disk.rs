//! A file system small enough to fill: in memory, or ext4 in a file. Needs root; unmounted also when a trial fails.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Kinds of small disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tmpfs,
    Ext4,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Tmpfs => "tmpfs",
            Kind::Ext4 => "ext4",
        }
    }
}

const BYTES: u64 = 48 << 20;
const BALLAST: &str = "ballast";
const PAGE: usize = 4_096;

/// A mounted small disk.
#[derive(Debug)]
pub(super) struct SmallDisk {
    folder: tempfile::TempDir,
    mounted: bool,
}

/// Why there can be none here.
pub(super) fn obstacle(kind: Kind) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting needs root".to_owned());
    }
    if kind == Kind::Ext4 && run("mkfs.ext4", &["-V"]).is_err() {
        return Some("there is no mkfs.ext4 (.ci/install-tools)".to_owned());
    }
    None
}

impl SmallDisk {
    /// Makes and mounts one.
    pub(super) fn mount(kind: Kind) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("usher-disk-").tempdir()?;
        let mut disk = Self { folder, mounted: false };
        let at = disk.root();
        fs::create_dir(&at)?;
        let point = at.display().to_string();
        match kind {
            Kind::Tmpfs => run("mount", &["-t", "tmpfs", "-o", &format!("size={BYTES}"), "usher-trial", &point])?,
            Kind::Ext4 => {
                let image = disk.folder.path().join("image");
                File::create(&image)?.set_len(BYTES)?;
                let image = image.display().to_string();
                // Nothing is kept back for root, who is who runs this.
                run("mkfs.ext4", &["-q", "-F", "-m", "0", &image])?;
                run("mount", &["-o", "loop", &image, &point])?;
            }
        }
        disk.mounted = true;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Bytes that may still be written.
    pub(super) fn free(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(self.root())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Fills it, or makes room, until so much is free. What others write meanwhile counts as well.
    pub(super) fn leave(&self, bytes: u64) -> Result<()> {
        let path = self.root().join(BALLAST);
        let mut ballast = File::options().create(true).append(true).open(&path)?;
        let free = self.free()?;
        if free < bytes {
            let length = ballast.metadata()?.len();
            ballast.set_len(length.saturating_sub(bytes - free))?;
            return Ok(());
        }
        loop {
            let free = self.free()?;
            let piece = usize::try_from(free.saturating_sub(bytes)).unwrap_or(PAGE).min(1 << 20);
            // To the last byte, when none is to be left: the count of free blocks is not exact.
            let piece = if bytes == 0 { piece.max(PAGE) } else { piece };
            if piece < PAGE {
                return Ok(());
            }
            match ballast.write_all(&vec![1; piece]).and_then(|()| ballast.sync_all()) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull && piece > PAGE => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("fill the small disk"),
            }
        }
    }

    /// Gives all of it back.
    pub(super) fn empty(&self) -> Result<()> {
        match fs::remove_file(self.root().join(BALLAST)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Copies everything on it elsewhere, for a report.
    pub(super) fn save(&self, to: &Path) -> Result<()> {
        self.empty()?;
        run("cp", &["-a", &self.root().display().to_string(), &to.display().to_string()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let point = self.root().display().to_string();
            // A process that still has a file there keeps it busy: it goes away with that process then.
            if run("umount", &[&point]).is_err() && run("umount", &["-l", &point]).is_err() {
                eprintln!("{point} is still mounted: umount {point}");
            }
        }
    }
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let run = Command::new(program).args(words).output().with_context(|| format!("run {program}"))?;
    let said = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.success(), "{program} {}: {}", words.join(" "), said.trim());
    Ok(())
}
