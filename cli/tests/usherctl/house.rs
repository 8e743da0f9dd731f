//! Sales without a hold, returns, exchanges, kills, allocations, limits and price levels, as a person types them, against the real server.

use serde_json::{Value, json};

use crate::program::{text, usherctl};
use crate::sale::{HALL, Server, hold_name, plan_file};

/// A server with the event `gala` in the hall: row A and row B of six seats each, and a floor of 50.
fn gala() -> Option<Server> {
    let server = Server::start()?;
    let plan = plan_file(&server, "hall.json", HALL);
    server.run(&["event", "create", "gala", "--plan", text(&plan), "--orphan-rule", "off"]).done();
    Some(server)
}

fn listed(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn an_order_from_the_box_office_to_the_refund() {
    let Some(server) = gala() else { return };
    let nothing = server.run(&["orders", "gala"]).done();
    assert_eq!((nothing.data.as_str(), nothing.beside.as_str()), ("", "nothing is sold\n"));

    // Sold at the counter.
    let words = ["sell", "gala", "S-A-1", "S-A-2", "--ga", "FLOOR=2", "--order", "O-1", "--customer", "c-1"];
    let would = server.run(&[&words[..], &["--validate-only"]].concat()).done();
    assert_eq!(would.data, "would be sold  4 places\nplaces         S-A-1, S-A-2, 2 × FLOOR\n");
    let sold = server.run(&words).done();
    assert!(sold.data.starts_with("sold    S-A-1, S-A-2, 2 × FLOOR\nstate   confirmed\n"), "{sold:?}");
    assert_eq!(sold.beside, "next: usherctl order gala O-1\n");
    let taken = server.run(&["sell", "gala", "S-A-2", "--order", "O-2"]);
    assert_eq!((taken.code, taken.beside.as_str()), (1, "refused: PLACES_UNAVAILABLE: S-A-2 is sold\n"));
    let unknown = server.run(&["sell", "gala", "S-A-3", "Q-9", "--order", "O-2"]);
    assert!(unknown.beside.starts_with("refused: UNKNOWN_PLACE: Q-9: "), "{unknown:?}");
    let paused = server.run(&["sell", "gala", "S-A-3", "--order", "O-2", "--expected-state", "paused"]);
    assert!(paused.code == 1 && paused.beside.starts_with("refused: STATE_MISMATCH"), "{paused:?}");

    // The same request is one sale.
    let id =
        server.json(&["sell", "gala", "S-B-1", "--order", "O-2"])["request_id"].as_str().expect("an id").to_owned();
    let again = ["sell", "gala", "S-B-1", "--order", "O-2", "--request", &id];
    assert_eq!(server.json(&again)["replayed"], true);
    assert!(server.run(&again).done().beside.starts_with("this was done before"));

    // Looked up and listed.
    let order = server.json(&["order", "gala", "O-1"]);
    assert_eq!(listed(&order["order"]["parts"][0]["seats"]), ["S-A-1", "S-A-2"]);
    assert_eq!(order["order"]["parts"][0]["ga"][0], json!({ "area": "FLOOR", "quantity": 2, "ticket_type": 0 }));
    let shown = server.run(&["order", "gala", "O-1"]).done().data;
    assert!(shown.starts_with("order  O-1\nHOLD ") && shown.contains("  S-A-1, S-A-2, 2 × FLOOR\n"), "{shown}");
    let lines = server.run(&["orders", "gala"]).done().data;
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.lines().nth(2).is_some_and(|line| line.starts_with("O-2 ") && line.ends_with(" S-B-1")), "{lines}");

    // Other seats for one of them, then a hold for the other.
    let words = ["exchange", "gala", "--order", "O-1", "--give", "S/A/1"];
    let lost = server.run(&[&words[..], &["--take", "S-B-1"]].concat());
    assert_eq!((lost.code, lost.beside.as_str()), (1, "refused: PLACES_UNAVAILABLE: S-B-1 is sold\n"));
    let would = server.run(&[&words[..], &["--take", "S-B-2", "--validate-only"]].concat()).done();
    assert!(would.data.starts_with("would be given  1 place\nplaces          S-A-1\n"), "{would:?}");
    let moved = server.json(&[&words[..], &["--take", "S-B-2"]].concat());
    assert_eq!(listed(&moved["hold"]["sold_seats"]), ["S-B-2"]);
    let cart = hold_name(&server.json(&["hold", "gala", "S-B-5", "S-B-6"]));
    let hold = cart.split_once('/').expect("a name").1;
    server.run(&["exchange", "gala", "--order", "O-1", "--give", "S-A-2", "--take-hold", hold]).done();
    assert_eq!(server.json(&["show", &cart])["hold"]["order_refs"][0], "O-1");

    // Back, a part of it and then the rest.
    let foreign = server.run(&["return", "gala", "--order", "O-1", "S/B/1-2"]);
    assert_eq!((foreign.code, foreign.beside.as_str()), (1, "refused: NOT_THIS_ORDER: S-B-1 is sold\n"));
    let part = server.run(&["return", "gala", "--order", "O-1", "S/B/5-6", "--ga", "FLOOR=1"]).done();
    assert!(part.data.starts_with("returned  3 places\nplaces    S-B-5, S-B-6, 1 × FLOOR\n"), "{part:?}");
    let rest = server.json(&["return", "gala", "--order", "O-1", "--to", "killed", "--reason", "broken"]);
    assert_eq!((listed(&rest["touched"]["seats"]), rest["replayed"].as_bool()), (vec!["S-B-2"], Some(false)));
    let gone = server.run(&["order", "gala", "O-1"]);
    assert!(gone.code == 1 && gone.beside.starts_with("refused: ORDER_NOT_FOUND"), "{gone:?}");
    let counts = server.json(&["availability", "gala"]);
    assert_eq!((counts["totals"]["sold"].as_u64(), counts["totals"]["killed"].as_u64()), (Some(1), Some(2)));
}

#[test]
fn places_are_killed_and_opened_by_key_and_by_selector() {
    let Some(server) = gala() else { return };
    assert_eq!(server.run(&["holds", "gala"]).done().beside, "nothing is held\n");
    server.run(&["hold", "gala", "S-A-1", "S-A-2"]).done();

    let row = ["kill", "gala", "S/A", "--reason", "camera"];
    let in_use = server.run(&row);
    assert_eq!((in_use.code, in_use.beside.as_str()), (1, "refused: PLACES_IN_USE: S-A-1 is held, S-A-2 is held\n"));
    let unknown = server.run(&["kill", "gala", "S-B-1", "S/Q", "--reason", "camera"]);
    assert!(unknown.beside.starts_with("refused: UNKNOWN_PLACE: S/Q: "), "{unknown:?}");
    let many = server.run(&["kill", "gala", "--ga", "FLOOR=51", "--reason", "stage"]);
    assert_eq!((many.code, many.beside.as_str()), (1, "refused: PLACES_IN_USE: FLOOR lacks 1\n"));

    let would = server.run(&["kill", "gala", "S/A/2-3", "--reason", "camera", "--force", "--validate-only"]).done();
    assert!(would.data.starts_with("would be killed  2 places\nplaces           S-A-2, S-A-3\nholds "), "{would:?}");
    let killed = server.json(&["kill", "gala", "S/A/2-3", "S-B-1", "--ga", "FLOOR=2", "--reason", "camera", "--force"]);
    assert_eq!(listed(&killed["touched"]["seats"]), ["S-A-2", "S-A-3", "S-B-1"]);
    assert_eq!(killed["touched"]["hold_refs"].as_array().map(Vec::len), Some(1));
    let holds = server.json(&["holds", "gala"]);
    assert_eq!(
        (listed(&holds["holds"][0]["seats"]), holds["holds"][0]["places_lost"].as_u64()),
        (vec!["S-A-1"], Some(1))
    );
    assert_eq!(holds["holds"][0]["hold_ref"], killed["touched"]["hold_refs"][0]);
    let lines = server.run(&["holds", "gala"]).done().data;
    assert!(lines.contains("  active ") && lines.ends_with("  S-A-1 (1 lost)\n"), "{lines}");

    let more = server.run(&["unkill", "gala", "--ga", "FLOOR=3"]);
    assert!(more.code == 1 && more.beside.starts_with("refused: CAPACITY_INVALID"), "{more:?}");
    let opened = server.run(&["unkill", "gala", "S", "--ga", "FLOOR=2"]).done();
    assert!(opened.data.starts_with("opened  5 places\nplaces  S-A-2, S-A-3, S-B-1, 2 × FLOOR\n"), "{opened:?}");
    assert_eq!(server.json(&["availability", "gala"])["totals"]["killed"], 0);
}

#[test]
fn places_are_set_aside_for_those_who_bring_the_key() {
    let Some(server) = gala() else { return };
    assert_eq!(server.run(&["allocation", "list", "gala"]).done().beside, "nothing is set aside\n");
    let words = ["allocation", "set", "gala", "fans", "S/A/1-3", "S-B-1", "--ga", "FLOOR=5"];
    let would = server.run(&[&words[..], &["--validate-only"]].concat()).done();
    assert_eq!(would.data, "would be set aside  9 places\nplaces              S-A-1, S-A-2, S-A-3, S-B-1, 5 × FLOOR\n");
    assert_eq!(would.beside, "");
    let set = server.run(&words).done();
    assert_eq!(set.data, "set aside  9 places\nplaces     S-A-1, S-A-2, S-A-3, S-B-1, 5 × FLOOR\n");
    assert_eq!(set.beside, "next: usherctl allocation list gala\n");
    let unknown = server.run(&["allocation", "set", "gala", "fans", "S/Q"]);
    assert!(unknown.code == 1 && unknown.beside.starts_with("refused: UNKNOWN_PLACE: S/Q: "), "{unknown:?}");
    let paused = server.run(&[&words[..], &["--expected-state", "paused"]].concat());
    assert!(paused.code == 1 && paused.beside.starts_with("refused: STATE_MISMATCH"), "{paused:?}");
    let misshapen = server.run(&["allocation", "set", "gala", "fan club"]);
    assert!(misshapen.beside.starts_with("refused: VALIDATION_FAILED: allocation_key: "), "{misshapen:?}");

    // The public has none of it.
    let without = server.run(&["hold", "gala", "S-A-3", "S-A-4"]);
    assert_eq!((without.code, without.beside.as_str()), (1, "refused: NOT_IN_ALLOCATION: S-A-3 is unavailable\n"));
    let counts = server.json(&["availability", "gala"]);
    assert_eq!((counts["totals"]["open"].as_u64(), counts["totals"]["killed"].as_u64()), (Some(53), Some(9)));
    let map = server.json(&["seatmap", "gala"]);
    assert_eq!(
        map["sections"][0]["rows"][0]["states"].as_str().map(|row| row[..4].to_owned()),
        Some("xxx.".to_owned())
    );
    let told = server.json(&["explain", "gala", "S-A-3"]);
    assert_eq!(told["reason"], "NOT_IN_ALLOCATION");

    // Who brings the key has it, and what is of nobody when asked for.
    let key = ["--allocation-key", "fans"];
    let own = server.json(&[&["suggest", "gala", "--best", "3", "--options", "5"], &key[..]].concat());
    assert_eq!(own["options"].as_array().map(Vec::len), Some(2), "three seats, then the floor: {own}");
    assert_eq!(listed(&own["options"][0]["seat_keys"]), ["S-A-1", "S-A-2", "S-A-3"]);
    let both = [&["suggest", "gala", "--best", "3", "--options", "5", "--include-unallocated"], &key[..]].concat();
    assert!(server.json(&both)["options"].as_array().is_some_and(|options| options.len() > 2));
    assert_eq!(server.json(&[&["explain", "gala", "S-A-3"], &key[..]].concat())["reason"], Value::Null);
    let held = server.json(&[&["hold", "gala", "S-A-3", "S-A-4", "--ga", "FLOOR=6"], &key[..]].concat());
    assert_eq!(held["hold"]["seats"], json!(["S-A-3", "S-A-4"]));
    let lines = server.run(&["allocation", "list", "gala"]).done().data;
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["KEY", "OPENS", "CLOSES", "OF", "OPEN", "HELD", "SOLD", "KILLED", "ALL"]);
    assert_eq!(lines[1], ["fans", "seats", "3", "1", "0", "0", "4"]);
    assert_eq!(lines[2], ["fans", "FLOOR", "0", "5", "0", "0", "5"]);

    // At the counter as well.
    let refused = server.run(&["sell", "gala", "S-A-1", "--order", "O-1"]);
    assert!(refused.code == 1 && refused.beside.starts_with("refused: NOT_IN_ALLOCATION: S-A-1"), "{refused:?}");
    server.run(&[&["sell", "gala", "S-A-1", "--order", "O-1"], &key[..]].concat()).done();
    let give = ["exchange", "gala", "--order", "O-1", "--give", "S-A-1", "--take", "S-A-2"];
    assert!(server.run(&give).beside.starts_with("refused: NOT_IN_ALLOCATION: S-A-2"));
    server.run(&[&give[..], &key[..]].concat()).done();

    // Windows are set and taken away; places go back to all.
    server.run(&["allocation", "set", "gala", "fans", "--opens-at", "2127-05-01T10:00:00Z"]).done();
    let listed_one = server.json(&["allocation", "list", "gala"])["allocations"][0].clone();
    assert_eq!(
        (listed_one["key"].as_str(), listed_one["opens_at"].as_str()),
        (Some("fans"), Some("2127-05-01T10:00:00Z"))
    );
    assert_eq!(listed_one["seats"]["sold"], 1);
    assert_eq!(listed_one["quotas"], json!([{ "area": "FLOOR", "quota": 5, "held": 5, "sold": 0 }]));
    let early = server.run(&[&["hold", "gala", "S-B-1"], &key[..]].concat());
    assert_eq!(early.beside, "refused: SALE_NOT_OPEN: the sale has not begun (opens at 2127-05-01T10:00:00Z)\n");
    let freed = server.run(&["allocation", "set", "gala", "fans", "--opens-at", "none"]).done();
    assert_eq!(freed.data, "set    fans\nopens  as the event\n");
    let used = server.run(&["allocation", "remove", "gala", "fans", "--ga", "FLOOR=1"]);
    assert_eq!((used.code, used.beside.as_str()), (1, "refused: PLACES_IN_USE: FLOOR lacks 1\n"));
    let part = server.run(&["allocation", "remove", "gala", "fans", "S/B"]).done();
    assert_eq!(part.data, "general again  1 place\nplaces         S-B-1\n");
    server.run(&["hold", "gala", "S-B-1"]).done();
    let all = server.run(&["allocation", "remove", "gala", "fans", "--validate-only"]).done();
    assert!(all.data.starts_with("would be general  "), "{all:?}");
    server.run(&["allocation", "remove", "gala", "fans"]).done();
    assert_eq!(server.run(&["allocation", "list", "gala"]).done().beside, "nothing is set aside\n");
    let gone = server.run(&["allocation", "remove", "gala", "fans"]);
    assert!(
        gone.beside.starts_with("refused: VALIDATION_FAILED: allocation_key: is that of no allocation"),
        "{gone:?}"
    );
}

#[test]
fn an_event_that_is_over_is_retired_and_its_file_is_read_without_a_server() {
    let Some(server) = gala() else { return };
    server.run(&["sell", "gala", "S-A-1", "S-A-2", "--ga", "FLOOR=2", "--order", "O-1"]).done();
    server.run(&["kill", "gala", "S-B-6", "--ga", "FLOOR=3", "--reason", "camera"]).done();
    let early = server.run(&["retire", "gala"]);
    assert!(early.code == 1 && early.beside.starts_with("refused: VALIDATION_FAILED"), "{early:?}");
    server.run(&["event", "close", "gala"]).done();
    let would = server.run(&["retire", "gala", "--validate-only"]).done();
    assert_eq!(would.data, "gala would be retired, 4 places sold\n");
    let done = server.json(&["retire", "gala"]);
    assert_eq!((&done["event"]["event_id"], &done["event"]["counts"]["sold"]), (&json!("gala"), &json!(4)));
    let again = server.run(&["retire", "gala"]);
    assert!(again.code == 1 && again.beside.starts_with("refused: EVENT_NOT_FOUND"), "{again:?}");

    let file = server.folder.path().join(done["archive_file"].as_str().expect("a file"));
    let shown = usherctl(["inspect", text(&file)]).done().data;
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [event, sale, seat, area] = lines.as_slice() else { panic!("four lines, not {shown}") };
    assert_eq!(
        (&event["line"], &event["event"], &event["state"]),
        (&json!("event"), &json!("gala"), &json!("off_sale"))
    );
    assert_eq!(event["counts"], json!({ "open": 54, "held": 0, "sold": 4, "killed": 4 }));
    assert_eq!((listed(&sale["seats"]), &sale["order_ref"]), (vec!["S-A-1", "S-A-2"], &json!("O-1")));
    assert_eq!(sale["ga"], json!([{ "key": "FLOOR", "quantity": 2, "ticket_type": 0 }]));
    assert_eq!((&seat["seat"], &seat["reason"]), (&json!("S-B-6"), &json!("camera")));
    assert_eq!((&area["area"], &area["quantity"]), (&json!("FLOOR"), &json!(3)));

    let mut bytes = std::fs::read(&file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("it can be written");
    let damaged = usherctl(["inspect", text(&file)]);
    assert!(damaged.code == 3 && damaged.beside.contains("checksum"), "{damaged:?}");
}

/// What the index of the server tells, once everything up to this position is in it.
fn told(server: &Server, position: u64, words: &[&str]) -> Value {
    // Each try starts a program: seconds in all.
    for _ in 0..5_000 {
        let run = server.run(&[words, &["--output", "json"]].concat());
        if run.code == 0 {
            let told = run.json();
            if told["complete_to"].as_u64() >= Some(position) {
                return told;
            }
        }
    }
    panic!("the index does not come to position {position}");
}

#[test]
fn the_history_of_a_server_is_that_of_its_log_whatever_becomes_of_its_index() {
    let data = tempfile::tempdir().expect("a folder");
    let start = || Server::over(tempfile::tempdir().expect("a folder"), data.path(), &["--history", "on"]);
    let Some(server) = start() else { return };
    let plan = plan_file(&server, "hall.json", HALL);
    server.run(&["event", "create", "gala", "--plan", text(&plan), "--orphan-rule", "off"]).done();
    let hold = hold_name(&server.json(&["hold", "gala", "S-A-1", "S-A-2", "--customer", "c-1"]));
    server.run(&["confirm", &hold, "--order", "O-1"]).done();
    server.run(&["return", "gala", "--order", "O-1", "S-A-2"]).done();
    server.run(&["kill", "gala", "S-A-2", "--reason", "camera"]).done();
    let last = server.json(&["sell", "gala", "S-A-3", "--order", "O-2"])["position"].as_u64().expect("a position");

    let words = |of: &[&'static str]| [&["history", "--event", "gala"], of].concat();
    let hold_words = ["--hold", hold.as_str()];
    let check = |server: &Server| {
        for of in [&["--seat", "S-A-2"][..], &["--order", "O-1"], &["--order", "O-2"]] {
            let online = told(server, last, &words(of));
            let folder = [&words(of)[..], &["--data-dir", text(data.path()), "--output", "json"]].concat();
            let offline = usherctl(folder).done().json();
            let (online, offline) =
                (online["changes"].as_array().expect("a list"), offline.as_array().expect("a list"));
            assert!(!online.is_empty() && online.len() == offline.len(), "{of:?}: {online:?}, {offline:?}");
            for (online, offline) in online.iter().zip(offline) {
                for key in
                    ["position", "time", "actor", "kind", "cause", "hold_refs", "order_ref", "places", "event_seq"]
                {
                    assert_eq!(online[key], offline[key], "{key} of {of:?}");
                }
            }
        }
    };
    check(&server);
    let of_hold = told(&server, last, &[&["history", "--event", "gala"][..], &hold_words].concat());
    assert_eq!(of_hold["changes"].as_array().map(Vec::len), Some(2));
    let table = server.run(&words(&["--seat", "S-A-2"])).done();
    assert!(table.data.starts_with("POSITION  TIME ") && table.data.contains(" house  killed "), "{table:?}");
    assert_eq!(table.beside, format!("complete from position 1 to {last}\n"));

    let off = server.run(&["history", "--event", "gala"]);
    assert_eq!(off.code, 3, "one of the three: {off:?}");

    // Killed, without a word; its folder gone, cut short, or full of something else.
    drop(server);
    let db = data.path().join("history").join("db");
    for round in 0..4 {
        // SIGKILL.
        drop(server_of_round(round, &start, &check));
        match round {
            0 => {}
            1 => std::fs::remove_dir_all(data.path().join("history")).expect("it is there"),
            _ => {
                for entry in std::fs::read_dir(&db).expect("it is there") {
                    let path = entry.expect("it reads").path();
                    if path.is_file() {
                        let len = std::fs::metadata(&path).expect("it is there").len();
                        let bytes = vec![0x5a; usize::try_from(len).expect("a short file")];
                        let end = if round == 2 { bytes.len() } else { bytes.len() / 2 };
                        std::fs::write(&path, &bytes[..end]).expect("it can be written");
                    }
                }
            }
        }
    }
}

/// A server of its own for each round, whose index is looked at when it has come to the end.
fn server_of_round(round: u32, start: &dyn Fn() -> Option<Server>, check: &dyn Fn(&Server)) -> Server {
    let server = start().unwrap_or_else(|| panic!("round {round}: its program is there"));
    check(&server);
    server
}

#[test]
fn limits_and_price_levels_are_set_shown_and_kept() {
    let Some(server) = gala() else { return };
    let would =
        server.run(&["price-level", "set", "gala", "Front", "S/A", "--area", "FLOOR", "--validate-only"]).done();
    let seats = "S-A-1, S-A-2, S-A-3, S-A-4, S-A-5, S-A-6";
    assert_eq!(would.data, format!("would change  56 places\nplaces        {seats}, 50 × FLOOR\n"));
    assert_eq!(would.beside, "");
    let set = server.run(&["price-level", "set", "gala", "Front", "S/A"]).done();
    assert_eq!(set.data, format!("changed  6 places\nplaces   {seats}\n"));
    assert_eq!(set.beside, "next: usherctl availability gala\n");
    let counts = server.json(&["availability", "gala"]);
    assert_eq!(
        (&counts["price_levels"][1]["key"], &counts["price_levels"][1]["counts"]["open"]),
        (&json!("Front"), &json!(6))
    );
    let done = server.json(&["price-level", "set", "gala", "Front", "S-B-6"]);
    let event = server.json(&["event", "show", "gala"])["event"].clone();
    assert_eq!((&done["plan_digest"], &event["plan_revision"]), (&event["plan_digest"], &json!(1)));

    let words = ["--level-limit", "Front=2", "--quota", "exits=4:Front,area:FLOOR"];
    let policies = ["--abandon-credits-max", "3", "--abandon-refill", "5m", "--cooling-max", "30s"];
    let shown = server.run(&[&["event", "update", "gala"], &words[..], &policies[..]].concat()).done().data;
    for line in ["Front 2\n", "exits 4 (Front, area FLOOR)\n", "3, one back every 5m\n", "30s\n"] {
        assert!(shown.contains(line), "{shown}");
    }
    let nobody = server.run(&["hold", "gala", "S-A-1"]);
    assert!(nobody.beside.starts_with("refused: VALIDATION_FAILED: customer: "), "{nobody:?}");
    let anna = ["hold", "gala", "--customer", "anna"];
    server.run(&[&anna[..], &["S-A-1", "S-A-2"]].concat()).done();
    let third = server.run(&[&anna[..], &["S-A-3"]].concat());
    assert!(third.code == 1 && third.beside.starts_with("refused: CUSTOMER_LIMIT: "), "{third:?}");
    let floor = server.run(&["hold", "gala", "--customer", "bert", "--ga", "FLOOR=3"]);
    assert!(floor.code == 1 && floor.beside.starts_with("refused: NOT_ENOUGH_PLACES"), "{floor:?}");
    let held = server.run(&["price-level", "set", "gala", "A", "S/A/1-3"]);
    assert_eq!((held.code, held.beside.as_str()), (1, "refused: PLACES_IN_USE: S-A-1 is held, S-A-2 is held\n"));
    let unknown = server.run(&["event", "update", "gala", "--quota", "exits=4:Balcony"]);
    assert!(unknown.beside.starts_with("refused: VALIDATION_FAILED: quotas: "), "{unknown:?}");

    let none = server.json(&["event", "update", "gala", "--level-limit", "none", "--quota", "none"]);
    assert_eq!((&none["event"]["level_limits"], &none["event"]["quotas"]), (&json!([]), &json!([])));
    let made = ["event", "create", "late", "--plan"];
    let plan = plan_file(&server, "late.json", HALL);
    let made = server.json(&[&made[..], &[text(&plan), "--level-limit", "A=1", "--quota", "all=40:A"]].concat());
    assert_eq!(made["event"]["level_limits"], json!([{ "price_level": "A", "places_max": 1 }]));
    assert_eq!(made["event"]["quotas"][0]["places_max"], 40);
}
