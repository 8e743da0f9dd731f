//! A hold as this program shows it: with keys of places instead of indexes.

use client::Client;
use proto::inventory::v1::{Arrangement, Cart, CartRole, GaItem, GetAvailabilityRequest, Hold, HoldCause, HoldState};
use serde_json::{Value, json};

use crate::event_card::moment_json;
use crate::instant;
use crate::name::EventName;
use crate::table::{counted, fields};

/// A hold with the names of its places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HoldCard {
    hold: Hold,
    seat_keys: Vec<String>,
    sold_seat_keys: Vec<String>,
    area_keys: Vec<String>,
    attempt: String,
}

impl HoldCard {
    /// From an answer: `labels` are the keys of `hold.seats`, then of `hold.sold_seats`. The keys of areas are read
    /// from the server when the hold has admissions.
    pub(crate) async fn of_answer(client: &Client, event: &EventName, hold: Hold, labels: Vec<String>) -> Self {
        let mut area_keys = Vec::new();
        if !hold.ga.is_empty() || !hold.sold_ga.is_empty() {
            let request = GetAvailabilityRequest { event_id: event.to_string(), ..GetAvailabilityRequest::default() };
            // The hold is what was asked for: without the names the indexes are shown.
            if let Ok(answer) = client.unary().get_availability(request).await {
                area_keys = answer.ga_areas.into_iter().map(|area| area.key).collect();
            }
        }
        Self::new(hold, labels, area_keys)
    }

    /// From its parts.
    pub(crate) fn new(hold: Hold, labels: Vec<String>, area_keys: Vec<String>) -> Self {
        let mut labels = labels.into_iter();
        let mut name = |index: &u32| labels.next().unwrap_or_else(|| format!("#{index}"));
        let seat_keys = hold.seats.iter().map(&mut name).collect();
        let sold_seat_keys = hold.sold_seats.iter().map(&mut name).collect();
        Self { hold, seat_keys, sold_seat_keys, area_keys, attempt: String::new() }
    }

    /// With the payment attempt that was asked about.
    pub(crate) fn of_attempt(self, attempt: String) -> Self {
        Self { attempt, ..self }
    }

    /// `A-1, A-2, 2 × FLOOR` of what is held.
    pub(crate) fn held_text(&self) -> String {
        self.places_text(&self.seat_keys, &self.hold.ga)
    }

    /// The same of what was sold out of it.
    pub(crate) fn sold_text(&self) -> String {
        self.places_text(&self.sold_seat_keys, &self.hold.sold_ga)
    }

    fn places_text(&self, seats: &[String], ga: &[GaItem]) -> String {
        let areas = ga.iter().map(|item| format!("{} × {}", item.quantity, self.area_key(item)));
        seats.iter().cloned().chain(areas).collect::<Vec<_>>().join(", ")
    }

    fn area_key(&self, item: &GaItem) -> String {
        let known = usize::try_from(item.area).ok().and_then(|area| self.area_keys.get(area));
        match known {
            _ if !item.area_key.is_empty() => item.area_key.clone(),
            Some(key) => key.clone(),
            None => format!("#{}", item.area),
        }
    }

    /// Whether it still keeps places.
    pub(crate) fn is_live(&self) -> bool {
        match self.hold.state() {
            HoldState::Active | HoldState::Paying => true,
            HoldState::Unspecified | HoldState::Confirmed | HoldState::Released | HoldState::Expired => false,
        }
    }

    /// Whether a payment is open.
    pub(crate) fn is_paying(&self) -> bool {
        self.hold.state() == HoldState::Paying
    }

    /// Whether a payment may be begun.
    pub(crate) fn may_pay(&self) -> bool {
        self.hold.state() == HoldState::Active && self.hold.payment_attempts_left > 0
    }

    /// `in 599 s (at 2027-04-30T10:00:00Z)`; empty once it has ended.
    fn expiry_text(&self) -> String {
        if !self.is_live() {
            return String::new();
        }
        let at = instant::text_of_ms(self.hold.expires_at_ms);
        if self.is_paying() {
            // The countdown is that of the payment.
            return at;
        }
        format!("in {} ({at})", counted(self.hold.expires_in_ms / 1_000, "second", "seconds"))
    }

    /// The same of an open payment; empty when none is.
    fn payment_text(&self) -> String {
        if !self.is_paying() {
            return String::new();
        }
        let at = instant::text_of_ms(self.hold.payment_deadline_ms);
        format!("in {} ({at})", counted(self.hold.expires_in_ms / 1_000, "second", "seconds"))
    }

    /// All there is to know, for people.
    pub(crate) fn text(&self, arrangement: Arrangement) -> String {
        let hold = &self.hold;
        // A part of a cart is neither extended nor paid by itself.
        let may_act = self.is_live() && hold.cart.is_none();
        let left = |count: u32| if may_act { count.to_string() } else { String::new() };
        let lost = if hold.places_lost == 0 { String::new() } else { hold.places_lost.to_string() };
        let cause = if self.is_live() { "" } else { cause_word(hold.cause()).unwrap_or("") };
        fields(&[
            ("places", self.held_text()),
            ("sold", self.sold_text()),
            ("seated", arrangement_word(arrangement).unwrap_or("").to_owned()),
            ("state", state_word(hold.state()).to_owned()),
            ("payment ends", self.payment_text()),
            ("expires", self.expiry_text()),
            ("ended", instant::text_of_ms(hold.ended_at_ms)),
            ("cause", cause.replace('_', " ")),
            ("orders", hold.order_refs.join(", ")),
            ("places lost", lost),
            ("renewals left", left(hold.renewals_left)),
            ("payments left", left(hold.payment_attempts_left)),
            ("attempt", self.attempt.clone()),
            ("hold", format!("{}/{}", hold.event_id, hold.hold_id)),
            ("cart", hold.cart.as_ref().map_or_else(String::new, |cart| cart_text(cart, &hold.hold_id))),
        ])
    }

    /// All there is to know, for programs.
    pub(crate) fn json(&self) -> Value {
        let hold = &self.hold;
        json!({
            "event_id": hold.event_id,
            "hold_id": hold.hold_id,
            "state": state_word(hold.state()),
            "seats": self.seat_keys,
            "seat_indexes": hold.seats,
            "ticket_types": hold.ticket_types,
            "ga": self.ga_json(&hold.ga),
            "sold_seats": self.sold_seat_keys,
            "sold_seat_indexes": hold.sold_seats,
            "sold_ticket_types": hold.sold_ticket_types,
            "sold_ga": self.ga_json(&hold.sold_ga),
            "order_refs": hold.order_refs,
            "created_at": moment_json(hold.created_at_ms),
            "expires_at": moment_json(hold.expires_at_ms),
            "expires_in_ms": hold.expires_in_ms,
            "payment_deadline": moment_json(hold.payment_deadline_ms),
            "ended_at": moment_json(hold.ended_at_ms),
            "cause": cause_word(hold.cause()),
            "renewals_left": hold.renewals_left,
            "payment_attempts_left": hold.payment_attempts_left,
            "places_lost": hold.places_lost,
            "plan_revision": hold.plan_revision,
            "cart": cart_json(hold.cart.as_ref()),
        })
    }

    fn ga_json(&self, items: &[GaItem]) -> Value {
        let one = |item: &GaItem| json!({ "area": self.area_key(item), "quantity": item.quantity, "ticket_type": item.ticket_type });
        items.iter().map(one).collect()
    }
}

/// `day-1/01934b2e-…, with day-2, park` of the first part, which alone knows the others.
fn cart_text(cart: &Cart, id: &str) -> String {
    let name = format!("{}/{id}", cart.first_event_id);
    if cart.other_event_ids.is_empty() { name } else { format!("{name}, with {}", cart.other_event_ids.join(", ")) }
}

/// A cart for programs.
pub(crate) fn cart_json(cart: Option<&Cart>) -> Value {
    let Some(cart) = cart else { return Value::Null };
    let role = match cart.role() {
        CartRole::Unspecified => Value::Null,
        CartRole::First => "first".into(),
        CartRole::Other => "other".into(),
    };
    json!({ "role": role, "first_event_id": cart.first_event_id, "other_event_ids": cart.other_event_ids })
}

/// `active` for `HoldState::Active`.
pub(crate) fn state_word(state: HoldState) -> &'static str {
    match state {
        HoldState::Unspecified => "unknown",
        HoldState::Active => "active",
        HoldState::Paying => "paying",
        HoldState::Confirmed => "confirmed",
        HoldState::Released => "released",
        HoldState::Expired => "expired",
    }
}

fn cause_word(cause: HoldCause) -> Option<&'static str> {
    match cause {
        HoldCause::Unspecified => None,
        HoldCause::Requested => Some("requested"),
        HoldCause::Replaced => Some("replaced"),
        HoldCause::Deadline => Some("deadline"),
        HoldCause::Killed => Some("killed"),
        HoldCause::EventCancelled => Some("event_cancelled"),
        HoldCause::CartRefused => Some("cart_refused"),
        HoldCause::PartMissing => Some("part_missing"),
    }
}

/// How a best available pick sits together; nothing for places the caller named.
pub(crate) fn arrangement_word(arrangement: Arrangement) -> Option<&'static str> {
    match arrangement {
        Arrangement::Unspecified => None,
        Arrangement::Contiguous => Some("contiguous"),
        Arrangement::Stranding => Some("stranding"),
        Arrangement::Split => Some("split"),
        Arrangement::General => Some("general"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> Hold {
        Hold {
            event_id: "concert-1".into(),
            hold_id: "01934b2e-7f00-7abc-8def-0123456789ab".into(),
            state: HoldState::Active as i32,
            seats: vec![4, 5],
            sold_seats: vec![6],
            ga: vec![GaItem { area: 1, quantity: 2, ..GaItem::default() }],
            expires_at_ms: 1_809_079_200_000,
            expires_in_ms: 599_900,
            ..Hold::default()
        }
    }

    #[test]
    fn places_are_shown_by_key() {
        let labels = ["A-1", "A-2", "A-3"].map(str::to_owned).to_vec();
        let card = HoldCard::new(hold(), labels, vec!["BAR".into(), "FLOOR".into()]);
        assert_eq!((card.held_text(), card.sold_text()), ("A-1, A-2, 2 × FLOOR".into(), "A-3".into()));
        assert_eq!(card.json()["ga"][0], json!({ "area": "FLOOR", "quantity": 2, "ticket_type": 0 }));
        let text = card.text(Arrangement::Contiguous);
        assert!(text.contains("expires        in 599 seconds (2027-04-30T10:00:00Z)\n"), "{text}");
        assert!(text.starts_with("places         A-1, A-2, 2 × FLOOR\n"), "{text}");
    }

    #[test]
    fn places_without_a_known_key_are_shown_by_index() {
        let card = HoldCard::new(hold(), Vec::new(), Vec::new());
        assert_eq!((card.held_text(), card.sold_text()), ("#4, #5, 2 × #1".into(), "#6".into()));
    }

    #[test]
    fn a_part_of_a_cart_names_its_cart() {
        let cart = |role: CartRole, others: &[&str]| Cart {
            role: role as i32,
            first_event_id: "day-1".into(),
            other_event_ids: others.iter().map(|id| (*id).to_owned()).collect(),
        };
        let card = |cart| HoldCard::new(Hold { cart: Some(cart), ..hold() }, Vec::new(), Vec::new());
        let first = card(cart(CartRole::First, &["day-2", "park"]));
        let text = first.text(Arrangement::Unspecified);
        let name = "day-1/01934b2e-7f00-7abc-8def-0123456789ab";
        assert!(text.ends_with(&format!("  {name}, with day-2, park\n")), "{text}");
        assert_eq!(first.json()["cart"]["role"], "first");
        let other = card(cart(CartRole::Other, &[])).text(Arrangement::Unspecified);
        assert!(other.ends_with(&format!("  {name}\n")), "{other}");
        assert_eq!(HoldCard::new(hold(), Vec::new(), Vec::new()).json()["cart"], Value::Null);
    }

    #[test]
    fn a_paying_hold_counts_down_to_the_deadline_of_its_payment() {
        let paying = Hold {
            state: HoldState::Paying as i32,
            payment_deadline_ms: 1_809_079_500_000,
            expires_in_ms: 899_900,
            payment_attempts_left: 2,
            ..hold()
        };
        let card = HoldCard::new(paying, Vec::new(), Vec::new());
        let text = card.text(Arrangement::Unspecified);
        assert!(text.contains("state          paying\n"), "{text}");
        assert!(text.contains("payment ends   in 899 seconds (2027-04-30T10:05:00Z)\n"), "{text}");
        assert!(text.contains("expires        2027-04-30T10:00:00Z\n"), "{text}");
        assert!(text.contains("payments left  2\n") && card.is_live() && !card.may_pay(), "{text}");
        assert_eq!(card.json()["payment_deadline"], "2027-04-30T10:05:00Z");
        assert_eq!(HoldCard::new(hold(), Vec::new(), Vec::new()).json()["payment_deadline"], Value::Null);
    }

    #[test]
    fn an_ended_hold_says_what_ended_it_and_has_no_deadline() {
        let ended = Hold {
            state: HoldState::Expired as i32,
            cause: HoldCause::Deadline as i32,
            seats: Vec::new(),
            ga: Vec::new(),
            sold_seats: Vec::new(),
            ended_at_ms: 1_809_079_200_000,
            ..hold()
        };
        let text = HoldCard::new(ended, Vec::new(), Vec::new()).text(Arrangement::Unspecified);
        assert!(text.contains("cause  deadline\n") && !text.contains("expires "), "{text}");
    }
}
