//! What the figures were taken on and with: processor, kernel, disk, versions, commit.
//!
//! Nothing of it is needed to measure, so what cannot be found out is left open and never an error.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use peers::cores::Cores;
use peers::site::Site;
use peers::{postgres, redis};
use serde::Serialize;

/// The machine and its programs.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) pinning: String,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) hypervisor: String,
    /// Device, file system and options under the data folder.
    pub(crate) disk: String,
    /// Programs with their versions.
    pub(crate) versions: Vec<(String, String)>,
    /// The commit of the repository we are run in, with a `+` when files differ from it.
    pub(crate) commit: String,
    /// In UTC.
    pub(crate) date: String,
    pub(crate) command: String,
}

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mount {
    folder: String,
    pub(crate) kind: String,
    device: String,
    options: String,
}

impl Mount {
    /// Whether what is in it is lost with the power.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs")
    }
}

impl Machine {
    /// Of here and now.
    pub(crate) fn find(site: &Site, mount: Option<&Mount>) -> Machine {
        let info = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory_kb: Option<f64> =
            read("/proc/meminfo").lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let usherd = site.programs.join("usherd");
        let versions = [
            ("usherd", output(Command::new(usherd).arg("--version"))),
            ("redis", redis::version()),
            ("postgres", postgres::version()),
            ("h2load", output(Command::new("h2load").arg("--version"))),
        ];
        let told = |version: Option<String>| version.unwrap_or_else(|| "not here".to_owned());
        Machine {
            processor: field("model name").unwrap_or_default(),
            cores: info.lines().filter(|line| line.starts_with("processor")).count(),
            pinning: pinning(&site.cores),
            memory: memory_kb.map_or_else(String::new, |kb| format!("{:.1} GiB", kb / 1024.0 / 1024.0)),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            hypervisor: if info.contains(" hypervisor") { "a virtual machine" } else { "no hypervisor seen" }
                .to_owned(),
            disk: mount
                .map_or_else(String::new, |mount| format!("{} on {} ({})", mount.kind, mount.device, mount.options)),
            versions: versions.into_iter().map(|(name, version)| (name.to_owned(), told(version))).collect(),
            commit: commit(),
            date: output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default(),
            command: std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" "),
        }
    }
}

/// The file system in which a folder is.
pub(crate) fn mount_of(folder: &Path) -> Option<Mount> {
    let device = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    find_mount(&read("/proc/self/mountinfo"), folder, &format!("{major}:{minor}"))
}

/// The deepest mount above a folder, of the device when one is; file systems such as overlays show no such device.
fn find_mount(table: &str, folder: &Path, device: &str) -> Option<Mount> {
    let mut found: Option<(bool, usize, Mount)> = None;
    for line in table.lines() {
        // 36 35 98:0 /root /folder rw,noatime master:1 - ext4 /dev/vda rw,errors=continue
        let (front, back) = line.split_once(" - ")?;
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        let (&[_, _, number, _, place, options, ..], &[kind, source, ..]) = (front.as_slice(), back.as_slice()) else {
            continue;
        };
        if !folder.starts_with(place) {
            continue;
        }
        let mount = Mount {
            folder: place.to_owned(),
            kind: kind.to_owned(),
            device: source.to_owned(),
            options: options.to_owned(),
        };
        let rank = (number == device, place.len());
        // A later mount of the same folder covers the earlier.
        if found.as_ref().is_none_or(|(of_device, length, _)| rank >= (*of_device, *length)) {
            found = Some((rank.0, rank.1, mount));
        }
    }
    found.map(|(_, _, mount)| mount)
}

fn pinning(cores: &Cores) -> String {
    let (servers, clients) = (cores.server_count(), cores.client_count());
    match cores.pinned {
        true => format!("servers on {servers}, clients on {clients}"),
        false => "nothing is pinned: servers and clients take each other's processors".to_owned(),
    }
}

fn commit() -> String {
    let Some(commit) = output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])) else {
        return "not in a repository".to_owned();
    };
    let status = output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]));
    if status.is_some_and(|status| !status.is_empty()) { format!("{commit}+") } else { commit }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a command prints when it ends well.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A word as a shell would have to be given it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./,=:+@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw
23 22 0:20 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw
24 21 254:16 / /srv/with\\040space rw - xfs /dev/vdb rw,attr2
";

    #[test]
    fn the_deepest_mount_counts() {
        let mount = |folder: &str, device: &str| find_mount(TABLE, Path::new(folder), device).expect("a mount");
        assert_eq!(mount("/home/me/target", "254:0").device, "/dev/vda");
        assert!(!mount("/home/me/target", "254:0").is_memory());
        assert!(mount("/dev/shm/bench", "0:20").is_memory());
        assert_eq!(mount("/devices", "254:0").kind, "ext4", "a name that only begins alike is no parent");
        assert_eq!(find_mount("", Path::new("/"), "1:1"), None);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more() {
        assert_eq!(quoted("--only=a,b"), "--only=a,b");
        assert_eq!(quoted("it's a folder"), r"'it'\''s a folder'");
        assert_eq!(quoted(""), "''");
    }
}
