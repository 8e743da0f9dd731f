use std::time::Duration;

use proto::inventory::v1::{self as v1, Arrangement, GaItem};

use crate::error::Error;
use crate::ids::{HoldId, HoldRef};
use crate::request::HoldRequest;

/// Places to take in 2 to 16 events, all or nothing. The event of the first part decides for the cart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CartRequest {
    pub(crate) id: Option<HoldId>,
    parts: Vec<HoldRequest>,
    ttl_ms: u64,
    admission_token: String,
}

impl CartRequest {
    /// Of nothing; add parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Under this id instead of one the client makes: to send an earlier request again.
    #[must_use]
    pub fn id(mut self, id: HoldId) -> Self {
        self.id = Some(id);
        self
    }

    /// These places of another event. Id, time to live and admission are the cart's: the part has none, and it replaces
    /// nothing.
    #[must_use]
    pub fn part(mut self, part: HoldRequest) -> Self {
        self.parts.push(part);
        self
    }

    /// For so long instead of the payment grace of the first event.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// With this admission of the waiting room.
    #[must_use]
    pub fn admission_token(mut self, token: impl Into<String>) -> Self {
        self.admission_token = token.into();
        self
    }

    pub(crate) fn to_wire(&self, id: HoldId) -> Result<v1::HoldManyRequest, Error> {
        let own = |part: &HoldRequest| {
            part.id.is_some() || part.ttl_ms != 0 || part.replace.is_some() || !part.admission_token.is_empty()
        };
        if let Some(at) = self.parts.iter().position(own) {
            let problem =
                format!("part {at} of a cart has no id, time to live or admission of its own, and replaces nothing");
            return Err(Error::Config { problem });
        }
        let part = |part: &HoldRequest| v1::CartPart {
            event_id: part.event_id.clone(),
            seats: part.seats.clone(),
            seat_keys: part.seat_keys.clone(),
            ga: part.ga.clone(),
            best_available: part.best_available.clone(),
            ticket_types: part.ticket_types.clone(),
            customer: part.customer.clone(),
            allocation_keys: part.allocation_keys.clone(),
            include_unallocated: part.include_unallocated,
            plan_revision: part.plan_revision,
        };
        Ok(v1::HoldManyRequest {
            cart_id: id.to_string(),
            parts: self.parts.iter().map(part).collect(),
            ttl_ms: self.ttl_ms,
            admission_token: self.admission_token.clone(),
        })
    }
}

/// Places of one event in a cart.
#[derive(Clone, Debug, PartialEq)]
pub struct CartPart {
    /// The event.
    pub event_id: String,
    /// Seats by index: those named in request order, then those chosen in plan order.
    pub seats: Vec<u32>,
    /// General admission.
    pub ga: Vec<GaItem>,
    /// How well a best available pick sits together.
    pub arrangement: Arrangement,
}

/// Places held in several events.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldCart {
    /// The id: the right to confirm and release.
    pub id: HoldId,
    /// The event that decides.
    pub first_event_id: String,
    /// What is held, in the order of the request.
    pub parts: Vec<CartPart>,
    /// When it ends, milliseconds since 1970 UTC by the server's clock.
    pub expires_at_ms: u64,
    /// How long it had left when the server answered.
    pub expires_in: Duration,
    /// The cart had been made by an earlier attempt.
    pub replayed: bool,
    /// Position of its last change in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

impl HeldCart {
    /// The name to show to others.
    pub fn hold_ref(&self) -> HoldRef {
        self.id.hold_ref()
    }

    /// Sells all of it to an order.
    pub fn confirm(&self, order_ref: impl Into<String>) -> ConfirmCartRequest {
        ConfirmCartRequest::new(&self.first_event_id, self.id, order_ref)
    }

    /// Gives all of it back.
    pub fn release(&self) -> ReleaseCartRequest {
        ReleaseCartRequest::new(&self.first_event_id, self.id)
    }

    pub(crate) fn read(id: HoldId, answer: v1::HoldManyResponse) -> Result<Self, Error> {
        let deadlines = answer.parts.first().and_then(|part| part.hold.as_ref());
        let first = deadlines.ok_or_else(|| Error::transport("an answer without the cart"))?;
        Ok(Self {
            id,
            first_event_id: first.event_id.clone(),
            expires_at_ms: first.payment_deadline_ms,
            expires_in: Duration::from_millis(first.expires_in_ms),
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
            parts: parts(answer.parts, |hold| (hold.seats, hold.ga)),
        })
    }
}

/// A cart to sell to an order.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmCartRequest {
    first_event_id: String,
    cart: HoldId,
    order_ref: String,
}

impl ConfirmCartRequest {
    /// All of the cart of which this is the first event.
    pub fn new(first_event_id: impl Into<String>, cart: HoldId, order_ref: impl Into<String>) -> Self {
        Self { first_event_id: first_event_id.into(), cart, order_ref: order_ref.into() }
    }

    pub(crate) fn to_wire(&self) -> v1::ConfirmManyRequest {
        v1::ConfirmManyRequest {
            event_id: self.first_event_id.clone(),
            cart_id: self.cart.to_string(),
            order_ref: self.order_ref.clone(),
        }
    }
}

/// A cart to give back.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseCartRequest {
    first_event_id: String,
    cart: HoldId,
}

impl ReleaseCartRequest {
    /// All of the cart of which this is the first event.
    pub fn new(first_event_id: impl Into<String>, cart: HoldId) -> Self {
        Self { first_event_id: first_event_id.into(), cart }
    }

    pub(crate) fn to_wire(&self) -> v1::ReleaseManyRequest {
        v1::ReleaseManyRequest { event_id: self.first_event_id.clone(), cart_id: self.cart.to_string() }
    }
}

/// A cart that was sold.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmedCart {
    /// What is sold, the first event's first. What was forgotten since is left out.
    pub parts: Vec<CartPart>,
    /// This confirm had been done before.
    pub replayed: bool,
    /// Position of the last change of it in the log.
    pub position: u64,
    /// The server's time of the answer, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

impl ConfirmedCart {
    pub(crate) fn read(answer: v1::ConfirmManyResponse) -> Self {
        Self {
            replayed: answer.replayed,
            position: answer.position,
            server_time_ms: answer.server_time_ms,
            parts: parts(answer.parts, |hold| (hold.sold_seats, hold.sold_ga)),
        }
    }
}

fn parts(told: Vec<v1::CartHold>, places: impl Fn(v1::Hold) -> (Vec<u32>, Vec<GaItem>)) -> Vec<CartPart> {
    let part = |told: v1::CartHold| {
        let arrangement = told.arrangement();
        let hold = told.hold.unwrap_or_default();
        let event_id = hold.event_id.clone();
        let (seats, ga) = places(hold);
        CartPart { event_id, seats, ga, arrangement }
    };
    told.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01934b2e-7f00-7abc-8def-0123456789ab";

    #[test]
    fn a_part_takes_places_and_nothing_of_the_cart() {
        let id: HoldId = ID.parse().expect("a uuid");
        let two = || CartRequest::new().part(HoldRequest::new("a").seats([1, 2]).customer("c"));
        let request = two().part(HoldRequest::new("b").best_available(2)).ttl(Duration::from_secs(90));
        let wire = request.to_wire(id).expect("a cart");
        assert_eq!((wire.cart_id.as_str(), wire.ttl_ms, wire.parts.len()), (ID, 90_000, 2));
        assert_eq!((wire.parts[0].seats.as_slice(), wire.parts[0].customer.as_str()), (&[1, 2][..], "c"));
        assert_eq!(wire.parts[1].best_available.as_ref().map(|best| best.quantity), Some(2));
        let own = [
            HoldRequest::new("b").id(id),
            HoldRequest::new("b").ttl(Duration::from_secs(1)),
            HoldRequest::new("b").replace(id),
            HoldRequest::new("b").admission_token("t"),
        ];
        for part in own {
            let problem = two().part(part).to_wire(id).expect_err("not of a part").to_string();
            assert!(problem.starts_with("part 1 of a cart"), "{problem}");
        }
    }

    #[test]
    fn a_cart_reads_its_first_event_and_its_deadline_from_its_first_part() {
        let part = |event: &str, seats: &[u32]| v1::CartHold {
            hold: Some(v1::Hold {
                event_id: event.to_owned(),
                seats: seats.to_vec(),
                payment_deadline_ms: 9_000,
                expires_in_ms: 4_000,
                ..v1::Hold::default()
            }),
            ..v1::CartHold::default()
        };
        let answer = v1::HoldManyResponse {
            parts: vec![part("a", &[1]), part("b", &[])],
            position: 7,
            ..v1::HoldManyResponse::default()
        };
        let held = HeldCart::read(ID.parse().expect("a uuid"), answer).expect("a cart");
        assert_eq!((held.first_event_id.as_str(), held.expires_at_ms, held.parts.len()), ("a", 9_000, 2));
        assert_eq!(held.confirm("O").to_wire().event_id, "a");
        assert!(HeldCart::read(held.id, v1::HoldManyResponse::default()).is_err());
    }
}
