//! A sale from the making of the event to its end, against the real server.
//!
//! The server's program is looked for beside ours. This crate may not depend on the server's, so nothing builds it
//! for this test alone: `cargo test --workspace` does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Run, text, usherctl};

/// A running server, ended with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: String,
    pub(crate) folder: TempDir,
}

impl Server {
    /// Nothing when its program was not built.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().to_owned();
        Self::over(folder, &data, &[])
    }

    /// Over a data folder in a folder that goes with it, with these flags.
    pub(crate) fn over(folder: TempDir, data: &Path, flags: &[&str]) -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_usherctl")).with_file_name("usherd");
        if !program.exists() {
            // Past the capture of the test harness: a test that did not run must not look like one that passed.
            let words = format!("SKIPPED: no server at {}: cargo build -p server\n", program.display());
            let _ = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
            return None;
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(flags)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer)
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(reader).lines();
        let mut said = Vec::new();
        let endpoint = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    let address = line.split_once("listening on ").map(|(_, rest)| rest);
                    if let Some(address) = address.and_then(|rest| rest.split_whitespace().next()) {
                        break address.to_owned();
                    }
                    said.push(line);
                }
                ended => {
                    let _ = child.kill();
                    panic!("the server did not come up ({ended:?}): {said:#?}");
                }
            }
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, endpoint, folder })
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        usherctl(["--endpoint", &self.endpoint].into_iter().chain(words.iter().copied()))
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.run(&[words, &["--output", "json"]].concat()).done().json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const HALL: &str = r#"{
    "usher_plan": 1, "name": "Hall", "price_levels": ["A"], "level": "A", "focal_point": [0, 0],
    "sections": [{"key": "S", "label": "Stalls", "rows": [
        {"label": "A", "count": 6, "start": [0, 1], "step": [1, 0], "aisles_after": [3]},
        {"label": "B", "count": 6, "start": [0, 2], "step": [1, 0]}
    ]}],
    "areas": [{"key": "FLOOR", "label": "Floor", "capacity": 50, "centre": [0, 20]}]
}"#;

pub(crate) fn plan_file(server: &Server, name: &str, content: &str) -> PathBuf {
    let path = server.folder.path().join(name);
    std::fs::write(&path, content).expect("room on the disk");
    path
}

#[test]
fn a_sale_from_the_first_command_to_the_last() {
    let Some(server) = Server::start() else { return };
    let plan = plan_file(&server, "hall.json", HALL);

    // An event.
    let made =
        server.run(&["event", "create", "gala", "--plan", text(&plan), "--draft", "--label", "city=Bern"]).done();
    assert_eq!(made.data, "gala is made as a draft: 12 seats and 50 general admissions\n");
    assert!(made.beside.contains("next: usherctl event open gala"), "{made:?}");
    let early = server.run(&["hold", "gala", "--best", "2"]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.beside.starts_with("refused: SALE_NOT_OPEN"), "{early:?}");
    assert_eq!(server.run(&["event", "open", "gala"]).done().data, "gala is on sale\n");
    let event = server.json(&["event", "update", "gala", "--hold-ttl", "5m", "--name", "Gala"]);
    assert_eq!(event["event"]["policies"]["hold_ttl_ms"], 300_000);
    assert_eq!(server.json(&["event", "show", "gala"])["event"]["name"], "Gala");
    assert_eq!(server.json(&["event", "list"])["events"][0]["labels"]["city"], "Bern");

    // A hold, sold.
    let keys: Vec<String> = row_keys(&server, 0);
    let (first, second) = (keys[0].as_str(), keys[1].as_str());
    let held = server.json(&["hold", "gala", first, second, "--ga", "FLOOR=3", "--ttl", "90s"]);
    assert_eq!(held["hold"]["seats"], serde_json::json!([first, second]));
    assert_eq!(held["hold"]["ga"][0]["area"], "FLOOR");
    assert!(held["hold"]["expires_in_ms"].as_u64().is_some_and(|ms| (80_000..=90_000).contains(&ms)), "{held}");
    let name = hold_name(&held);
    let taken = server.run(&["hold", "gala", second]);
    assert_eq!(
        (taken.code, taken.beside.as_str()),
        (1, format!("refused: PLACES_UNAVAILABLE: {second} is held\n").as_str())
    );
    let unknown = server.run(&["hold", "gala", first, "Q-9"]);
    assert!(unknown.beside.starts_with("refused: UNKNOWN_PLACE: Q-9: "), "{unknown:?}");
    let sold = server.json(&["confirm", &name, "--order", "O-1"]);
    assert_eq!((sold["hold"]["state"].as_str(), sold["replayed"].as_bool()), (Some("confirmed"), Some(false)));
    assert_eq!(sold["hold"]["sold_seats"], serde_json::json!([first, second]));
    assert_eq!(server.json(&["confirm", &name, "--order", "O-1"])["replayed"], true);
    let other = server.run(&["confirm", &name, "--order", "O-2"]);
    assert!(other.code == 1 && other.beside.starts_with("refused: HOLD_ALREADY_CONFIRMED"), "{other:?}");

    // The best, in part.
    let held = server.json(&["hold", "gala", "--best", "3", "--section", "S", "--seats-only"]);
    assert_eq!(held["arrangement"], "contiguous");
    let name = hold_name(&held);
    let one = held["hold"]["seats"][0].as_str().expect("a key");
    let part = server.json(&["confirm", &name, "--order", "O-3", "--seats", one, "--keep-rest"]);
    assert_eq!((part["hold"]["state"].as_str(), part["hold"]["sold_seats"][0].as_str()), (Some("active"), Some(one)));
    let extended = server.json(&["extend", &name, "--ttl", "10m"]);
    assert_eq!(extended["hold"]["seats"].as_array().map(Vec::len), Some(2));
    assert!(extended["hold"]["expires_in_ms"].as_u64().is_some_and(|ms| ms > 500_000), "{extended}");
    let released = server.json(&["release", &name]);
    assert_eq!(released["hold"]["cause"], "requested");
    assert_eq!(server.json(&["show", &name])["hold"]["seats"], serde_json::json!([]));

    // What is left.
    let counts = server.json(&["availability", "gala"]);
    assert_eq!(counts["totals"]["sold"], 6, "{counts}");
    assert_eq!(counts["ga_areas"][0]["counts"]["open"], 47);
    let drawn = server.run(&["seatmap", "gala"]).done().data;
    assert!(drawn.starts_with("Stalls (S)\n  A  SS"), "{drawn}");
    assert!(drawn.contains("  FLOOR  47 open, 0 held, 3 sold, 0 unavailable of 50\n"), "{drawn}");
    let status = server.json(&["status"]);
    assert_eq!((status["state"].as_str(), status["events"].as_u64()), (Some("serving"), Some(1)));

    // The end.
    assert_eq!(server.run(&["event", "close", "gala"]).done().data, "gala is off sale\n");
    let closed = server.run(&["hold", "gala", "--best", "1"]);
    assert!(closed.code == 1 && closed.beside.starts_with("refused: SALE_CLOSED"), "{closed:?}");
    assert_eq!(server.run(&["event", "cancel", "gala"]).done().data, "gala is cancelled\n");
    // Beside the running server, whose log is sound up to what it is just writing.
    let verified = usherctl(["verify", text(server.folder.path())]);
    assert!([0, 1].contains(&verified.code) && verified.beside.contains("a server is using"), "{verified:?}");
}

#[test]
fn a_payment_from_its_beginning_to_the_sale() {
    let Some(server) = Server::start() else { return };
    let plan = plan_file(&server, "hall.json", HALL);
    let words = ["event", "create", "gala", "--plan", text(&plan), "--payment-attempts", "2", "--payment-grace", "5m"];
    let made = server.json(&words);
    assert_eq!(made["event"]["policies"]["payment_grace_ms"], 300_000);
    let name = hold_name(&server.json(&["hold", "gala", "--ga", "FLOOR=2", "--ttl", "30s"]));

    // The first attempt comes to nothing.
    let begun = server.json(&["begin-payment", &name]);
    let first = begun["attempt_id"].as_str().expect("an attempt").to_owned();
    assert_eq!((begun["hold"]["state"].as_str(), begun["replayed"].as_bool()), (Some("paying"), Some(false)));
    assert!(begun["hold"]["expires_in_ms"].as_u64().is_some_and(|ms| (290_000..=300_000).contains(&ms)), "{begun}");
    assert_eq!(begun["hold"]["payment_attempts_left"], 1);
    assert!(begun["hold"]["payment_deadline"].is_string());
    let again = server.run(&["begin-payment", &name, "--attempt", &first]).done();
    assert!(again.data.contains("state          paying\n") && again.data.contains(&first), "{again:?}");
    assert!(again.beside.contains("was begun before"), "{again:?}");
    assert!(again.beside.contains(&format!("next: usherctl confirm {name} --order O --attempt {first}")), "{again:?}");
    for words in [&["extend", &name][..], &["release", &name], &["begin-payment", &name]] {
        let refused = server.run(words);
        assert!(refused.code == 1 && refused.beside.starts_with("refused: PAYMENT_IN_PROGRESS"), "{refused:?}");
    }
    let end = ["end-payment", &name, "--attempt", &first, "--outcome", "failed"];
    let ended = server.json(&end);
    assert_eq!((ended["hold"]["state"].as_str(), ended["replayed"].as_bool()), (Some("active"), Some(false)));
    assert!(ended["hold"]["expires_in_ms"].as_u64().is_some_and(|ms| (110_000..=120_000).contains(&ms)), "{ended}");
    let again = server.run(&end).done();
    assert!(again.beside.contains("had ended before"), "{again:?}");
    assert!(again.beside.contains(&format!("next: usherctl begin-payment {name}")), "{again:?}");
    // Begun again: it is over, and only a new one helps.
    let again = server.run(&["begin-payment", &name, "--attempt", &first]).done();
    assert_eq!(
        again.beside,
        format!("this attempt has ended; this is how the hold is now\nnext: usherctl begin-payment {name}\n")
    );

    // The second pays, and a late third is owed back.
    let second = server.json(&["begin-payment", &name])["attempt_id"].as_str().expect("an attempt").to_owned();
    let sold = server.json(&["confirm", &name, "--order", "O-1", "--attempt", &second]);
    assert_eq!((sold["hold"]["state"].as_str(), sold["replayed"].as_bool()), (Some("confirmed"), Some(false)));
    let late = server.run(&["confirm", &name, "--order", "O-1", "--attempt", &first]);
    assert!(late.code == 1 && late.beside.starts_with("refused: HOLD_ALREADY_CONFIRMED"), "{late:?}");
    assert!(late.beside.contains("must be refunded"), "{late:?}");

    // A buyer who leaves while he pays.
    let name = hold_name(&server.json(&["hold", "gala", "--ga", "FLOOR=2"]));
    server.run(&["begin-payment", &name]).done();
    let released = server.json(&["release", &name, "--abort-payment"]);
    assert_eq!(released["hold"]["state"], "released");

    // No further attempt.
    let name = hold_name(&server.json(&["hold", "gala", "--ga", "FLOOR=2"]));
    let mut last = String::new();
    for _ in 0..2 {
        let attempt = server.json(&["begin-payment", &name])["attempt_id"].as_str().expect("an attempt").to_owned();
        let ended = server.run(&["end-payment", &name, "--attempt", &attempt, "--outcome", "abandoned"]).done();
        assert!(ended.data.contains("state          active\n"), "{ended:?}");
        last = attempt;
    }
    let again = server.run(&["begin-payment", &name, "--attempt", &last]).done();
    assert_eq!(again.beside, "this attempt has ended; this is how the hold is now\n", "none is left to begin");
    let refused = server.run(&["begin-payment", &name]);
    assert!(refused.code == 1 && refused.beside.starts_with("refused: PAYMENT_ATTEMPTS_CAP"), "{refused:?}");
}

#[test]
fn ways_and_reasons_are_told_with_the_names_of_places_and_nothing_is_held() {
    let Some(server) = Server::start() else { return };
    let plan = plan_file(&server, "hall.json", HALL);
    server.run(&["event", "create", "gala", "--plan", text(&plan)]).done();
    // Row A is 1-3 and 4-6 with an aisle between, row B 1-6.
    let ways = server.json(&["suggest", "gala", "--best", "3", "--options", "2", "--section", "S"]);
    let first = ways["options"][0]["seat_keys"].clone();
    assert_eq!(ways["options"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (ways["options"][0]["arrangement"].as_str(), &first),
        (Some("contiguous"), &serde_json::json!(row_keys(&server, 0)[..3]))
    );
    let told = server.run(&["suggest", "gala", "--best", "8"]).done().data;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("1  split "), "{told}");
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["2", "general", "8", "×", "FLOOR"]);

    let keys = row_keys(&server, 1);
    let told = server.run(&["explain", "gala", &keys[1]]).done().data;
    assert!(told.starts_with("a hold would be  refused: WOULD_STRAND\n"), "{told}");
    assert!(told.ends_with(&format!("left alone       {}\n", keys[0])), "{told}");
    let granted = server.json(&["explain", "gala", "--best", "3", "--ga", "FLOOR=2"]);
    assert_eq!((&granted["reason"], &granted["seat_keys"]), (&Value::Null, &first));
    assert_eq!(
        (granted["ga"][0]["area"].as_str(), granted["left_alone"].as_array().map(Vec::len)),
        (Some("FLOOR"), Some(0))
    );
    let map = server.run(&["availability", "gala", "-o", "json"]).done().json();
    assert_eq!(map["totals"]["held"], 0, "nothing is held");

    server.run(&["hold", "gala", &keys[0], &keys[1]]).done();
    let told = server.run(&["explain", "gala", &keys[1], &keys[2]]).done().data;
    assert!(told.contains(&format!("in the way       {} is held\n", keys[1])), "{told}");
    let refused = server.run(&["suggest", "gala", "--best", "7", "--contiguous-only"]);
    assert!(refused.code == 1 && refused.beside.starts_with("refused: NOT_ENOUGH_PLACES"), "{refused:?}");
}

#[test]
fn a_plan_with_errors_makes_no_event() {
    let Some(server) = Server::start() else { return };
    let broken = HALL.replace("\"capacity\": 50", "\"capacity\": -1").replace("\"count\": 6", "\"count\": 0");
    let plan = plan_file(&server, "broken.json", &broken);
    let run = server.run(&["event", "create", "gala", "--plan", text(&plan)]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.data.lines().count() >= 2 && run.data.contains("error: areas[0]"), "{run:?}");
    let none = server.run(&["event", "show", "gala"]);
    assert!(none.code == 1 && none.beside.starts_with("refused: EVENT_NOT_FOUND"), "{none:?}");
    assert_eq!(server.json(&["event", "list"])["events"], serde_json::json!([]));
}

fn row_keys(server: &Server, row: usize) -> Vec<String> {
    let map = server.json(&["seatmap", "gala"]);
    let keys = map["sections"][0]["rows"][row]["seats"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn hold_name(answer: &Value) -> String {
    let hold = &answer["hold"];
    format!("{}/{}", hold["event_id"].as_str().expect("text"), hold["hold_id"].as_str().expect("text"))
}
