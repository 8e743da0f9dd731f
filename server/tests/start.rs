//! Starts that are refused: one sentence that names the file and what to do, and the exit code.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Output},
};

use engine::ManualClock;
use inventory_core::ids::TimestampMs;
use server::StartFault;
use support::{START_MS, TestServer, config, hold_of, start};

async fn refused(folder: &Path) -> StartFault {
    let clock = ManualClock::new(TimestampMs(START_MS));
    start(config(folder), &clock).await.map(drop).unwrap_err()
}

/// A folder in which something was sold, and nobody works.
async fn sold() -> tempfile::TempDir {
    let mut server = TestServer::with_show().await;
    for seat in 0..10 {
        server.hold(hold_of("show", &server.id(), &[seat])).await.unwrap();
    }
    server.running.take().unwrap().stop().await.unwrap();
    server.folder
}

fn first_segment(folder: &Path) -> std::path::PathBuf {
    let mut segments: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    segments.sort();
    segments.remove(0)
}

#[tokio::test]
async fn a_folder_that_another_process_has() {
    let server = TestServer::empty().await;
    let fault = refused(server.folder.path()).await;
    assert_eq!(fault.exit_code(), 73, "{fault}");
    assert!(fault.to_string().contains("LOCK") && fault.to_string().contains("stop it first"), "{fault}");
    server.stop().await;
}

#[tokio::test]
async fn a_port_that_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.listen = taken.local_addr().unwrap();
    let clock = ManualClock::new(TimestampMs(START_MS));
    let fault = start(config.clone(), &clock).await.map(drop).unwrap_err();
    assert_eq!(fault.exit_code(), 69, "{fault}");
    assert!(
        fault.to_string().contains(&config.listen.to_string()) && fault.to_string().contains("--listen"),
        "{fault}"
    );
}

#[tokio::test]
async fn acknowledged_data_that_is_damaged() {
    let folder = sold().await;
    let segment = first_segment(folder.path());
    let file = fs::OpenOptions::new().write(true).read(true).open(&segment).unwrap();
    // Inside the first batch, behind the two header pages: what follows proves that it was acknowledged.
    for offset in 8_192 + 16..8_192 + 80 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[!byte[0]], offset).unwrap();
    }
    let before = fs::read(&segment).unwrap();
    let fault = refused(folder.path()).await;
    assert_eq!(fault.exit_code(), 65, "{fault}");
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(fault.to_string().contains(&name) && fault.to_string().contains("restore from a snapshot"), "{fault}");
    assert_eq!(fs::read(&segment).unwrap(), before, "a refused start changes nothing");
}

#[tokio::test]
async fn a_plan_file_that_is_gone() {
    let folder = sold().await;
    let plan = fs::read_dir(folder.path().join("plans")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&plan).unwrap();
    let fault = refused(folder.path()).await;
    assert_eq!(fault.exit_code(), 65, "{fault}");
    assert!(fault.to_string().contains(plan.file_name().unwrap().to_str().unwrap()), "{fault}");
}

#[tokio::test]
async fn a_log_of_a_newer_program() {
    let folder = sold().await;
    let segment = first_segment(folder.path());
    let mut bytes = fs::read(&segment).unwrap();
    // The format's major number stands after the magic, in both header pages, each with its checksum.
    for page in bytes.chunks_mut(4_096).take(2) {
        page[8] += 1;
        let checksum = crc32c::crc32c(&page[..4_092]);
        page[4_092..].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(&segment, bytes).unwrap();
    let fault = refused(folder.path()).await;
    assert_eq!(fault.exit_code(), 78, "{fault}");
    assert!(fault.to_string().contains("newer program"), "{fault}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written() {
    // Nobody may make a folder there, not even root.
    let fault = refused(Path::new("/sys/usher-data")).await;
    assert_eq!(fault.exit_code(), 73, "{fault}");
    assert!(fault.to_string().contains("/sys/usher-data") && fault.to_string().contains("--data-dir"), "{fault}");
}

#[tokio::test]
async fn a_path_that_is_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let fault = refused(&file).await;
    assert_eq!(fault.exit_code(), 73, "{fault}");
    assert!(fault.to_string().contains("--data-dir"), "{fault}");
    let fault = refused(&file.join("below")).await;
    assert_eq!(fault.exit_code(), 73, "{fault}");
}

#[tokio::test]
async fn a_clock_far_behind_the_log() {
    let folder = sold().await;
    let clock = ManualClock::new(TimestampMs(START_MS - 25 * 3_600_000));
    let fault = start(config(folder.path()), &clock).await.map(drop).unwrap_err();
    assert_eq!(fault.exit_code(), 78, "{fault}");
    assert!(fault.to_string().contains("--accept-clock-jump"), "{fault}");
    let mut accepted = config(folder.path());
    accepted.accept_clock_jump = true;
    start(accepted, &clock).await.unwrap().stop().await.unwrap();
}

// The program itself.

fn usherd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_usherd")).current_dir(folder).env_clear().args(arguments).output().unwrap()
}

#[test]
fn the_program_checks_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("usher.toml"), "drain_seconds = 7\n").unwrap();
    let output = usherd(folder.path(), &["--check-config", "--shards", "3"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for part in ["drain_seconds      = 7", "usher.toml", "(command line)", "(default)"] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    fs::write(folder.path().join("usher.toml"), "drain = 7\n").unwrap();
    let output = usherd(folder.path(), &["--check-config"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("drain"));
    let output = usherd(folder.path(), &["--config", "/dev/null", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--insecure-no-auth"));
}

#[test]
fn the_program_helps() {
    let folder = tempfile::tempdir().unwrap();
    let help = String::from_utf8(usherd(folder.path(), &["--help"]).stdout).unwrap();
    for part in ["Examples:", "--data-dir", "--drain-seconds", "Exit codes", "[default: 127.0.0.1:7700]"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let version = String::from_utf8(usherd(folder.path(), &["--version"]).stdout).unwrap();
    assert!(version.starts_with("usherd "), "{version}");
}
