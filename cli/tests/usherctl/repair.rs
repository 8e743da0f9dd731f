//! `usherctl repair`: reports what it would lose, writes when that is accepted, and never touches the old folder.

use serde_json::Value;

use crate::folder::Folder;
use crate::program::{text, usherctl};

#[test]
fn what_would_be_lost_is_named_and_written_only_when_accepted() {
    let folder = Folder::stopped();
    folder.damage_second_hold();
    let before = folder.files();
    let parent = tempfile::tempdir().expect("a temporary folder");
    let new = parent.path().join("new");
    let words = ["repair", text(folder.path()), "--out", text(&new)];

    let report = usherctl(words);
    assert_eq!(report.code, 2, "{report:?}");
    assert!(report.data.contains("positions 3 to 3"), "{report:?}");
    assert!(report.data.contains("not saved: position 4") && report.data.contains("S-1-5"), "{report:?}");
    assert!(report.beside.contains("--accept-loss") && !new.exists(), "{report:?}");

    let done = usherctl([&words[..], &["--accept-loss", "--output", "json"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let lines: Vec<Value> = done.data.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("a summary");
    assert_eq!((last["line"].as_str(), last["written"].as_bool()), (Some("repair"), Some(true)));
    assert_eq!((last["changes_saved"].as_u64(), last["changes_lost"].as_u64()), (Some(2), Some(1)));
    assert_eq!((last["changes_not_saved"].as_u64(), last["incarnation"].as_u64()), (Some(1), Some(2)));
    assert!(lines.iter().any(|line| line["line"] == "change" && line["position"] == 4));
    assert!(before == folder.files(), "the damaged folder was touched");

    let verified = usherctl(["verify", text(&new), "--output", "json"]).done().json();
    assert_eq!((verified["live_holds"].as_u64(), verified["events"].as_u64()), (Some(1), Some(1)));
    // A second time the name is taken.
    assert_eq!(usherctl([&words[..], &["--accept-loss"]].concat()).code, 3);
}

#[test]
fn what_loses_nothing_is_written_at_once() {
    let folder = Folder::stopped();
    folder.remove("WATERMARK");
    assert_eq!(usherctl(["verify", text(folder.path())]).code, 2);
    let parent = tempfile::tempdir().expect("a temporary folder");
    let new = parent.path().join("new");
    let done = usherctl(["repair", text(folder.path()), "--out", text(&new)]).done();
    assert!(done.data.contains("lost: 0 changes"), "{done:?}");
    assert_eq!(usherctl(["verify", text(&new)]).code, 0);
}

#[test]
fn wrong_usage_and_no_folder_end_with_3() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let new = empty.path().join("new");
    assert_eq!(usherctl(["repair", text(empty.path())]).code, 3);
    assert_eq!(usherctl(["repair", text(empty.path()), "--out", text(&new)]).code, 3);
    assert!(!new.exists());
    // Beside a server that may still write.
    let folder = Folder::stopped();
    let storage = wal::FileStorage::open(folder.path()).expect("a folder");
    let _lock = storage.lock().expect("nobody else uses it");
    assert_eq!(usherctl(["repair", text(folder.path()), "--out", text(&new)]).code, 3);
}
