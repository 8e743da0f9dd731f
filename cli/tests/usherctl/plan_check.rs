//! `usherctl plan check` on the plans of this repository and on a broken one.

use std::fs;
use std::path::Path;

use crate::program::{text, usherctl};

#[test]
fn our_own_plans_have_no_errors() {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plans");
    let mut checked = 0;
    for entry in fs::read_dir(plans).expect("the folder with our plans") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "json") {
            let run = usherctl(["plan", "check", text(&path), "-o", "json"]).done();
            assert_eq!(run.json()["ok"], true, "{run:?}");
            assert_eq!(run.json()["format"], "usher");
            checked += 1;
        }
    }
    assert!(checked > 0, "there are plans");
}

#[test]
fn a_broken_plan_ends_with_1_and_every_path() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("broken.json");
    let broken = r#"{
        "usher_plan": 1, "name": "Hall", "price_levels": ["A"], "level": "B",
        "sections": [{"key": "S", "label": "Stalls", "rows": [{"label": "1", "cuont": 3}]}]
    }"#;
    fs::write(&path, broken).expect("room on the disk");
    let run = usherctl(["plan", "check", text(&path)]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.data.contains("error: level: "), "{run:?}");
    assert!(run.data.contains("error: sections[0].rows[0]"), "{run:?}");
    assert!(run.beside.contains("read as a plan of Usher"), "{run:?}");
}

#[test]
fn a_missing_file_ends_with_66() {
    assert_eq!(usherctl(["plan", "check", "no-such-file.json"]).code, 66);
    assert_eq!(usherctl(["event", "create", "e", "--plan", "no-such-file.json"]).code, 66);
}
