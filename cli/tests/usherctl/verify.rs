//! `usherctl verify` on folders of every kind.

use std::fs;

use crate::folder::Folder;
use crate::program::{Run, text, usherctl};

/// Verifies in both forms, and checks that nothing was written.
fn verify(folder: &Folder) -> (Run, Run) {
    let before = folder.files();
    let runs =
        (usherctl(["verify", text(folder.path())]), usherctl(["verify", text(folder.path()), "--output", "json"]));
    assert_eq!(runs.0.code, runs.1.code);
    assert!(before == folder.files(), "verify wrote to the folder");
    runs
}

#[test]
fn a_clean_folder_ends_with_0() {
    let (people, json) = verify(&Folder::stopped());
    assert_eq!(people.code, 0, "{people:?}");
    assert!(people.data.contains(": clean: everything checks\n"), "{people:?}");
    let json = json.json();
    assert_eq!((json["verdict"].as_str(), json["exit_code"].as_u64()), (Some("clean"), Some(0)));
    assert_eq!((json["events"].as_u64(), json["live_holds"].as_u64()), (Some(1), Some(3)));
    assert_eq!(json["position"], 4);
    assert_eq!(json["sealed"], true);
}

#[test]
fn a_torn_tail_ends_with_1_and_says_where() {
    let folder = Folder::stopped();
    folder.tear();
    let (people, json) = verify(&folder);
    assert_eq!(people.code, 1, "{people:?}");
    assert!(people.data.contains(": torn tail: everything acknowledged checks"), "{people:?}");
    let segment = folder.segment();
    assert_eq!(json.json()["torn_tail"]["file"], segment.file_name().expect("a name").to_str().expect("text"));
}

#[test]
fn damage_of_acknowledged_data_ends_with_2_and_names_the_file() {
    let folder = Folder::stopped();
    folder.damage();
    let (people, json) = verify(&folder);
    assert_eq!(people.code, 2, "{people:?}");
    assert_eq!(json.json()["verdict"], "damaged");
    let segment = folder.segment();
    assert!(people.data.contains(segment.file_name().expect("a name").to_str().expect("text")), "{people:?}");
}

#[test]
fn a_log_that_is_gone_is_damage_and_not_an_empty_folder() {
    let folder = Folder::stopped();
    fs::remove_file(folder.segment()).expect("it was there");
    assert_eq!(verify(&folder).0.code, 2);
}

#[test]
fn a_newer_format_ends_with_4() {
    let folder = Folder::stopped();
    folder.make_newer();
    let (people, json) = verify(&folder);
    assert_eq!(people.code, 4, "{people:?}");
    assert_eq!(json.json()["verdict"], "newer_format");
}

#[test]
fn what_is_no_data_folder_ends_with_3_and_so_does_wrong_usage() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let run = usherctl(["verify", text(empty.path())]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.data.contains("no data of a server in this folder"), "{run:?}");
    assert_eq!(usherctl(["verify", text(&empty.path().join("missing"))]).code, 3);
    assert_eq!(usherctl(["verify"]).code, 3);
    assert_eq!(usherctl(["--output", "json", "verify", "a", "b"]).code, 3);
    assert_eq!(usherctl(["verify", "--nonsense", "a"]).code, 3);
    assert_eq!(usherctl(["verify", "--help"]).code, 0);
}

#[test]
fn a_folder_that_a_server_uses_is_read_with_a_remark() {
    let folder = Folder::stopped();
    let storage = wal::FileStorage::open(folder.path()).expect("a folder");
    let _lock = storage.lock().expect("nobody else uses it");
    let (people, _) = verify(&folder);
    assert_eq!(people.code, 0, "{people:?}");
    assert!(people.beside.contains("a server is using this folder"), "{people:?}");
}
