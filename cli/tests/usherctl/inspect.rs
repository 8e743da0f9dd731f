//! `usherctl inspect`: JSON lines of a whole folder and of a damaged one.

use serde_json::Value;

use crate::folder::Folder;
use crate::program::{Run, text, usherctl};

fn lines(run: &Run) -> Vec<Value> {
    run.data.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn inspect(folder: &Folder, words: &[&str]) -> (Run, Vec<Value>) {
    let before = folder.files();
    let run = usherctl([&["inspect", text(folder.path())], words].concat());
    assert!(before == folder.files(), "inspect wrote to the folder");
    let lines = lines(&run);
    (run, lines)
}

fn of<'l>(lines: &'l [Value], line: &str) -> Vec<&'l Value> {
    lines.iter().filter(|found| found["line"] == line).collect()
}

#[test]
fn every_line_is_an_object_and_changes_have_their_places_by_key() {
    let (run, lines) = inspect(&Folder::stopped(), &[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((of(&lines, "plan").len(), of(&lines, "segment").len()), (1, 1));
    assert!(of(&lines, "batch").iter().any(|batch| batch["kind"] == "seal" && batch["stop"] == true));
    let changes = of(&lines, "change");
    let kinds: Vec<_> = changes.iter().map(|change| change["kind"].as_str().expect("text")).collect();
    assert_eq!(kinds, ["event_created", "held", "held", "held"]);
    let seat = |key, index| serde_json::json!({ "kind": "seat", "key": key, "index": index, "to": "held" });
    assert_eq!(changes[1]["places"], Value::from(vec![seat("S-1-1", 0), seat("S-1-2", 1)]));
    assert_eq!((changes[1]["event"].as_str(), changes[1]["position"].as_u64()), (Some("concert"), Some(2)));
    assert_eq!(changes[1]["hold_ref"].as_str().map(str::len), Some(16));
    assert!(changes[1].get("hold_ids").is_none(), "full ids only when asked for");
    assert_eq!(changes[1]["not_saved"], Value::Null);
}

#[test]
fn filters_leave_what_was_asked_for() {
    let folder = Folder::stopped();
    let positions = |words: &[&str]| -> Vec<u64> {
        let (run, lines) = inspect(&folder, words);
        assert_eq!(run.code, 0, "{run:?}");
        of(&lines, "change").iter().filter_map(|change| change["position"].as_u64()).collect()
    };
    assert_eq!(positions(&["--from", "2", "--to", "3"]), [2, 3]);
    assert_eq!(positions(&["--seat", "S-1-4"]), [3]);
    assert_eq!(positions(&["--event", "concert"]), [1, 2, 3, 4]);
    assert_eq!(positions(&["--event", "other"]), [0; 0]);
    assert_eq!(positions(&["--to-time", "2026-01-01T00:00:00Z"]), [0; 0]);
    assert_eq!(positions(&["--from-time", "2026-01-01T00:00:00Z"]), [1, 2, 3, 4]);
    let (_, lines) = inspect(&folder, &["--what", "batches"]);
    assert!(lines.iter().all(|line| line["line"] == "batch"));
    let (_, lines) = inspect(&folder, &["--what", "changes", "--ids"]);
    assert_eq!(lines[1]["hold_ids"][0].as_str().map(str::len), Some(36));
}

#[test]
fn a_damaged_folder_is_shown_as_far_as_it_goes() {
    let folder = Folder::stopped();
    folder.damage();
    let (run, lines) = inspect(&folder, &[]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.beside.contains("usherctl repair"), "{run:?}");
    let hole = of(&lines, "hole")[0];
    assert_eq!(
        (hole["first_position"].as_u64(), hole["covered"].as_bool()),
        (hole["last_position"].as_u64(), Some(false))
    );
    assert!(!of(&lines, "damage").is_empty());
    assert_eq!(of(&lines, "change").len(), 3, "all but the one in the damaged batch");
}

#[test]
fn what_is_no_folder_ends_with_3_and_so_does_wrong_usage() {
    let empty = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(usherctl(["inspect", text(empty.path())]).code, 3);
    assert_eq!(usherctl(["inspect", text(&empty.path().join("missing"))]).code, 3);
    assert_eq!(usherctl(["inspect"]).code, 3);
    assert_eq!(usherctl(["inspect", text(empty.path()), "--what", "seats"]).code, 3);
}

#[test]
fn a_history_says_from_where_on_nothing_is_missing() {
    // What the older of two checkpoints covers is no longer in the log.
    let folder = Folder::with_checkpoints();
    let history = |event| usherctl(["history", "--data-dir", text(folder.path()), "--event", event, "--seat", "S-1-1"]);
    let told = history("concert-1").done();
    assert!(told.data.contains("S-1-1 held"), "{told:?}");
    assert_eq!(told.beside, "complete from position 5 to 12\n");
    let gone = history("concert-0");
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.beside.ends_with("has no change of concert-0; it is complete from position 5 to 12\n"), "{gone:?}");
}

#[test]
fn the_history_of_a_seat_and_of_a_hold_is_told_from_the_log() {
    let folder = Folder::stopped();
    let before = folder.files();
    let history = |words: &[&str]| {
        usherctl([&["history", "--data-dir", text(folder.path()), "--event", "concert"], words].concat())
    };
    let told = history(&["--seat", "S-1-4"]).done().data;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("POSITION  TIME"), "{told}");
    assert!(lines[1].contains("  held  ") && lines[1].contains("S-1-4 held"), "{told}");
    let found = history(&["--seat", "S-1-4", "-o", "json"]).done().json();
    assert_eq!((found[0]["position"].as_u64(), found.as_array().map(Vec::len)), (Some(3), Some(1)));
    let hold = found[0]["hold_ref"].as_str().expect("it is of a hold").to_owned();
    assert_eq!(history(&["--hold", &hold, "-o", "json"]).done().json(), found);
    assert_eq!(history(&["--hold", &hold]).done().beside, "complete from position 1 to 4\n");
    // As `usherctl hold` prints it; what is neither that nor a hold of this event is no empty answer.
    assert_eq!(history(&["--hold", &format!("concert/{hold}"), "-o", "json"]).done().json(), found);
    for (hold, said) in [
        ("gala/".to_owned() + &hold, "the hold is of gala, and --event says concert"),
        ("A-1".to_owned(), "no hold id"),
    ] {
        let wrong = history(&["--hold", &hold]);
        assert!(wrong.code != 0 && wrong.data.is_empty() && wrong.beside.contains(said), "{wrong:?}");
    }
    assert_eq!(history(&["--order", "O-1"]).done().data.lines().count(), 1, "only the header");
    let words = ["history", "--data-dir", text(folder.path()), "--event", "concrt", "--seat", "S-1-4"];
    let unknown = usherctl(words);
    let problem = format!("refused: EVENT_NOT_FOUND: the log in {} has no change of concrt\n", text(folder.path()));
    assert_eq!((unknown.code, unknown.data.as_str(), unknown.beside), (1, "", problem));
    let unknown: Value = serde_json::from_str(&usherctl([&words[..], &["-o", "json"]].concat()).beside).expect("JSON");
    assert_eq!(unknown["error"]["reason"], "EVENT_NOT_FOUND");
    // One of the three, and a folder that is there.
    assert_eq!((history(&[]).code, history(&["--seat", "a", "--order", "b"]).code), (3, 3));
    let missing = usherctl(["history", "--data-dir", "/nonexistent", "--event", "concert", "--seat", "a"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(before == folder.files(), "history wrote to the folder");
}
