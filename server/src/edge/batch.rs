//! Many commands of a Session in columns: the columns parsed into commands, and their answers gathered into columns.
//!
//! ```text
//! hold_ids     hi lo hi lo hi lo        one pair a command
//! seat_counts  2     1     3
//! seats        7 8   20    31 32 33
//! ```
//!
//! Invariants: columns that do not fit each other refuse the whole batch before any command is judged; what is wrong
//! with one command refuses that one alone; the answer comes when the last command is answered, once.
//!
//! Not here: reply slots and the stream (`session.rs`).

use engine::{Answer, Done};
use inventory_core::{
    allocation::AllocationKeys,
    command::{Command, Confirm, Hold, Part, Release, Remainder},
    ids::{CustomerKey, EventKey},
};
use proto::inventory::v1::{self as wire, Executed, Reason};

use super::{
    convert,
    limits::SESSION_SLOTS,
    refusal::{Asked, Refusable, Refusal},
};

/// A batch on its way through the engine.
pub(crate) struct Batch {
    correlation_id: u64,
    /// What each command asked, for the words of its refusal.
    asked: Vec<Asked>,
    /// Commands without an answer.
    left: usize,
    are_holds: bool,
    position: u64,
    time_ms: u64,
    reasons: Vec<i32>,
    expires_at_ms: Vec<u64>,
    executed: Vec<i32>,
    replayed: Vec<u32>,
    refunds_due: Vec<u32>,
}

/// A batch that was parsed: its commands with their places in it.
pub(crate) struct Parsed {
    pub(crate) event_key: EventKey,
    pub(crate) batch: Batch,
    pub(crate) commands: Vec<(u32, Command)>,
}

impl Batch {
    fn new(correlation_id: u64, count: usize, are_holds: bool) -> Batch {
        Batch {
            correlation_id,
            asked: Vec::with_capacity(count),
            left: count,
            are_holds,
            position: 0,
            time_ms: 0,
            reasons: vec![0; count],
            expires_at_ms: if are_holds { vec![0; count] } else { Vec::new() },
            executed: vec![0; count],
            replayed: Vec::new(),
            refunds_due: Vec::new(),
        }
    }

    /// What its commands are answered under.
    pub(crate) fn correlation_id(&self) -> u64 {
        self.correlation_id
    }

    /// Takes in the answer of the command at this place. Whether it was the last.
    pub(crate) fn answer(&mut self, at: u32, answer: Answer) -> bool {
        let Answer { result, position, time } = answer;
        self.position = self.position.max(position);
        self.time_ms = self.time_ms.max(time.0);
        match result {
            Ok(Done::Hold { view, replayed }) => {
                if replayed {
                    self.replayed.push(at);
                }
                if self.are_holds {
                    self.expires_at_ms[at as usize] = view.expires_at.0;
                }
            }
            Ok(
                Done::Event { .. }
                | Done::Suggested { .. }
                | Done::Explained { .. }
                | Done::Order { .. }
                | Done::Page { .. }
                | Done::Allocations { .. }
                | Done::Touched { .. }
                | Done::Cart { .. }
                | Done::Verdict(_),
            ) => self.note(at, &Refusal::of_refused(engine::Refused::Internal, Asked::default())),
            Err(refused) => {
                let asked = self.asked.get(at as usize).copied().unwrap_or_default();
                self.note(at, &Refusal::of_refused(refused, asked));
            }
        }
        self.left -= 1;
        self.left == 0
    }

    /// A command that is refused before it reaches the engine.
    fn refuse(&mut self, at: u32, refusal: &Refusal) {
        self.note(at, refusal);
        self.left -= 1;
    }

    fn note(&mut self, at: u32, refusal: &Refusal) {
        self.reasons[at as usize] = refusal.reason as i32;
        self.executed[at as usize] = refusal.executed as i32;
        if refusal.refund_due {
            self.refunds_due.push(at);
        }
    }

    /// The message of all answers. Columns that say nothing are left out.
    pub(crate) fn into_message(mut self) -> wire::SessionResponse {
        let refused = |reason: &&i32| **reason != 0;
        let any_refused = self.reasons.iter().any(|reason| *reason != 0);
        let nothing_done = |executed: &i32| *executed == Executed::False as i32;
        let mut executed: Vec<i32> = Vec::new();
        if any_refused {
            let of_refused = self.reasons.iter().zip(&self.executed).filter(|(reason, _)| refused(reason));
            executed.extend(of_refused.map(|(_, executed)| *executed));
            if executed.iter().all(nothing_done) {
                executed.clear();
            }
        } else {
            self.reasons.clear();
            if let [first, rest @ ..] = self.expires_at_ms.as_slice()
                && rest.iter().all(|other| other == first)
            {
                self.expires_at_ms.truncate(1);
            }
        }
        wire::SessionResponse {
            correlation_id: self.correlation_id,
            position: self.position,
            server_time_ms: self.time_ms,
            batch: Some(Box::new(wire::SessionBatchAnswer {
                reasons: self.reasons,
                expires_at_ms: self.expires_at_ms,
                replayed: self.replayed,
                executed,
                refunds_due: self.refunds_due,
            })),
            ..Default::default()
        }
    }
}

/// The ids of a batch. How many there are is how many commands it has.
fn pairs(hold_ids: &[u64]) -> Refusable<&[[u64; 2]]> {
    let (pairs, rest) = hold_ids.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Refusal::invalid("hold_ids", "must be two numbers for each hold"));
    }
    if pairs.is_empty() {
        return Err(Refusal::invalid("hold_ids", "must name at least one hold"));
    }
    if pairs.len() > SESSION_SLOTS {
        let what = format!("a batch has at most {SESSION_SLOTS} commands, as many as a Session may have in flight");
        return Err(Refusal::new(Reason::TooManyPlaces, what).with("limit", SESSION_SLOTS));
    }
    Ok(pairs)
}

/// The holds of a batch.
pub(crate) fn holds(correlation_id: u64, request: &wire::SessionHoldBatch) -> Refusable<Parsed> {
    let ids = pairs(&request.hold_ids)?;
    if request.seat_counts.len() != ids.len() {
        return Err(Refusal::invalid("seat_counts", "must be one number for each hold"));
    }
    let named: u64 = request.seat_counts.iter().map(|&count| u64::from(count)).sum();
    if named != request.seats.len() as u64 {
        return Err(Refusal::invalid("seats", "must be as many as seat_counts say together"));
    }
    let customers = &request.customer_keys;
    if !customers.is_empty() && customers.len() != ids.len() {
        return Err(Refusal::invalid("customer_keys", "must be empty or one for each hold"));
    }
    let mut batch = Batch::new(correlation_id, ids.len(), true);
    let mut commands = Vec::with_capacity(ids.len());
    let mut seats = request.seats.as_slice();
    for (at, (&[high, low], &count)) in (0_u32..).zip(ids.iter().zip(&request.seat_counts)) {
        let (own, rest) = seats.split_at(count as usize);
        seats = rest;
        let asked = Asked { confirm: false, seats_by_index: own.len(), plan_revision: request.plan_revision };
        batch.asked.push(asked);
        let customer = CustomerKey(customers.get(at as usize).copied().unwrap_or(0));
        let hold = convert::hold_id_of_halves(high, low).and_then(|hold_id| {
            let hold = Hold {
                // Of general sale, says the contract.
                allocations: AllocationKeys::default(),
                hold_id,
                seats: own.into(),
                seat_keys: Vec::new(),
                admissions: Vec::new(),
                best: None,
                ticket_types: Vec::new(),
                customer,
                ttl_ms: u32::try_from(request.ttl_ms).unwrap_or(u32::MAX),
                replace: None,
                plan_revision: request.plan_revision,
            };
            hold.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
            Ok(Command::Hold(Box::new(hold)))
        });
        match hold {
            Ok(hold) => commands.push((at, hold)),
            Err(refusal) => batch.refuse(at, &refusal),
        }
    }
    Ok(Parsed { event_key: EventKey(request.event_key), batch, commands })
}

/// The confirms and releases of a batch.
pub(crate) fn resolves(correlation_id: u64, request: &wire::SessionResolveBatch) -> Refusable<Parsed> {
    let ids = pairs(&request.hold_ids)?;
    let orders = &request.order_refs;
    if !orders.is_empty() && orders.len() != ids.len() {
        return Err(Refusal::invalid("order_refs", "must be empty or one for each hold"));
    }
    let mut batch = Batch::new(correlation_id, ids.len(), false);
    let mut commands = Vec::with_capacity(ids.len());
    for (at, &[high, low]) in (0_u32..).zip(ids) {
        let order = orders.get(at as usize).map_or("", String::as_str);
        batch.asked.push(Asked { confirm: !order.is_empty(), ..Asked::default() });
        let command = convert::hold_id_of_halves(high, low).and_then(|hold_id| {
            if order.is_empty() {
                let part = Part::default();
                let release = Release { hold_id, request_id: None, part, abort_payment: false };
                return Ok(Command::Release(Box::new(release)));
            }
            Ok(Command::Confirm(Box::new(Confirm {
                hold_id,
                request_id: None,
                order: convert::order_ref(order)?,
                part: Part::default(),
                remainder: Remainder::Keep,
                allow_reclaim: false,
                attempt_id: None,
            })))
        });
        match command {
            Ok(command) => commands.push((at, command)),
            Err(refusal) => batch.refuse(at, &refusal),
        }
    }
    Ok(Parsed { event_key: EventKey(request.event_key), batch, commands })
}
