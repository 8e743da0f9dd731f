//! Arguments, help and a server that is not there.

use std::net::TcpListener;

use crate::program::usherctl;

const TWICE: &str = "error: --ga: FLOOR is named twice\n";

const EXCHANGE: [&str; 6] = ["exchange", "concert-1", "--order", "O", "--take", "A-1"];

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    for (words, expected) in [
        (&["event", "show", "Concert 1"][..], "is no event id"),
        (&["show", "concert-1"], "write EVENT/HOLD"),
        (&["show", "concert-1/17"], "is no hold id"),
        (&["hold", "concert-1"], "required"),
        (
            &["begin-payment", "concert-1/01934b2e-7f00-7abc-8def-0123456789ab", "--attempt", "17"],
            "is no payment attempt",
        ),
        (&["end-payment", "concert-1/01934b2e-7f00-7abc-8def-0123456789ab", "--outcome", "failed"], "--attempt"),
        (&["hold", "concert-1", "A-1", "--ttl", "soon"], "write 90s"),
        (&["event", "create", "e", "--plan", "p", "--opens-at", "soon"], "write 2027-05-01T10:00:00Z"),
        (&["--endpoint", "http://not an address", "status"], "endpoint"),
        (&["--endpoint", "127.0.0.1:7700", "status"], "endpoint 127.0.0.1:7700: it must begin with http://"),
        (&["--endpoint", "https://h:7700", "hold", "concert-1", "A-1"], "endpoint https://h:7700: "),
        (&["--endpoint", "foo://h:7700", "history", "--event", "concert-1", "--seat", "A-1"], "write http://"),
        (&["restore", "--from", "b"], "--data-dir"),
        (&["restore", "--from", "b", "--data-dir", "n", "--to-time", "soon"], "write 2027-05-01T10:00:00Z"),
        (&["restore", "--from", "b", "--data-dir", "n", "--to-position", "1", "--to-time", "1"], "cannot be used with"),
        (&["restore", "--from", "s3://", "--data-dir", "n"], "s3://"),
        (&["cart", "hold", "day-1:A-1"], "2 values required"),
        (&["cart", "hold", "day-1:A-1", "day-2"], "write EVENT:PLACES"),
        (&["cart", "confirm", "day-1/01934b2e-7f00-7abc-8def-0123456789ab"], "--order"),
        (&["sell", "concert-1", "A-1"], "--order"),
        (&["exchange", "concert-1", "--order", "O", "--give", "A-1"], "--take"),
        (&["kill", "concert-1", "A-1"], "--reason"),
        (&["unkill", "concert-1"], "required"),
        (&["allocation", "set", "concert-1"], "<KEY>"),
        (&["price-level", "set", "concert-1", "Premium"], "required"),
        (&["event", "update", "concert-1", "--level-limit", "Front"], "write LEVEL=N"),
        (&["event", "update", "concert-1", "--quota", "exits=7"], "write NAME=N:LEVEL,area:KEY"),
        (&["hold", "concert-1", "--best", "2", "--include-unallocated"], "--allocation-key"),
        (&["return", "concert-1", "--order", "O", "--request", "17"], "is no request id"),
        (&["event", "update", "concert-1", "--level-limit", "none", "--level-limit", "Front=1"], "--level-limit: none"),
        (&["event", "create", "concert-1", "--plan", "p", "--quota", "a=7:Front", "--quota", "none"], "--quota: none"),
        (&["suggest", "concert-1", "--best", "2", "--options", "0"], "is not in 1..=10"),
        (&["suggest", "concert-1", "--best", "2", "--options", "11"], "is not in 1..=10"),
        (&["return", "concert-1", "--order", "O", "--reason", "broken"], "--reason: a reason is of killed places"),
        (&["return", "concert-1", "--order", "O", "--to", "general", "--reason", "broken"], "--reason: a reason is of"),
        (&["kill", "concert-1", "--ga", "FLOOR=5", "--ga", "FLOOR=6", "--reason", "stage"], TWICE),
        (&["unkill", "concert-1", "--ga", "FLOOR=5", "--ga", "FLOOR=6"], TWICE),
        (&["allocation", "set", "concert-1", "fans", "--ga", "FLOOR=5", "--ga", "FLOOR=6"], TWICE),
        (&["allocation", "remove", "concert-1", "fans", "--ga", "FLOOR=5", "--ga", "FLOOR=6"], TWICE),
        (&["return", "concert-1", "--order", "O", "--ga", "FLOOR=5", "--ga", "FLOOR=6"], TWICE),
        (&[&EXCHANGE[..], &["--give-ga", "FLOOR=5", "--give-ga", "FLOOR=6"]].concat(), "error: --give-ga: FLOOR is"),
        (
            &["price-level", "set", "concert-1", "Late", "--area", "FLOOR", "--area", "FLOOR"],
            "error: --area: FLOOR is named twice\n",
        ),
        (&["nonsense"], "unrecognized"),
    ] {
        let run = usherctl(words.iter().copied());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.beside.contains(expected) && run.data.is_empty(), "{words:?}: {run:?}");
    }
}

#[test]
fn help_goes_to_stdout_and_has_examples() {
    for words in [&["--help"][..], &["hold", "--help"], &["event", "create", "--help"], &["verify", "-h"]] {
        let run = usherctl(words.iter().copied()).done();
        assert!(run.data.contains("Examples:") && run.beside.is_empty(), "{run:?}");
    }
}

#[test]
fn the_help_of_a_hold_says_that_its_places_may_be_combined() {
    for command in ["hold", "explain"] {
        let run = usherctl([command, "--help"]).done();
        assert!(run.data.contains("Seats, --ga and --best may stand in one command"), "{run:?}");
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_69() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let run = usherctl(["status", "--endpoint", &endpoint]);
    assert_eq!(run.code, 69, "{run:?}");
    assert!(run.beside.starts_with(&format!("unavailable: {endpoint}: ")), "{run:?}");
    let run = usherctl(["hold", "concert-1", "A-1", "--endpoint", &endpoint, "-o", "json"]);
    assert_eq!(run.code, 69, "{run:?}");
    let error: serde_json::Value = serde_json::from_str(&run.beside).expect("JSON on stderr");
    assert_eq!(
        (error["error"]["kind"].as_str(), error["error"]["executed"].as_str()),
        (Some("unavailable"), Some("false"))
    );
}
