//! Snapshots, the archive and restores as an operator meets them, against the real server.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{Run, text, usherctl};
use crate::sale::{HALL, Server, hold_name, plan_file};

fn path(server: &Server, name: &str) -> PathBuf {
    server.folder.path().join(name)
}

fn restore(from: &Path, to: &Path, more: &[&str]) -> Run {
    usherctl(["restore", "--from", text(from), "--data-dir", text(to)].into_iter().chain(more.iter().copied()))
}

#[test]
fn from_a_snapshot_of_a_running_server_to_a_running_copy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, archive) = (folder.path().join("data"), folder.path().join("archive"));
    let flags = ["--archive", text(&archive), "--archive-seconds", "1"];
    let Some(server) = Server::over(folder, &data, &flags) else { return };
    let plan = plan_file(&server, "hall.json", HALL);
    server.run(&["event", "create", "gala", "--plan", text(&plan)]).done();
    let held = server.json(&["hold", "gala", "--best", "2", "--ttl", "90s"]);
    let name = hold_name(&held);

    // To a file, which is checked as it is written.
    let file = path(&server, "gala.snapshot");
    let made = server.json(&["snapshot", "create", "--out", text(&file)]);
    assert_eq!(
        (made["position"].as_u64(), made["events"].as_u64(), made["live_holds"].as_u64()),
        (Some(2), Some(1), Some(1))
    );
    assert_eq!(made["bytes"], fs::metadata(&file).expect("written").len());
    let checked = usherctl(["verify", text(&file), "--output", "json"]).done().json();
    assert_eq!((checked["verdict"].as_str(), checked["objects"].as_u64()), (Some("clean"), Some(1)));

    // And into the archive, under a name of its own.
    server.json(&["hold", "gala", "--ga", "FLOOR=2"]);
    let into = format!("{}/", archive.display());
    let second = server.run(&["snapshot", "create", "--out", &into]).done();
    assert!(second.data.contains("position     3\n"), "{second:?}");
    assert!(second.beside.contains("next: usherctl restore --from "), "{second:?}");
    let status = server.json(&["status"]);
    assert!(status["partitions"][0]["archive"]["position"].is_u64(), "{status}");
    let listed = usherctl(["snapshot", "list", "--from", text(&archive), "--output", "json"]).done().json();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["snapshots"][0]["position"], 3);

    // First told, then done; never over something.
    let copy = path(&server, "copy");
    let told = restore(&file, &copy, &["--dry-run", "--output", "json"]).done();
    assert_eq!((told.json()["position"].as_u64(), told.json()["incarnation"].as_u64()), (Some(2), Some(2)));
    assert!(told.beside.contains("would restore") && told.beside.contains("nothing was written"), "{told:?}");
    assert!(!copy.exists());
    let done = restore(&file, &copy, &[]).done();
    assert!(done.data.contains("live holds   1\n") && done.data.contains("incarnation  2, after 1\n"), "{done:?}");
    assert!(done.beside.contains(&format!("next: usherd --data-dir {}", copy.display())), "{done:?}");
    let used = restore(&file, &copy, &[]);
    assert!(used.code == 1 && used.beside.contains("is there already"), "{used:?}");
    usherctl(["verify", text(&copy)]).done();
    let late = restore(&file, &path(&server, "other"), &["--to-position", "3"]);
    assert!(late.code == 1 && late.beside.contains("ends before that, at position 2"), "{late:?}");
    let nowhere = restore(&path(&server, "nowhere"), &path(&server, "other"), &[]);
    assert!(nowhere.code == 66 && nowhere.beside.contains("there is no backup"), "{nowhere:?}");

    // The copy sells what was held.
    let kept = tempfile::tempdir().expect("a temporary folder");
    let restored = Server::over(kept, &copy, &[]).expect("its program is there");
    assert_eq!(restored.json(&["status"])["incarnation"], 2);
    let sold = restored.json(&["confirm", &name, "--order", "O-1"]);
    assert_eq!((sold["hold"]["state"].as_str(), sold["incarnation"].as_u64()), (Some("confirmed"), Some(2)));
}

#[test]
fn a_damaged_snapshot_is_refused_by_name_and_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let Some(server) = Server::over(folder, &data, &[]) else { return };
    let plan = plan_file(&server, "hall.json", HALL);
    server.run(&["event", "create", "gala", "--plan", text(&plan)]).done();
    let file = path(&server, "gala.snapshot");
    server.run(&["snapshot", "create", "--out", text(&file)]).done();
    let mut bytes = fs::read(&file).expect("written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("the disk works");
    let checked = usherctl(["verify", text(&file)]);
    assert!(checked.code == 2 && checked.data.contains("gala.snapshot is damaged at byte "), "{checked:?}");
    let copy = path(&server, "copy");
    let refused = restore(&file, &copy, &[]);
    assert!(refused.code == 65 && refused.beside.contains("gala.snapshot is damaged at byte "), "{refused:?}");
    assert!(!copy.exists(), "nothing is left of a restore that failed");
    assert_eq!(restore(&file, &copy, &["--output", "json"]).code, 65);
}
