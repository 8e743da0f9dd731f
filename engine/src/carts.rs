//! Carts over several events as a shard drives them: who is asked what next, and who waits for the answer (ADR-0034).
//!
//! ```text
//! HoldMany     judge in the first event ─> Prepare to the others ─> the answer
//!                                          one refuses ─> Decide cancel ─> Apply ─> the refusal ─> Settle
//! ConfirmMany  judge ─> AskPart to the others ─> Decide sell ─> Apply to the others ─> the answer ─> Settle
//! ReleaseMany  judge ─> Decide cancel ─> Apply ─> the answer ─> Settle
//! deadline     the decision, made by the turn ─> Apply ─> Settle
//! a start      Apply of every decision that is not settled ─> Settle
//! a due part   AskFirst ─> Apply to itself
//! ```
//!
//! Invariants:
//!
//! - D1. Every step is an ordinary command with an ordinary answer, so what follows from it is asked for only when it is
//!   durable.
//! - D2. Steps of one shard for another arrive in the order they were made: a part is not made after it was cancelled.
//! - D3. One call of a cart is at work at a time; the others wait for it and are then judged for themselves.
//! - D4. Nothing here is state: what is lost with a stop is asked for again from what is in the log.
//!
//! Not here: what a step means (`inventory-core`), the turn (`shard.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Weak},
};

use inventory_core::{
    cart::{Cart, CartEnd, CartStep, Decided, DuePart, PartName, PrepareCart, Verdict},
    change::HoldView,
    command::Command,
    ids::{EventKey, HoldId, TimestampMs},
    reject::Reject,
};
use probe::{planted, sometimes};

use crate::{
    answer::{Answer, CartPart, Done, Refused},
    engine::{Engine, RETRY_AFTER_MS},
    mailbox::{Envelope, Put},
    reply::{Reply, ReplySink},
    sync::{Mutex, atomic::Ordering},
};

/// Calls that may be at work or wait in one shard: each has at most 15 steps on their way.
const CALLS_MAX: usize = 4_096;
/// When a step that found a full mailbox is offered again.
const OFFER_AGAIN_MS: u64 = 2;

/// A cart: its first event, its id.
type Name = (EventKey, HoldId);

/// The carts of a shard.
pub(crate) struct Carts {
    engine: Weak<Engine>,
    shard: usize,
    post: Arc<Post>,
    /// By cart whose first event is here.
    at_work: BTreeMap<Name, Work>,
    /// At work or waiting.
    calls: usize,
    /// What was asked and is not answered, by mark.
    questions: BTreeMap<u64, Question>,
    mark: u64,
    /// Parts of this shard that have asked and have no answer.
    asking: BTreeSet<(EventKey, HoldId)>,
    /// Steps for events of this shard, in order.
    local: VecDeque<Envelope>,
    /// Steps for other shards that have not been put, in order.
    outbox: BTreeMap<usize, VecDeque<Envelope>>,
}

/// Where the answers to steps arrive.
struct Post {
    engine: Weak<Engine>,
    shard: usize,
    answers: Mutex<VecDeque<(u64, Answer)>>,
}

impl ReplySink for Post {
    fn deliver(&self, tag: u64, answer: Answer) {
        self.answers.lock().push_back((tag, answer));
        if let Some(engine) = self.engine.upgrade() {
            engine.doors[self.shard].wake();
        }
    }
}

/// A call from outside.
struct Call {
    command: Command,
    deadline: Option<TimestampMs>,
    reply: Reply,
}

/// A cart at work.
struct Work {
    phase: Phase,
    /// Whose work it is; nobody's after a deadline or a start.
    call: Option<Call>,
    waiting: VecDeque<Call>,
    /// Decided by the deadline while a call was at work: to be told to the others after it.
    decided: Option<Decided>,
    /// The first part as it was last seen, and whether the call had taken effect before.
    first: Option<HoldView>,
    replayed: bool,
    /// Of the answers so far.
    position: u64,
    time: TimestampMs,
}

enum Phase {
    /// The first event judges the call.
    Judging,
    /// The other events make their parts.
    Preparing(Round),
    /// The other events say whether they have their parts.
    Asking(Round),
    /// The first event decides. What the call is refused with, when it is.
    Deciding(Option<Refused>),
    /// The other events apply the decision.
    Telling { round: Round, settles: bool, refusal: Option<Refused> },
    /// The first event lets the cart go.
    Settling,
}

/// One question to all other events.
struct Round {
    others: Vec<EventKey>,
    /// In their order.
    answers: Vec<Option<Result<Done, Refused>>>,
}

impl Round {
    fn is_over(&self) -> bool {
        self.answers.iter().all(Option::is_some)
    }

    /// The parts that were told, the first event's first.
    fn parts(&self, first: EventKey, view: HoldView) -> Vec<CartPart> {
        let mut parts = vec![CartPart { event: first, view }];
        for (&event, answer) in self.others.iter().zip(&self.answers) {
            if let Some(Ok(Done::Hold { view, .. })) = answer {
                parts.push(CartPart { event, view: view.clone() });
            }
        }
        parts
    }

    /// The first refusal in the order of the events.
    fn refusal(&self) -> Option<(EventKey, &Refused)> {
        let answers = self.others.iter().zip(&self.answers);
        answers.filter_map(|(&event, answer)| Some((event, answer.as_ref()?.as_ref().err()?))).next()
    }
}

enum Question {
    /// To the first event, about the call.
    Call(Name),
    /// To another event of the cart: the nth.
    Other(Name, usize),
    /// To the first event: the decision.
    Decision(Name),
    /// A decision that the deadline made.
    Deadline(Decided),
    /// To the first event: it may let the cart go.
    Settle(Name),
    /// A due part to its first event.
    First(DuePart),
}

impl Carts {
    pub(crate) fn new(engine: &Arc<Engine>, shard: usize, unsettled: Vec<Decided>) -> Carts {
        let post = Post { engine: Arc::downgrade(engine), shard, answers: Mutex::default() };
        let mut carts = Carts {
            engine: Arc::downgrade(engine),
            shard,
            post: Arc::new(post),
            at_work: BTreeMap::new(),
            calls: 0,
            questions: BTreeMap::new(),
            mark: 0,
            asking: BTreeSet::new(),
            local: VecDeque::new(),
            outbox: BTreeMap::new(),
        };
        for decided in unsettled {
            sometimes!("carts: a decision is told again after a start");
            carts.tell_decided(decided);
        }
        carts.note_count();
        carts
    }

    /// Whether a command is a call that is driven here.
    pub(crate) fn is_call(command: &Command) -> bool {
        matches!(command, Command::HoldMany(_) | Command::ConfirmMany(_) | Command::ReleaseMany(_))
    }

    /// Takes a call in. The step to judge now is in [`Carts::next`].
    pub(crate) fn call(&mut self, envelope: Envelope, now: TimestampMs, position: u64) {
        let Envelope { key, command, deadline, reply } = envelope;
        let Some(cart_id) = cart_of(&command) else { return };
        if self.calls >= CALLS_MAX {
            let result = Err(Refused::Overloaded { retry_after_ms: RETRY_AFTER_MS });
            return reply.send(Answer { result, position, time: now });
        }
        self.calls += 1;
        let call = Call { command, deadline, reply };
        let name = (key, cart_id);
        match self.at_work.get_mut(&name) {
            Some(work) => {
                sometimes!("carts: a call waits for another");
                work.waiting.push_back(call);
            }
            None => {
                self.at_work.insert(name, Work::idle());
                self.begin(name, call);
            }
        }
    }

    /// The deadline of a cart has decided; where its change says that it is durable.
    pub(crate) fn deadline_passed(&mut self, decided: Decided) -> Reply {
        self.mark(Question::Deadline(decided))
    }

    /// A part of this shard must ask.
    pub(crate) fn ask(&mut self, due: DuePart) {
        if !self.asking.insert((due.event, due.part.cart_id)) {
            sometimes!("carts: a part waits for an answer");
            return;
        }
        sometimes!("carts: a part asks its first event");
        let step = CartStep::AskFirst { cart_id: due.part.cart_id, part: due.event };
        self.send(due.part.first, step, Question::First(due));
    }

    /// The next step for an event of this shard.
    pub(crate) fn next(&mut self) -> Option<Envelope> {
        loop {
            if let Some(envelope) = self.local.pop_front() {
                return Some(envelope);
            }
            let (mark, answer) = self.post.answers.lock().pop_front()?;
            self.hear(mark, answer);
        }
    }

    /// Whether there is something to do now.
    pub(crate) fn is_busy(&self) -> bool {
        !self.local.is_empty() || !self.post.answers.lock().is_empty()
    }

    /// Puts what waits for other shards into their mailboxes. When to try again what found no room.
    pub(crate) fn put_out(&mut self, now: TimestampMs) -> Option<TimestampMs> {
        let engine = self.engine.upgrade()?;
        for (&shard, steps) in &mut self.outbox {
            let door = &engine.doors[shard];
            if let Put::First = door.mailbox.put_between_shards(steps) {
                door.wake();
            }
            sometimes!("carts: a step waits for room in a mailbox", !steps.is_empty());
        }
        self.outbox.retain(|_, steps| !steps.is_empty());
        (!self.outbox.is_empty()).then(|| now.plus_ms(OFFER_AGAIN_MS))
    }

    /// Shows how many are at work: with one the engine is not idle.
    pub(crate) fn note_count(&self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.doors[self.shard].carts.store(self.at_work.len(), Ordering::Release);
        }
    }

    fn mark(&mut self, question: Question) -> Reply {
        self.mark += 1;
        self.questions.insert(self.mark, question);
        let sink: Arc<dyn ReplySink> = Arc::clone(&self.post) as Arc<dyn ReplySink>;
        Reply::Many { sink, tag: self.mark }
    }

    fn send(&mut self, key: EventKey, step: CartStep, question: Question) {
        let reply = self.mark(question);
        let envelope = Envelope { key, command: Command::Cart(step), deadline: None, reply };
        let Some(engine) = self.engine.upgrade() else { return };
        let to = engine.shard_of(key);
        if to == self.shard {
            self.local.push_back(envelope);
        } else {
            self.outbox.entry(to).or_default().push_back(envelope);
        }
    }

    /// The first event judges a call.
    fn begin(&mut self, name: Name, call: Call) {
        let reply = self.mark(Question::Call(name));
        let envelope = Envelope { key: name.0, command: call.command.clone(), deadline: call.deadline, reply };
        self.local.push_back(envelope);
        let work = self.at_work.get_mut(&name).expect("it was just put there");
        work.phase = Phase::Judging;
        work.call = Some(call);
        (work.first, work.replayed) = (None, false);
        (work.position, work.time) = (0, TimestampMs(0));
    }

    fn hear(&mut self, mark: u64, answer: Answer) {
        let question = self.questions.remove(&mark).expect("an answer is to a question, once");
        let name = match &question {
            Question::Call(name) | Question::Other(name, _) | Question::Decision(name) | Question::Settle(name) => {
                *name
            }
            Question::Deadline(decided) => return self.tell_decided(decided.clone()),
            Question::First(due) => return self.hear_first(*due, answer),
        };
        let work = self.at_work.get_mut(&name).expect("a cart with a question is at work");
        work.position = work.position.max(answer.position);
        work.time = work.time.max(answer.time);
        match question {
            Question::Call(_) => self.hear_judged(name, answer.result),
            Question::Other(_, nth) => self.hear_other(name, nth, answer.result),
            Question::Decision(_) => self.hear_decided(name, answer.result),
            Question::Settle(_) => self.finish(name),
            Question::Deadline(_) | Question::First(_) => unreachable!("answered above"),
        }
    }

    /// A part that asked applies what it hears.
    fn hear_first(&mut self, due: DuePart, answer: Answer) {
        self.asking.remove(&(due.event, due.part.cart_id));
        let verdict = match answer.result {
            Ok(Done::Verdict(Some(verdict))) => verdict,
            Err(Refused::Reject(Reject::EventNotFound)) => Verdict::Cancel(CartEnd::Missing),
            // Undecided: it asks again in a second.
            _ => return,
        };
        let command = Command::Cart(CartStep::Apply { part: due.part, verdict });
        self.local.push_back(Envelope { key: due.event, command, deadline: None, reply: Reply::Nobody });
    }

    /// The first event has judged the call.
    fn hear_judged(&mut self, name: Name, result: Result<Done, Refused>) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        let call = work.call.as_ref().expect("a call was judged");
        let command = call.command.clone();
        let (view, replayed) = match result {
            Ok(Done::Hold { view, replayed }) => (view, replayed),
            Ok(_) => return self.answer(name, Err(Refused::Internal), true),
            Err(Refused::Reject(Reject::EventCancelled)) if matches!(command, Command::ConfirmMany(_)) => {
                let refusal = Some(Refused::Reject(Reject::EventCancelled));
                return self.decide(name, Verdict::Cancel(CartEnd::EventCancelled), refusal);
            }
            Err(refused) => return self.answer(name, Err(refused), true),
        };
        let Some(Cart::First { others, is_settled }) = view.cart.clone() else {
            return self.answer(name, Err(Refused::Internal), true);
        };
        let (deadline, verdict) = (view.payment_deadline, view.verdict());
        (work.first, work.replayed) = (Some(view), replayed);
        match (command, verdict) {
            (Command::HoldMany(many), None) => {
                for (nth, (key, hold)) in many.parts.into_iter().skip(1).enumerate() {
                    let prepare = Box::new(PrepareCart { hold, first: name.0, deadline });
                    self.send(key, CartStep::Prepare(prepare), Question::Other(name, nth));
                }
                self.set_phase(name, Phase::Preparing(Round::of(others)));
            }
            (Command::ConfirmMany(_), None) => {
                let part = PartName { cart_id: name.1, first: name.0 };
                for (nth, &key) in others.iter().enumerate() {
                    self.send(key, CartStep::AskPart(part), Question::Other(name, nth));
                }
                self.set_phase(name, Phase::Asking(Round::of(others)));
            }
            (Command::ReleaseMany(_), None) => self.decide(name, Verdict::Cancel(CartEnd::Requested), None),
            // Decided before: the answer is what all parts are now.
            (_, Some(verdict)) => self.tell(name, others, verdict, !is_settled, None),
            (_, None) => self.answer(name, Err(Refused::Internal), true),
        }
    }

    /// Another event has answered.
    fn hear_other(&mut self, name: Name, nth: usize, result: Result<Done, Refused>) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        let (Phase::Preparing(round) | Phase::Asking(round) | Phase::Telling { round, .. }) = &mut work.phase else {
            unreachable!("other events are asked in rounds");
        };
        round.answers[nth] = Some(result);
        if !round.is_over() {
            return;
        }
        match std::mem::replace(&mut work.phase, Phase::Judging) {
            Phase::Preparing(round) => self.all_prepared(name, &round),
            Phase::Asking(round) => self.all_asked(name, &round),
            Phase::Telling { round, settles, refusal } => self.all_told(name, &round, settles, refusal),
            Phase::Judging | Phase::Deciding(_) | Phase::Settling => unreachable!("no round"),
        }
    }

    fn all_prepared(&mut self, name: Name, round: &Round) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        if let Some(decided) = work.decided.take() {
            sometimes!("carts: the deadline came before all parts");
            let executed = work.replayed || round.refusal().is_none();
            let expired = Refused::Reject(Reject::HoldExpired { executed, places_lost: Vec::new() });
            return self.tell(name, decided.others, decided.verdict, true, Some(expired));
        }
        if let Some((event, refused)) = round.refusal() {
            sometimes!("carts: an event refuses its part");
            let refusal = of_event(event, refused);
            return self.decide(name, Verdict::Cancel(CartEnd::Refused), Some(refusal));
        }
        let first = work.first.clone().expect("the first event has judged");
        let done = Done::Cart { parts: round.parts(name.0, first), replayed: work.replayed };
        self.answer(name, Ok(done), true);
    }

    fn all_asked(&mut self, name: Name, round: &Round) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        let Some(Call { command: Command::ConfirmMany(confirm), .. }) = &work.call else {
            unreachable!("parts are asked for by a confirm");
        };
        let order = confirm.order.clone();
        match round.refusal() {
            None => self.decide(name, Verdict::Sell(order), None),
            Some((event, refused @ Refused::Reject(Reject::EventCancelled))) => {
                let refusal = Some(of_event(event, refused));
                self.decide(name, Verdict::Cancel(CartEnd::EventCancelled), refusal);
            }
            Some((_, Refused::Reject(_))) => {
                sometimes!("carts: a part is missing when it is to be sold");
                let refusal = Refused::Reject(Reject::HoldExpired { executed: false, places_lost: Vec::new() });
                self.decide(name, Verdict::Cancel(CartEnd::Missing), Some(refusal));
            }
            // It was not judged: nothing is known.
            Some((event, refused)) => self.answer(name, Err(of_event(event, refused)), true),
        }
    }

    /// The first event decides.
    fn decide(&mut self, name: Name, verdict: Verdict, refusal: Option<Refused>) {
        let step = CartStep::Decide { cart_id: name.1, verdict: verdict.clone() };
        self.send(name.0, step, Question::Decision(name));
        self.set_phase(name, Phase::Deciding(refusal));
    }

    fn hear_decided(&mut self, name: Name, result: Result<Done, Refused>) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        let Phase::Deciding(refusal) = std::mem::replace(&mut work.phase, Phase::Judging) else {
            unreachable!("a decision was asked for");
        };
        match result {
            Ok(Done::Hold { view, replayed }) => {
                // What it decided before counts.
                let verdict = view.verdict().expect("it has decided");
                let Some(Cart::First { others, is_settled }) = view.cart.clone() else {
                    return self.answer(name, Err(Refused::Internal), true);
                };
                work.replayed |= replayed;
                work.first = Some(view);
                work.decided = None;
                self.tell(name, others, verdict, !is_settled, refusal);
            }
            // A cart that is refused has no view any more: its first part is forgotten when it is settled, not before.
            Ok(_) => self.answer(name, Err(Refused::Internal), true),
            Err(Refused::Reject(Reject::EventCancelled)) if refusal.is_none() => {
                let refusal = Some(Refused::Reject(Reject::EventCancelled));
                self.decide(name, Verdict::Cancel(CartEnd::EventCancelled), refusal);
            }
            Err(refused) => self.answer(name, Err(refusal.unwrap_or(refused)), true),
        }
    }

    /// A decision is durable that no call asked for.
    fn tell_decided(&mut self, decided: Decided) {
        let name = (decided.event, decided.cart_id);
        if let Some(work) = self.at_work.get_mut(&name) {
            sometimes!("carts: the deadline decides while a call is at work");
            work.decided = Some(decided);
            return;
        }
        self.at_work.insert(name, Work::idle());
        self.tell(name, decided.others, decided.verdict, true, None);
    }

    /// Tells the other events what was decided.
    fn tell(&mut self, name: Name, others: Vec<EventKey>, verdict: Verdict, settles: bool, refusal: Option<Refused>) {
        let mut round = Round::of(others);
        let part = PartName { cart_id: name.1, first: name.0 };
        let others = round.others.clone();
        for (nth, &key) in others.iter().enumerate() {
            if nth + 1 == others.len() && planted!(CartHalfApplied) && matches!(verdict, Verdict::Sell(_)) {
                round.answers[nth] = Some(Err(Refused::Reject(Reject::HoldNotFound)));
                continue;
            }
            self.send(key, CartStep::Apply { part, verdict: verdict.clone() }, Question::Other(name, nth));
        }
        if round.is_over() {
            return self.all_told(name, &round, settles, refusal);
        }
        self.set_phase(name, Phase::Telling { round, settles, refusal });
    }

    fn all_told(&mut self, name: Name, round: &Round, settles: bool, refusal: Option<Refused>) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        // Whoever says that it has no such part has nothing to apply.
        let is_heard = |answer: &Result<Done, Refused>| matches!(answer, Ok(_) | Err(Refused::Reject(_)));
        let all_heard = round.answers.iter().flatten().all(is_heard);
        if work.call.is_some() {
            let result = match (refusal, &work.first) {
                (Some(refusal), _) => Err(refusal),
                (None, Some(first)) => {
                    Ok(Done::Cart { parts: round.parts(name.0, first.clone()), replayed: work.replayed })
                }
                (None, None) => Err(Refused::Internal),
            };
            self.answer(name, result, false);
        }
        if settles && all_heard {
            self.send(name.0, CartStep::Settle(name.1), Question::Settle(name));
            self.set_phase(name, Phase::Settling);
        } else {
            self.finish(name);
        }
    }

    /// Answers the call at work. Whether its work ends with it.
    fn answer(&mut self, name: Name, result: Result<Done, Refused>, ends: bool) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        let (position, time) = (work.position, work.time);
        if let Some(call) = work.call.take() {
            self.calls -= 1;
            call.reply.send(Answer { result, position, time });
        }
        if ends {
            self.finish(name);
        }
    }

    /// The work of one call is over: the next.
    fn finish(&mut self, name: Name) {
        let work = self.at_work.get_mut(&name).expect("it is at work");
        if let Some(decided) = work.decided.take() {
            return self.tell(name, decided.others, decided.verdict, true, None);
        }
        match work.waiting.pop_front() {
            Some(call) => self.begin(name, call),
            None => {
                self.at_work.remove(&name);
            }
        }
    }

    fn set_phase(&mut self, name: Name, phase: Phase) {
        self.at_work.get_mut(&name).expect("it is at work").phase = phase;
    }
}

impl Work {
    fn idle() -> Work {
        Work {
            phase: Phase::Judging,
            call: None,
            waiting: VecDeque::new(),
            decided: None,
            first: None,
            replayed: false,
            position: 0,
            time: TimestampMs(0),
        }
    }
}

impl Round {
    fn of(others: Vec<EventKey>) -> Round {
        Round { answers: vec![None; others.len()], others }
    }
}

fn cart_of(command: &Command) -> Option<HoldId> {
    match command {
        Command::HoldMany(many) => Some(many.cart_id),
        Command::ConfirmMany(confirm) => Some(confirm.cart_id),
        Command::ReleaseMany(cart_id) => Some(*cart_id),
        _ => None,
    }
}

/// A refusal, with the event it is of.
fn of_event(event: EventKey, refused: &Refused) -> Refused {
    match refused {
        Refused::Reject(reject) => Refused::InEvent { event, reject: reject.clone() },
        other => other.clone(),
    }
}
