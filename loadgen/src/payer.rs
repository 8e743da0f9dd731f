use std::ops::Range;
use std::time::{Duration, Instant};

use client::{AttemptId, Client, Error, Held, Reason};
use parking_lot::Mutex;
use proto::inventory::v1::PaymentOutcome;
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::board::{OPEN, SOLD};
use crate::buyer::{refusal_is_unknown, whole};
use crate::ledger::{Fact, NotSoldFact};
use crate::measure::{Kind, Measure};
use crate::sale::Sale;

/// How a payment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Paid before the hold ends.
    Prompt,
    /// Paid after the hold's own deadline and within that of the payment.
    Slow,
    /// The first attempt fails, the second pays.
    SecondTry,
    /// Two attempts pay at once.
    Twice,
    /// Paid when the hold has expired: the places are taken again if they can be.
    Late,
    /// The same after an attempt that failed.
    LateAfterFailure,
    /// Paid when the hold has expired, by a seller who does not ask for the places again.
    LateWithoutReclaim,
    /// The buyer gives up at the cashier, and the hold runs out.
    GivesUp,
    /// The seller breaks off the payment and gives the places back.
    Aborted,
    /// The payment never says a word.
    NoWord,
}

/// Percent of the buyers to whom each happens.
const STORIES: [(Story, u32); 10] = [
    (Story::Prompt, 34),
    (Story::Slow, 14),
    (Story::SecondTry, 14),
    (Story::Twice, 10),
    (Story::Late, 10),
    (Story::LateAfterFailure, 6),
    (Story::LateWithoutReclaim, 3),
    (Story::GivesUp, 5),
    (Story::Aborted, 3),
    (Story::NoWord, 1),
];
/// Percent of confirms sent again after their answer: it must be the same one.
const REPEAT_PERCENT: u32 = 20;
/// How long a cashier takes.
const CASHIER: Range<Duration> = Duration::ZERO..Duration::from_millis(600);
/// How long after a deadline who is late comes. The lower end is more than an answer takes, so that late is late.
const LATE_BY: Range<Duration> = Duration::from_millis(100)..Duration::from_millis(900);

/// One buyer with a hold, on the way to the cashier and back.
pub(crate) struct Payer<'a> {
    sale: &'a Sale,
    client: &'a Client,
    measure: &'a Mutex<Measure>,
    rng: &'a mut SmallRng,
}

impl<'a> Payer<'a> {
    pub(crate) fn new(sale: &'a Sale, client: &'a Client, measure: &'a Mutex<Measure>, rng: &'a mut SmallRng) -> Self {
        Self { sale, client, measure, rng }
    }

    /// The whole story of one hold. It ends early when the hold does: what was promised until then is in the ledger.
    pub(crate) async fn pay(mut self, held: &Held) {
        let own_deadline = Instant::now() + held.expires_in;
        let _ = match story_at(self.rng.random_range(0..100)) {
            Story::Prompt => self.prompt(held).await,
            Story::Slow => self.slow(held, own_deadline).await,
            Story::SecondTry => self.second_try(held).await,
            Story::Twice => self.twice(held).await,
            Story::Late => self.late(held, own_deadline, true).await,
            Story::LateAfterFailure => self.late_after_failure(held).await,
            Story::LateWithoutReclaim => self.late(held, own_deadline, false).await,
            Story::GivesUp => self.gives_up(held).await,
            Story::Aborted => self.aborted(held).await,
            Story::NoWord => self.begin(held).await.map(|_| ()),
        };
    }

    async fn prompt(&mut self, held: &Held) -> Option<()> {
        let attempt = self.begin(held).await?;
        self.cashier().await;
        self.money(held, attempt, false, false).await;
        Some(())
    }

    async fn slow(&mut self, held: &Held, own_deadline: Instant) -> Option<()> {
        let attempt = self.begin(held).await?;
        self.wait_past(own_deadline).await;
        self.money(held, attempt, false, false).await;
        Some(())
    }

    async fn second_try(&mut self, held: &Held) -> Option<()> {
        let failed = self.begin(held).await?;
        self.cashier().await;
        self.end(held, failed, PaymentOutcome::Failed).await?;
        self.prompt(held).await
    }

    /// The first attempt is thought to have failed, and its money comes with that of the second.
    async fn twice(&mut self, held: &Held) -> Option<()> {
        let first = self.begin(held).await?;
        self.end(held, first, PaymentOutcome::Failed).await?;
        let second = self.begin(held).await?;
        self.cashier().await;
        let repeat = self.repeats();
        tokio::join!(self.confirm(held, first, false, false, repeat), self.confirm(held, second, false, false, repeat));
        Some(())
    }

    async fn late(&mut self, held: &Held, deadline: Instant, reclaim: bool) -> Option<()> {
        self.wait_past(deadline).await;
        let attempt = self.client.ids().attempt_id();
        self.money(held, attempt, true, reclaim).await;
        Some(())
    }

    async fn late_after_failure(&mut self, held: &Held) -> Option<()> {
        let attempt = self.begin(held).await?;
        let deadline = self.end(held, attempt, PaymentOutcome::Failed).await?;
        self.wait_past(deadline).await;
        self.money(held, attempt, true, true).await;
        Some(())
    }

    async fn gives_up(&mut self, held: &Held) -> Option<()> {
        let attempt = self.begin(held).await?;
        self.cashier().await;
        self.end(held, attempt, PaymentOutcome::Abandoned).await.map(|_| ())
    }

    async fn aborted(&mut self, held: &Held) -> Option<()> {
        self.begin(held).await?;
        let started = Instant::now();
        let request = held.release().abort_payment();
        let result = self.sale.patience().ask(|| self.client.release(request.clone())).await;
        self.measure.lock().outcome(Kind::Release, started.elapsed(), &result);
        let released = self.known(held, Kind::Release, result)?;
        self.sale.board.mark(held.seats.iter().copied(), OPEN);
        let (hold, position) = (held.id.to_string(), released.position);
        self.sale.note(Fact::Released { hold, position, exact: !released.replayed });
        Some(())
    }

    /// Sends the buyer to pay.
    async fn begin(&self, held: &Held) -> Option<AttemptId> {
        let attempt = self.client.ids().attempt_id();
        let started = Instant::now();
        let request = held.begin_payment().attempt(attempt);
        let result = self.sale.patience().ask(|| self.client.begin_payment(request.clone())).await;
        self.measure.lock().outcome(Kind::BeginPayment, started.elapsed(), &result);
        let begun = self.known(held, Kind::BeginPayment, result)?;
        self.sale.note(Fact::Begun {
            hold: held.id.to_string(),
            attempt: attempt.to_string(),
            deadline_ms: begun.payment_deadline_ms.max(begun.expires_at_ms),
        });
        Some(attempt)
    }

    /// An attempt came to nothing: when the hold ends now.
    async fn end(&self, held: &Held, attempt: AttemptId, outcome: PaymentOutcome) -> Option<Instant> {
        let started = Instant::now();
        let request = held.end_payment(attempt, outcome);
        let result = self.sale.patience().ask(|| self.client.end_payment(request.clone())).await;
        self.measure.lock().outcome(Kind::EndPayment, started.elapsed(), &result);
        let ended = self.known(held, Kind::EndPayment, result)?;
        self.sale.note(Fact::EndedPayment {
            hold: held.id.to_string(),
            attempt: attempt.to_string(),
            expires_at_ms: ended.expires_at_ms,
        });
        Some(Instant::now() + ended.expires_in)
    }

    /// Money has come, in time or late.
    async fn money(&mut self, held: &Held, attempt: AttemptId, late: bool, reclaim: bool) {
        let repeat = self.repeats();
        self.confirm(held, attempt, late, reclaim, repeat).await;
    }

    async fn confirm(&self, held: &Held, attempt: AttemptId, late: bool, reclaim: bool, repeat: bool) {
        let order = format!("L-{}", held.hold_ref());
        let (hold, named) = (held.id.to_string(), attempt.to_string());
        self.sale.note(Fact::Came { hold: hold.clone(), attempt: named.clone(), order: order.clone(), late });
        let request = held.confirm(&order).attempt(attempt);
        let request = if reclaim { request.allow_reclaim() } else { request };
        for _ in 0..if repeat { 2 } else { 1 } {
            let started = Instant::now();
            let result = self.sale.patience().ask(|| self.client.confirm(request.clone())).await;
            self.measure.lock().outcome(Kind::Confirm, started.elapsed(), &result);
            match result {
                Ok(answer) => {
                    let confirmed = whole(held, answer);
                    self.sale.board.mark(confirmed.seats.iter().copied(), SOLD);
                    self.sale.note(Fact::paid(held.id, &order, attempt, reclaim, &confirmed));
                }
                Err(Error::Refused(refusal)) if !refusal_is_unknown(&refusal) => {
                    self.sale.note(Fact::NotSold(NotSoldFact {
                        hold: hold.clone(),
                        attempt: named.clone(),
                        reason: refusal.reason_name.clone(),
                        refund_due: refusal.refund_due(),
                        server_time_ms: refusal.server_time_ms,
                    }));
                    self.note_end(held, &refusal);
                }
                Err(_) => self.sale.note(Fact::unpaid(held.id, &order, attempt)),
            }
        }
    }

    /// The answer, if there is one; what else it was is noted.
    fn known<T>(&self, held: &Held, kind: Kind, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(answer) => return Some(answer),
            Err(Error::Refused(refusal)) if !refusal_is_unknown(&refusal) => self.note_end(held, &refusal),
            Err(_) => self.sale.note(Fact::unknown(held.id, kind, None)),
        }
        None
    }

    /// A refusal that says that the hold has ended, if it is one. Any other is none that these stories ask for.
    fn note_end(&self, held: &Held, refusal: &client::Refusal) {
        match refusal.reason {
            Reason::HoldExpired | Reason::HoldReleased | Reason::HoldNotFound => self.sale.note(Fact::Ended {
                hold: held.id.to_string(),
                reason: refusal.reason_name.clone(),
                server_time_ms: refusal.server_time_ms,
            }),
            // The other payment was first.
            Reason::HoldAlreadyConfirmed => {}
            _ => self.sale.wrong_answer(format!("hold {}: {refusal}", held.hold_ref())),
        }
    }

    async fn cashier(&mut self) {
        let time = self.rng.random_range(CASHIER);
        tokio::time::sleep(time).await;
    }

    async fn wait_past(&mut self, deadline: Instant) {
        let late_by = self.rng.random_range(LATE_BY);
        tokio::time::sleep_until((deadline + late_by).into()).await;
    }

    fn repeats(&mut self) -> bool {
        self.rng.random_range(0..100) < REPEAT_PERCENT
    }
}

/// The story at this point of a hundred.
fn story_at(mut point: u32) -> Story {
    for (story, percent) in STORIES {
        if point < percent {
            return story;
        }
        point -= percent;
    }
    Story::Prompt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_has_its_share_of_a_hundred() {
        assert_eq!(STORIES.iter().map(|(_, percent)| percent).sum::<u32>(), 100);
        for (story, percent) in STORIES {
            assert_eq!((0..100).filter(|&point| story_at(point) == story).count(), percent as usize, "{story:?}");
        }
    }
}
