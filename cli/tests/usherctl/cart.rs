//! Carts over several events, as a person types them, against the real server.

use crate::program::text;
use crate::sale::{HALL, Server, plan_file};

/// A server with the events `day-1`, `day-2` and `park` in the hall.
fn festival() -> Option<Server> {
    let server = Server::start()?;
    let plan = plan_file(&server, "hall.json", HALL);
    for event in ["day-1", "day-2", "park"] {
        server.run(&["event", "create", event, "--plan", text(&plan), "--orphan-rule", "off"]).done();
    }
    Some(server)
}

fn cart_name(answer: &serde_json::Value) -> String {
    let word = |key: &str| answer[key].as_str().expect("a name").to_owned();
    format!("{}/{}", word("first_event_id"), word("cart_id"))
}

#[test]
fn a_cart_from_the_first_word_to_the_sale() {
    let Some(server) = festival() else { return };
    let words = ["cart", "hold", "day-1:S-A-1,S-A-2", "day-2:best=2", "park:FLOOR=2"];
    let held = server.run(&[&words[..], &["--ttl", "90s"]].concat()).done();
    let lines: Vec<&str> = held.data.lines().collect();
    assert_eq!(lines.len(), 6, "{held:?}");
    assert!(lines[1].starts_with("day-1 ") && lines[1].ends_with("  S-A-1, S-A-2"), "{held:?}");
    assert!(lines[2].contains("  paying  contiguous  S-"), "{held:?}");
    assert!(lines[3].ends_with("  2 × FLOOR") && lines[4].starts_with("ends  in "), "{held:?}");
    let name = lines[5].strip_prefix("cart  ").expect("the name of the cart");
    assert_eq!(held.beside, format!("next: usherctl cart confirm {name} --order O\n"));

    // What each event shows.
    let shown = server.run(&["show", name]).done().data;
    assert!(shown.contains(&format!("{name}, with day-2, park\n")), "{shown}");
    let id = name.split_once('/').expect("a name").1;
    let other = server.json(&["show", &format!("park/{id}")]);
    assert_eq!(other["hold"]["cart"]["first_event_id"], "day-1");
    let list = server.run(&["holds", "day-2"]).done().data;
    assert!(list.ends_with(" (cart of day-1)\n"), "{list}");
    let alone = server.run(&["release", &format!("park/{id}")]);
    assert!(alone.code == 1 && alone.beside.starts_with("refused: PAYMENT_IN_PROGRESS"), "{alone:?}");

    // A refusal says where.
    let taken = server.run(&["cart", "hold", "day-2:S-B-1", "day-1:S-A-2"]);
    assert_eq!((taken.code, taken.beside.as_str()), (1, "refused: PLACES_UNAVAILABLE in day-1: S-A-2 is held\n"));
    let unknown = server.run(&["cart", "hold", "day-1:S-B-1", "day-2:Q-9"]);
    assert!(unknown.beside.starts_with("refused: UNKNOWN_PLACE in day-2: Q-9: "), "{unknown:?}");
    assert_eq!(server.json(&["availability", "day-1"])["totals"]["held"], 2, "nothing of them is held");

    let sold = server.run(&["cart", "confirm", name, "--order", "O-1"]).done();
    assert!(sold.data.lines().nth(1).is_some_and(|line| line.contains("  confirmed  ")), "{sold:?}");
    let again = server.run(&["cart", "confirm", name, "--order", "O-1"]).done();
    assert_eq!(again.data, sold.data);
    assert!(again.beside.starts_with("this was done before"), "{again:?}");
    for event in ["day-1", "day-2", "park"] {
        assert_eq!(server.json(&["availability", event])["totals"]["sold"], 2, "{event}");
    }
}

#[test]
fn a_cart_is_given_back_and_one_name_is_one_cart() {
    let Some(server) = festival() else { return };
    let made = server.json(&["cart", "hold", "day-1:S-A-1", "day-2:S-A-1"]);
    let name = cart_name(&made);
    let id = made["cart_id"].as_str().expect("an id");
    let again = ["cart", "hold", "day-1:S-A-1", "day-2:S-A-1", "--cart-id", id];
    assert_eq!(server.json(&again)["replayed"], true);
    let other = server.run(&["cart", "hold", "day-1:S-A-1", "day-2:S-A-2", "--cart-id", id]);
    assert!(other.code == 1 && other.beside.starts_with("refused: HOLD_ID_REUSED"), "{other:?}");
    let gone = server.json(&["cart", "release", &name]);
    assert_eq!(
        (gone["parts"][0]["state"].as_str(), gone["parts"][1]["state"].as_str()),
        (Some("released"), Some("released"))
    );
    let late = server.run(&["cart", "confirm", &name, "--order", "O-1"]);
    assert!(late.code == 1 && late.beside.contains("must be refunded"), "{late:?}");
}
