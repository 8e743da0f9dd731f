//! Judges carts: what was answered against what every event says of its part. Pure, no network.
//!
//! A cart is sold in all its events or in none; what was refused is in none; nothing lives past its end.

use std::collections::BTreeMap;

use client::HoldId;
use proto::inventory::v1::{Hold, HoldState};

use crate::audit::{Findings, HoldView, ServerView, judge_sums};

/// Places of one event in a cart, as an answer told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) event: String,
    pub(crate) seats: Vec<u32>,
    /// Area and quantity.
    pub(crate) ga: Vec<(u32, u32)>,
}

impl Part {
    pub(crate) fn of(part: &client::CartPart) -> Self {
        let ga = part.ga.iter().map(|item| (item.area, item.quantity)).collect();
        Self { event: part.event_id.clone(), seats: part.seats.clone(), ga }
    }

    fn places(&self) -> u64 {
        self.seats.len() as u64 + self.ga.iter().map(|&(_, quantity)| u64::from(quantity)).sum::<u64>()
    }
}

/// How a cart ended, as far as its buyer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was refused: there is nothing of it.
    Refused,
    /// It was held, and nobody came back.
    Left,
    /// A command on it was told that it had ended, or it ended before its buyer heard of it.
    Ended,
    /// Its release was acknowledged.
    Released,
    /// Its sale was acknowledged, with these places.
    Sold(Vec<Part>),
    /// The last command had no answer.
    Unknown,
}

/// A cart as its buyer knows it.
#[derive(Clone, Debug)]
pub(crate) struct Cart {
    pub(crate) id: HoldId,
    pub(crate) order: String,
    /// In the order they were named.
    pub(crate) events: Vec<String>,
    /// What was acknowledged as held; nothing: no hold was.
    pub(crate) held: Vec<Part>,
    pub(crate) expires_at_ms: u64,
    pub(crate) end: End,
}

/// How many carts ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sold: u64,
    pub(crate) released: u64,
    pub(crate) left: u64,
    pub(crate) ended: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
}

/// Compares carts with the server, event by event, when all of them have ended.
pub(crate) fn judge(carts: &[Cart], views: &BTreeMap<String, ServerView>) -> (Findings, Tally) {
    let (mut findings, mut tally) = (Findings::default(), Tally::default());
    // Who was told that a seat is sold, and how many places of each event the holds say are.
    let mut owners: BTreeMap<(&str, u32), HoldId> = BTreeMap::new();
    let mut sold_places: BTreeMap<&str, u64> = BTreeMap::new();
    for cart in carts {
        *(match cart.end {
            End::Refused => &mut tally.refused,
            End::Left => &mut tally.left,
            End::Ended => &mut tally.ended,
            End::Released => &mut tally.released,
            End::Sold(_) => &mut tally.sold,
            End::Unknown => &mut tally.unknown,
        }) += 1;
        judge_cart(cart, views, &mut findings);
        if let End::Sold(parts) = &cart.end {
            for part in parts {
                for &seat in &part.seats {
                    if owners.insert((&part.event, seat), cart.id).is_some_and(|other| other != cart.id) {
                        findings.oversold += 1;
                        let event = &part.event;
                        findings.problem(|| format!("seat {seat} of {event} was acknowledged as sold to two carts"));
                    }
                }
            }
        }
        for event in &cart.events {
            if let Some(hold) = found(cart, event, views).filter(|hold| hold.state() == HoldState::Confirmed) {
                *sold_places.entry(event).or_default() += places(&hold.sold_seats, hold);
            }
        }
    }
    for (event, view) in views {
        judge_sums(&view.seat_map, &view.availability, &mut findings);
        let totals = view.availability.totals.unwrap_or_default();
        let told = sold_places.get(event.as_str()).copied().unwrap_or(0);
        let sold = u64::from(totals.sold);
        if sold > told {
            findings.unexplained += sold - told;
            findings.problem(|| format!("event {event}: {sold} places are sold, the carts have {told}"));
        }
        if sold < told {
            findings.oversold += told - sold;
            findings.problem(|| format!("event {event}: {sold} places are sold, the carts have {told}"));
        }
        if totals.held > 0 {
            findings.unexplained += u64::from(totals.held);
            findings.problem(|| format!("event {event}: {} places are held, and every cart has ended", totals.held));
        }
    }
    (findings, tally)
}

fn places(seats: &[u32], hold: &Hold) -> u64 {
    seats.len() as u64 + hold.sold_ga.iter().map(|item| u64::from(item.quantity)).sum::<u64>()
}

fn found<'a>(cart: &Cart, event: &str, views: &'a BTreeMap<String, ServerView>) -> Option<&'a Hold> {
    match views.get(event)?.holds.get(&cart.id.to_string())? {
        HoldView::Found(hold) => Some(hold),
        HoldView::NotFound | HoldView::Unread(_) => None,
    }
}

fn judge_cart(cart: &Cart, views: &BTreeMap<String, ServerView>, findings: &mut Findings) {
    let name = cart.id.hold_ref();
    let mut states = Vec::new();
    for event in &cart.events {
        let view = views.get(event).and_then(|view| view.holds.get(&cart.id.to_string()));
        let state = match view {
            Some(HoldView::Found(hold)) => Some(hold.state()),
            Some(HoldView::NotFound) => None,
            Some(HoldView::Unread(_)) | None => {
                findings.unread += 1;
                findings.problem(|| format!("cart {name} in {event}: no answer"));
                return;
            }
        };
        findings.holds_checked += 1;
        states.push(state);
    }
    let count = |wanted: Option<HoldState>| states.iter().filter(|&&state| state == wanted).count();
    let sold = count(Some(HoldState::Confirmed));
    if sold > 0 && sold < states.len() {
        findings.half_carts += 1;
        findings.problem(|| format!("cart {name} is half sold: {:?} in {:?}", states, cart.events));
    }
    if count(Some(HoldState::Active)) + count(Some(HoldState::Paying)) > 0 {
        findings.undead += 1;
        findings.problem(|| format!("cart {name} lives: {:?} in {:?}", states, cart.events));
        return;
    }
    let all = |wanted| count(wanted) == states.len();
    match &cart.end {
        End::Sold(parts) => judge_sale(cart, parts, views, findings),
        End::Refused if !all(None) => {
            findings.unexplained += 1;
            findings.problem(|| format!("cart {name} was refused, and is {:?} in {:?}", states, cart.events));
        }
        End::Released if !all(Some(HoldState::Released)) => {
            findings.lost += 1;
            findings.problem(|| format!("cart {name} was released, and is {:?} in {:?}", states, cart.events));
        }
        End::Left if !all(Some(HoldState::Expired)) => {
            findings.lost += 1;
            findings.problem(|| format!("cart {name} was left alone, and is {:?} in {:?}", states, cart.events));
        }
        End::Left => {
            let holds = cart.events.iter().filter_map(|event| found(cart, event, views));
            if let Some(early) = holds.map(|hold| hold.ended_at_ms).find(|&ended| ended < cart.expires_at_ms) {
                findings.early += 1;
                findings.problem(|| format!("cart {name} ended {} ms early", cart.expires_at_ms - early));
            }
        }
        End::Ended if sold > 0 => {
            findings.unexplained += 1;
            findings.problem(|| format!("cart {name} was answered that it had ended, and is sold"));
        }
        End::Unknown if sold > 0 => findings.unknown_done += 1,
        End::Unknown => findings.unknown_not_done += 1,
        End::Refused | End::Released | End::Ended => {}
    }
}

/// An acknowledged sale: all parts, to the order, with the places that were told.
fn judge_sale(cart: &Cart, parts: &[Part], views: &BTreeMap<String, ServerView>, findings: &mut Findings) {
    let name = cart.id.hold_ref();
    if parts != cart.held {
        findings.wrong += 1;
        findings.problem(|| format!("cart {name}: held {:?}, sold {parts:?}", cart.held));
    }
    for part in &cart.held {
        let is_sold = found(cart, &part.event, views).is_some_and(|hold| {
            let ga: Vec<(u32, u32)> = hold.sold_ga.iter().map(|item| (item.area, item.quantity)).collect();
            hold.state() == HoldState::Confirmed
                && hold.order_refs == [cart.order.clone()]
                && hold.sold_seats == part.seats
                && ga == part.ga
        });
        if !is_sold {
            findings.lost += part.places();
            findings.problem(|| format!("cart {name}: its sale was acknowledged, and in {} it is not", part.event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{GetAvailabilityResponse, GetSeatMapResponse, PlaceCounts, SeatMap};

    const ID: &str = "01934b2e-7f00-7abc-8def-0123456789ab";

    fn cart(end: End) -> Cart {
        let part = |event: &str| Part { event: event.to_owned(), seats: vec![1], ga: Vec::new() };
        Cart {
            id: ID.parse().expect("a uuid"),
            order: "O".to_owned(),
            events: vec!["a".to_owned(), "b".to_owned()],
            held: vec![part("a"), part("b")],
            expires_at_ms: 1_000,
            end,
        }
    }

    /// An event of four seats that says this of the cart.
    fn view(state: Option<HoldState>) -> ServerView {
        let sold = u32::from(state == Some(HoldState::Confirmed));
        let held = u32::from(state == Some(HoldState::Paying));
        let counts = PlaceCounts { open: 4 - sold - held, held, sold, killed: 0, capacity: 4 };
        let hold = state.map_or(HoldView::NotFound, |state| {
            HoldView::Found(Box::new(Hold {
                state: state as i32,
                sold_seats: if sold > 0 { vec![1] } else { Vec::new() },
                order_refs: if sold > 0 { vec!["O".to_owned()] } else { Vec::new() },
                ended_at_ms: 1_000,
                ..Hold::default()
            }))
        });
        let section = proto::inventory::v1::SectionAvailability { counts: Some(counts), ..Default::default() };
        let level = proto::inventory::v1::PriceLevelAvailability { counts: Some(counts), ..Default::default() };
        ServerView {
            seat_map: GetSeatMapResponse {
                seat_map: Some(SeatMap { position: 1, ..SeatMap::default() }),
                ..GetSeatMapResponse::default()
            },
            availability: GetAvailabilityResponse {
                totals: Some(counts),
                sections: vec![section],
                price_levels: vec![level],
                ..GetAvailabilityResponse::default()
            },
            holds: [(ID.to_owned(), hold)].into(),
        }
    }

    fn judged(end: End, a: Option<HoldState>, b: Option<HoldState>) -> Findings {
        let views = [("a".to_owned(), view(a)), ("b".to_owned(), view(b))].into();
        judge(&[cart(end)], &views).0
    }

    fn sold() -> End {
        End::Sold(cart(End::Left).held)
    }

    #[test]
    fn a_cart_that_ended_everywhere_as_it_was_told_is_clean() {
        let confirmed = Some(HoldState::Confirmed);
        for (end, state) in [
            (sold(), confirmed),
            (End::Unknown, confirmed),
            (End::Released, Some(HoldState::Released)),
            (End::Left, Some(HoldState::Expired)),
            (End::Ended, Some(HoldState::Expired)),
            (End::Refused, None),
            (End::Unknown, None),
        ] {
            let findings = judged(end.clone(), state, state);
            assert!(findings.is_clean(), "{end:?} {state:?}: {findings:?}");
            assert_eq!(findings.holds_checked, 2);
        }
    }

    #[test]
    fn half_a_cart_is_found_whoever_knows_of_it() {
        for end in [sold(), End::Unknown, End::Ended] {
            let findings = judged(end, Some(HoldState::Confirmed), Some(HoldState::Expired));
            assert_eq!(findings.half_carts, 1, "{findings:?}");
        }
        assert_eq!(judged(sold(), Some(HoldState::Confirmed), None).lost, 1);
    }

    #[test]
    fn what_remains_of_a_cart_is_found() {
        let refused = judged(End::Refused, None, Some(HoldState::Released));
        assert_eq!(refused.unexplained, 1, "{refused:?}");
        let lives = judged(End::Left, Some(HoldState::Expired), Some(HoldState::Paying));
        // The cart, and the place that is held.
        assert_eq!((lives.undead, lives.unexplained), (1, 1), "{lives:?}");
        let gone = judged(End::Released, Some(HoldState::Released), None);
        assert_eq!(gone.lost, 1, "{gone:?}");
    }

    #[test]
    fn a_seat_of_two_carts_is_found() {
        let other = Cart { id: "01934b2e-7f00-7abc-8def-0123456789ac".parse().expect("a uuid"), ..cart(sold()) };
        let mut views: BTreeMap<String, ServerView> = BTreeMap::new();
        for event in ["a", "b"] {
            let mut view = view(Some(HoldState::Confirmed));
            let hold = view.holds[ID].clone();
            view.holds.insert(other.id.to_string(), hold);
            views.insert(event.to_owned(), view);
        }
        // In the answers, and in the counts.
        assert_eq!(judge(&[cart(sold()), other], &views).0.oversold, 4);
    }
}
