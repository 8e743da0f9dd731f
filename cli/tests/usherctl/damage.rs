//! One byte of every batch of a folder, and the two real programs: the server refuses to start with one sentence,
//! `verify` ends with 2 and names file, byte and positions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::folder::Folder;
use crate::program::{text, usherctl};

/// The exit code of a start that must be refused, and what it said.
fn start(program: &Path, folder: &Folder) -> (Option<i32>, String) {
    let output = Command::new(program)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .current_dir(folder.path())
        .env_remove("USHER_CONFIG")
        .output()
        .expect("the server starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

/// All files but the one that only carries the lock.
fn without_lock(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    folder.files().into_iter().filter(|(path, _)| !path.ends_with("LOCK")).collect()
}

#[test]
fn a_byte_of_any_batch_is_refused_by_the_server_and_named_by_verify() {
    let program = Path::new(env!("CARGO_BIN_EXE_usherctl")).with_file_name("usherd");
    if !program.exists() {
        let words = format!("SKIPPED: no server at {}: cargo build -p server\n", program.display());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
        return;
    }
    let folder = Folder::with_checkpoints();
    let shown = usherctl(["inspect", text(folder.path()), "--what", "segments,batches"]).done();
    let lines: Vec<Value> = shown.data.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().filter(|line| line["line"] == "checkpoint").count(), 2);
    let checkpoints = lines.iter().filter(|line| line["line"] == "checkpoint");
    let newest = checkpoints.filter_map(|line| line["position"].as_u64()).max();
    let batches: Vec<&Value> = lines.iter().filter(|line| line["line"] == "batch").collect();
    assert!(batches.iter().any(|batch| batch["first_position"].as_u64() < newest), "some are covered");
    for batch in batches {
        let (file, offset) = (batch["file"].as_str().expect("text"), batch["offset"].as_u64().expect("a number"));
        let path = folder.path().join(file);
        let whole = fs::read(&path).expect("it is there");
        let mut damaged = whole.clone();
        damaged[offset as usize + 130] ^= 0x20;
        fs::write(&path, damaged).expect("room");

        let before = without_lock(&folder);
        let (code, said) = start(&program, &folder);
        assert_eq!(code, Some(65), "{file} byte {offset}: {said}");
        let sentence: Vec<&str> = said.lines().filter(|line| line.contains(file)).collect();
        assert!(sentence.iter().any(|line| line.contains(&format!("byte {offset}"))), "{said}");
        let found = usherctl(["verify", text(folder.path()), "--output", "json"]);
        assert_eq!(found.code, 2, "{found:?}");
        let json = found.json();
        let first = &json["damage"][0];
        assert_eq!((first["file"].as_str(), first["offset"].as_u64()), (Some(file), Some(offset)), "{json}");
        assert_eq!(first["first_position"], batch["first_position"], "{json}");
        let last =
            batch["first_position"].as_u64().zip(batch["changes"].as_u64()).map(|(from, count)| from + count - 1);
        assert_eq!(first["last_position"].as_u64(), last, "{json}");
        assert!(before == without_lock(&folder), "a refused start or a check wrote to the folder");
        fs::write(&path, whole).expect("room");
    }
}

#[test]
fn a_folder_without_the_right_to_write_is_verified_and_inspected() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with_checkpoints();
    let mut paths: Vec<_> = folder.files().into_keys().collect();
    paths.extend([folder.path().join("plans"), folder.path().to_owned()]);
    let set = |mode: u32| {
        for path in &paths {
            let bits = if path.is_dir() { mode | 0o111 } else { mode };
            fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("ours");
        }
    };
    set(0o444);
    let (verified, inspected) = (usherctl(["verify", text(folder.path())]), usherctl(["inspect", text(folder.path())]));
    set(0o644);
    assert_eq!((verified.code, inspected.code), (0, 0), "{verified:?}");
}
