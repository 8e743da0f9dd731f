use proto::inventory::v1::session_request::Command;
use proto::inventory::v1::{Executed, Reason, SessionHoldBatch, SessionResolveBatch, SessionResponse};

use crate::ids::{HoldId, customer_key, event_key};

/// Holds of one event that travel in one message, of general sale. Each is judged by itself: some may be done and others
/// refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoldBatch(SessionHoldBatch);

impl HoldBatch {
    /// Of an event; add holds.
    pub fn new(event_id: &str) -> Self {
        Self(SessionHoldBatch { event_key: event_key(event_id), ..SessionHoldBatch::default() })
    }

    /// All of them live so long. Without it: as long as the event says.
    #[must_use]
    pub fn ttl_ms(mut self, ttl_ms: u64) -> Self {
        self.0.ttl_ms = ttl_ms;
        self
    }

    /// The seats' indexes are of this revision of the plan.
    #[must_use]
    pub fn plan_revision(mut self, plan_revision: u32) -> Self {
        self.0.plan_revision = plan_revision;
        self
    }

    /// One more hold, under an id of the caller's ([`IdMaker::hold_id`](crate::IdMaker::hold_id)), for a customer or for
    /// nobody (empty). Seats by index.
    pub fn push(&mut self, id: HoldId, seats: &[u32], customer: &str) {
        let batch = &mut self.0;
        batch.hold_ids.extend(<[u64; 2]>::from(id.halves()));
        batch.seat_counts.push(u32::try_from(seats.len()).unwrap_or(u32::MAX));
        batch.seats.extend(seats);
        let key = if customer.is_empty() { 0 } else { customer_key(customer) };
        if key != 0 && batch.customer_keys.is_empty() {
            // Those before had none.
            batch.customer_keys.resize(batch.seat_counts.len() - 1, 0);
        }
        if key != 0 || !batch.customer_keys.is_empty() {
            batch.customer_keys.push(key);
        }
    }

    /// How many holds.
    pub fn len(&self) -> usize {
        self.0.seat_counts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.seat_counts.is_empty()
    }

    pub(crate) fn into_command(self) -> Command {
        Command::HoldBatch(self.0)
    }
}

/// Holds of one event that are sold or given back whole, in one message. Each is judged by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolveBatch(SessionResolveBatch);

impl ResolveBatch {
    /// Of an event; add what becomes of its holds.
    pub fn new(event_id: &str) -> Self {
        Self(SessionResolveBatch { event_key: event_key(event_id), ..SessionResolveBatch::default() })
    }

    /// One more hold is sold to this order.
    pub fn confirm(&mut self, id: HoldId, order_ref: &str) {
        // Those before were given back.
        self.0.order_refs.resize(self.len(), String::new());
        self.0.order_refs.push(order_ref.to_owned());
        self.0.hold_ids.extend(<[u64; 2]>::from(id.halves()));
    }

    /// One more hold is given back.
    pub fn release(&mut self, id: HoldId) {
        if !self.0.order_refs.is_empty() {
            self.0.order_refs.push(String::new());
        }
        self.0.hold_ids.extend(<[u64; 2]>::from(id.halves()));
    }

    /// How many holds.
    pub fn len(&self) -> usize {
        self.0.hold_ids.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.hold_ids.is_empty()
    }

    pub(crate) fn into_command(self) -> Command {
        Command::ResolveBatch(self.0)
    }
}

/// What came of the commands of a batch, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAnswer {
    /// One for each command.
    pub results: Vec<Result<BatchDone, BatchRefusal>>,
    /// Position of the last of them.
    pub position: u64,
    /// The server's time, milliseconds since 1970 UTC.
    pub server_time_ms: u64,
}

/// A command of a batch that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDone {
    /// When the hold ends, milliseconds since 1970 UTC; 0 when it has ended.
    pub expires_at_ms: u64,
    /// It had been done before.
    pub replayed: bool,
}

/// A command of a batch that was refused. What is in its way is told to a command that asks alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRefusal {
    /// Why.
    pub reason: Reason,
    /// Whether anything was done.
    pub executed: Executed,
    /// The confirm can never succeed: give the money back.
    pub refund_due: bool,
}

impl BatchAnswer {
    /// Reads the columns of an answer to `count` commands. Columns that are left out say the same of all.
    pub fn read(answer: &SessionResponse, count: usize) -> Self {
        let batch = answer.batch.clone().unwrap_or_default();
        let mut executed = batch.executed.iter();
        let result = |at: usize| {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            match batch.reasons.get(at).copied().unwrap_or(0) {
                0 => Ok(BatchDone {
                    expires_at_ms: match batch.expires_at_ms.as_slice() {
                        [one] => *one,
                        each => each.get(at).copied().unwrap_or(0),
                    },
                    replayed: batch.replayed.contains(&number),
                }),
                reason => Err(BatchRefusal {
                    reason: Reason::try_from(reason).unwrap_or(Reason::Unspecified),
                    executed: executed
                        .next()
                        .map_or(Executed::False, |&one| Executed::try_from(one).unwrap_or(Executed::Unknown)),
                    refund_due: batch.refunds_due.contains(&number),
                }),
            }
        };
        let results = (0..count).map(result).collect();
        Self { results, position: answer.position, server_time_ms: answer.server_time_ms }
    }
}

#[cfg(test)]
mod tests {
    use proto::inventory::v1::SessionBatchAnswer;

    use super::*;

    fn id(low: u64) -> HoldId {
        HoldId::from_halves(1, low)
    }

    #[test]
    fn columns_are_as_long_as_the_batch_or_left_out() {
        let mut holds = HoldBatch::new("e");
        holds.push(id(1), &[3, 4], "");
        assert!(holds.0.customer_keys.is_empty());
        holds.push(id(2), &[5], "c-17");
        holds.push(id(3), &[], "");
        assert_eq!((holds.len(), holds.0.seat_counts.as_slice()), (3, &[2, 1, 0][..]));
        assert_eq!(holds.0.customer_keys, [0, customer_key("c-17"), 0]);
        assert_eq!(holds.0.hold_ids, [1, 1, 1, 2, 1, 3]);

        let mut resolves = ResolveBatch::new("e");
        resolves.release(id(1));
        assert!(resolves.0.order_refs.is_empty());
        resolves.confirm(id(2), "o");
        resolves.release(id(3));
        assert_eq!(resolves.0.order_refs, ["", "o", ""]);
    }

    #[test]
    fn what_is_left_out_of_an_answer_is_the_same_for_all() {
        let batch = SessionBatchAnswer { expires_at_ms: vec![9], replayed: vec![1], ..Default::default() };
        let answer = SessionResponse { batch: Some(Box::new(batch)), position: 7, ..Default::default() };
        let read = BatchAnswer::read(&answer, 2);
        let done = |replayed| Ok(BatchDone { expires_at_ms: 9, replayed });
        assert_eq!((read.results.as_slice(), read.position), (&[done(false), done(true)][..], 7));

        let reasons = vec![0, Reason::HoldExpired as i32, Reason::HoldReleased as i32];
        let executed = vec![Executed::False as i32, Executed::True as i32];
        let batch = SessionBatchAnswer { reasons, executed, refunds_due: vec![1], ..Default::default() };
        let answer = SessionResponse { batch: Some(Box::new(batch)), ..Default::default() };
        let refused = |reason, executed, refund_due| Err(BatchRefusal { reason, executed, refund_due });
        let read = BatchAnswer::read(&answer, 3).results;
        assert_eq!(read[0], Ok(BatchDone { expires_at_ms: 0, replayed: false }));
        assert_eq!(read[1], refused(Reason::HoldExpired, Executed::False, true));
        assert_eq!(read[2], refused(Reason::HoldReleased, Executed::True, false));
    }
}
