//! What stories say of carts. Each story is of one event; the others have a number, and nothing but their answers are
//! missed.
//!
//! ```text
//!     0ms hold-many c 3,4 beside=2,3 ttl=5000ms -> paying 3,4 until 5000ms, first of 2 3
//!     0ms prepare p 5 first=2 until=5000ms -> paying 5 until 5000ms, part of 2
//!     0ms decide c sell=x -> sold 3,4, first of 2 3
//!     0ms apply p first=2 cancel=missing -> expired, part missing, part of 2
//!     0ms settle c -> done
//! ```

use inventory_core::{
    cart::{Cart, CartEnd, CartStep, ConfirmMany, HoldMany, PartName, PrepareCart, Verdict},
    change::{HoldCause, HoldView},
    command::{Command, Hold},
    ids::{EventKey, HoldId, OrderRef},
};

use super::story::{KEY, Words, since_start};

/// An event that the story is not of.
fn other(number: u64) -> EventKey {
    EventKey(number << 8 | 1)
}

/// Commands of carts. `hold` is what a hold would ask with the same words.
pub fn read(verb: &str, cart_id: HoldId, hold: Hold, words: &Words<'_>) -> Command {
    let named = |name| words.number(name).map(other).unwrap_or_else(|| panic!("{verb} has a {name}="));
    let verdict = || match (words.value("sell"), words.value("cancel")) {
        (Some(name), None) => Verdict::Sell(order(name)),
        (None, Some(name)) => Verdict::Cancel(end(name)),
        _ => panic!("either sell= or cancel="),
    };
    let part_name = || PartName { cart_id, first: named("first") };
    match verb {
        "hold-many" => {
            let of_cart = Hold { ttl_ms: 0, ..hold.clone() };
            // What the others hold is judged there.
            let of_other = Hold { seats: [0].into_iter().collect(), admissions: Vec::new(), ..of_cart.clone() };
            let others = words.list("beside").into_iter().map(|number| (other(number), of_other.clone()));
            let parts = Some((KEY, of_cart)).into_iter().chain(others).collect();
            Command::HoldMany(Box::new(HoldMany { cart_id, ttl_ms: hold.ttl_ms, parts }))
        }
        "confirm-many" => {
            let order = order(words.value("order").expect("a confirm has an order="));
            Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order }))
        }
        "release-many" => Command::ReleaseMany(cart_id),
        "prepare" => {
            let deadline = since_start(words.number("until").expect("a part has an until="));
            Command::Cart(CartStep::Prepare(Box::new(PrepareCart { hold, first: named("first"), deadline })))
        }
        "ask-part" => Command::Cart(CartStep::AskPart(part_name())),
        "ask-first" => Command::Cart(CartStep::AskFirst { cart_id, part: named("part") }),
        "decide" => Command::Cart(CartStep::Decide { cart_id, verdict: verdict() }),
        "apply" => Command::Cart(CartStep::Apply { part: part_name(), verdict: verdict() }),
        "settle" => Command::Cart(CartStep::Settle(cart_id)),
        _ => panic!("carts have no verb {verb}"),
    }
}

/// Whether it is a verb of carts.
pub fn is_of_carts(verb: &str) -> bool {
    verb.ends_with("-many") || verb.starts_with("ask-") || ["prepare", "decide", "apply", "settle"].contains(&verb)
}

/// What a hold is to its cart, and how that ended it.
pub fn tell_part(view: &HoldView) -> String {
    let number = |key: &EventKey| (key.0 >> 8).to_string();
    let cause = match view.cause {
        _ if view.cart.is_none() => "",
        HoldCause::CartRefused => ", refused",
        HoldCause::PartMissing => ", part missing",
        HoldCause::Cancelled => ", event cancelled",
        _ => "",
    };
    match &view.cart {
        None => String::new(),
        Some(Cart::Part { first }) => format!("{cause}, part of {}", number(first)),
        Some(Cart::First { others, is_settled }) => {
            let others: Vec<String> = others.iter().map(number).collect();
            format!("{cause}, first of {}{}", others.join(" "), if *is_settled { ", settled" } else { "" })
        }
    }
}

pub fn tell_verdict(verdict: Option<&Verdict>) -> String {
    match verdict {
        None => "undecided".into(),
        Some(Verdict::Sell(order)) => format!("sell {}", order.as_str()),
        Some(Verdict::Cancel(cause)) => format!("cancel {cause:?}").to_lowercase(),
    }
}

fn order(name: &str) -> OrderRef {
    OrderRef::parse(name).expect("a right order")
}

fn end(name: &str) -> CartEnd {
    match name {
        "requested" => CartEnd::Requested,
        "deadline" => CartEnd::Deadline,
        "refused" => CartEnd::Refused,
        "missing" => CartEnd::Missing,
        "cancelled" => CartEnd::EventCancelled,
        _ => panic!("no cart ends by {name}"),
    }
}
