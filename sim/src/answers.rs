//! What was asked, what must be answered, and whether it was: once, the right thing, at the right time, and
//! nothing that is not durable.

use std::sync::{Mutex, MutexGuard};

use engine::{Answer, Done, Refused, ReplySink};
use inventory_core::{
    change::{Held, HoldState},
    command::Command,
    ids::{EventKey, TimestampMs},
    reject::Reject,
};
use model::normal;

use crate::{
    violation::{Violation, claim},
    world::World,
};

/// Takes the answers in the order they leave.
#[derive(Default)]
pub(crate) struct Inbox {
    answers: Mutex<Vec<(u64, Answer)>>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Answer)>> {
        self.answers.lock().expect("no code panics while it holds this lock")
    }

    pub(crate) fn take(&self) -> Vec<(u64, Answer)> {
        std::mem::take(&mut *self.lock())
    }
}

impl ReplySink for Inbox {
    fn deliver(&self, tag: u64, answer: Answer) {
        self.lock().push((tag, answer));
    }
}

/// A command that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) key: EventKey,
    pub(crate) command: Command,
    pub(crate) deadline: Option<TimestampMs>,
    pub(crate) judged: Option<Judged>,
    pub(crate) is_answered: bool,
    /// The process it was sent to is gone, and no answer came.
    pub(crate) is_lost: bool,
}

/// What a command met.
#[derive(Debug)]
pub(crate) struct Judged {
    /// In the order they were judged.
    pub(crate) number: u64,
    pub(crate) time: TimestampMs,
    pub(crate) expected: Expected,
    /// Whether it made a change.
    pub(crate) changed: bool,
    /// How often its event was changed by then.
    pub(crate) changes: u64,
    /// Where the group lies that last changed what it looked at, if one did since the start.
    pub(crate) depends_on: Option<(u64, u64)>,
}

/// What the answer must be.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each command, and most are of the large kind")]
pub(crate) enum Expected {
    /// As the model says.
    Model(Result<model::Answer, Reject>),
    /// Refused before it was judged.
    Refused(Refused),
    /// The memory of ended holds is full: the model does not know how full.
    NoRoom,
}

impl Sent {
    pub(crate) fn new(key: EventKey, command: Command, deadline: Option<TimestampMs>) -> Sent {
        Sent { key, command, deadline, judged: None, is_answered: false, is_lost: false }
    }
}

impl World {
    /// Takes what has left the engine and holds it against what had to.
    pub(crate) fn take_answers(&mut self) -> Result<(), Violation> {
        let Some(running) = &self.running else { return Ok(()) };
        for (tag, answer) in running.inbox.take() {
            self.counts.answers += 1;
            self.take_answer(tag as usize, answer)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, tag: usize, answer: Answer) -> Result<(), Violation> {
        let assigned = self.running.as_ref().map_or(0, |running| running.assigned);
        let start = self.running.as_ref().map_or(0, |running| running.position);
        let sent = &mut self.sent[tag];
        let context = |judged: &Judged| format!("{:?} on {:?} gave {answer:?}, not {judged:?}", sent.command, sent.key);
        claim("a command is answered once", !sent.is_answered, || format!("{:?} was answered twice", sent.command))?;
        sent.is_answered = true;
        let Some(judged) = &sent.judged else {
            return Err(Violation { claim: "only what was judged is answered", seen: format!("{:?}", sent.command) });
        };
        claim("an answer has the time of its turn", answer.time == judged.time, || context(judged))?;
        let is_right = match (&judged.expected, &answer.result) {
            (Expected::Refused(expected), Err(refused)) => expected == refused,
            (Expected::NoRoom, Err(Refused::Reject(Reject::CapacityBudget))) => true,
            // One page need not be all.
            (Expected::Model(Ok(model::Answer::Page { .. })), Ok(Done::Page { page, .. })) if page.next > 0 => true,
            (Expected::Model(expected), Ok(done)) => *expected == normal(Ok(as_model(done))),
            (Expected::Model(expected), Err(Refused::Reject(reject))) => same_reject(expected, reject),
            _ => false,
        };
        claim("an answer is what the model says", is_right, || context(judged))?;
        if let Command::RetireEvent(_) = sent.command {
            let is_gone = matches!(answer.result, Ok(Done::Retired));
            claim("an event is retired when it is told so", is_gone == judged.changed, || context(judged))?;
        }
        if let Ok(Done::Image(image)) = &answer.result {
            self.reference.note_image(sent.key, image.event_seq, judged.changes);
            self.traffic.note_image(sent.key, image.clone(), answer.position);
        }
        let about_event = !matches!(judged.expected, Expected::Refused(_));
        let (number, depends_on, key) = (judged.number, judged.depends_on, sent.key);
        let kind = kind_of(&sent.command, &answer);
        let changed = judged.changed;
        *self.answers_by_kind.entry(kind).or_default() += 1;
        if about_event {
            let last = self.answered.insert(key, number);
            claim(
                "answers about an event leave in the order they were judged",
                last.is_none_or(|last| last < number),
                || format!("{number} after {last:?} of {key:?}"),
            )?;
            let (begin, end) = depends_on.unwrap_or((0, start));
            claim("an answer has the position of what it looked at", answer.position <= assigned, || {
                format!("{answer:?} with {assigned} changes there are")
            })?;
            if depends_on.is_some() {
                claim(
                    "an answer has the position of what it looked at",
                    begin < answer.position && (answer.position <= end || !changed),
                    || format!("{answer:?}, the event changed in {begin}..={end}"),
                )?;
            }
            self.observed = self.observed.max(answer.position);
            if depends_on.is_some() {
                self.observed = self.observed.max(end);
            }
        }
        let result = u64::from(answer.result.is_ok());
        self.note(&[tag as u64, answer.position, answer.time.0, result]);
        Ok(())
    }
}

pub(crate) fn as_model(done: &Done) -> model::Answer {
    match done {
        Done::Hold { view, replayed } => model::Answer::Hold { view: view.clone(), replayed: *replayed },
        Done::Event { replayed, .. } => model::Answer::Event { replayed: *replayed },
        Done::Image(_) | Done::Retired => model::Answer::Event { replayed: false },
        Done::Touched { touched, replayed, .. } => {
            model::Answer::Touched { touched: touched.clone(), replayed: *replayed }
        }
        Done::Allocations { allocations, .. } => model::Answer::Allocations { allocations: allocations.clone() },
        Done::Verdict(verdict) => model::Answer::Verdict { verdict: verdict.clone() },
        Done::Cart { .. } => unreachable!("what all events of a cart say is judged by itself"),
        Done::Order { parts, .. } => model::Answer::Order { parts: parts.clone() },
        Done::Page { page, .. } => model::Answer::Page { holds: page.holds.clone(), parts: page.parts.clone() },
        Done::Suggested { options, .. } => model::Answer::Suggested { options: options.clone() },
        Done::Explained { outcome, left_alone, .. } => {
            let grant = |held: Held| model::Grant {
                seats: held.seats,
                admissions: held.admissions,
                arrangement: held.arrangement,
            };
            model::Answer::Explained { outcome: (**outcome).clone().map(grant), left_alone: left_alone.clone() }
        }
    }
}

pub(crate) fn same_reject(expected: &Result<model::Answer, Reject>, reject: &Reject) -> bool {
    match (expected, reject) {
        // Etags are opaque: each has its own.
        (Err(Reject::StateMismatch { state: expected, .. }), Reject::StateMismatch { state, .. }) => expected == state,
        (expected, reject) => *expected == normal(Err(reject.clone())),
    }
}

/// Which command got which kind of answer.
fn kind_of(command: &Command, answer: &Answer) -> String {
    let first_word = |text: String| text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    let command = match command {
        Command::Hold(hold) if hold.replace.is_some() => "Hold (replace)",
        Command::Hold(hold) if hold.best.is_some() => "Hold (best available)",
        Command::Hold(hold) if !hold.admissions.is_empty() => "Hold (admissions)",
        Command::Hold(_) => "Hold",
        Command::Extend(_) => "Extend",
        Command::Confirm(confirm) if !confirm.part.is_whole() => "Confirm (part)",
        Command::Confirm(confirm) if confirm.allow_reclaim => "Confirm (reclaim)",
        Command::Confirm(_) => "Confirm",
        Command::Release(release) if !release.part.is_whole() => "Release (part)",
        Command::Release(release) if release.abort_payment => "Release (abort)",
        Command::Release(_) => "Release",
        Command::BeginPayment(_) => "BeginPayment",
        Command::EndPayment(_) => "EndPayment",
        Command::GetHold(_) => "GetHold",
        Command::SellDirect(_) => "SellDirect",
        Command::ReturnPlaces(_) => "ReturnPlaces",
        Command::Exchange(_) => "Exchange",
        Command::Kill(kill) if kill.force => "Kill (force)",
        Command::Kill(_) => "Kill",
        Command::Unkill(_) => "Unkill",
        Command::SetAllocation(_) => "SetAllocation",
        Command::RemoveAllocation(_) => "RemoveAllocation",
        Command::SetPriceLevel(_) => "SetPriceLevel",
        Command::ListAllocations => "ListAllocations",
        Command::GetOrder(_) => "GetOrder",
        Command::List(_) => "List",
        Command::Suggest(_) => "Suggest",
        Command::Explain(_) => "Explain",
        Command::HoldMany(_) => "HoldMany",
        Command::ConfirmMany(_) => "ConfirmMany",
        Command::ReleaseMany(_) => "ReleaseMany",
        Command::Cart(_) => "Cart",
        Command::CreateEvent(_) => "CreateEvent",
        Command::UpdateEvent(update) if update.plan.is_some() => "UpdateEvent (plan)",
        Command::UpdateEvent(_) => "UpdateEvent",
        Command::RetireEvent(_) => "RetireEvent",
    };
    let answer = match &answer.result {
        Ok(Done::Hold { view, replayed }) => {
            let state = match view.state {
                HoldState::Active => "active",
                HoldState::Paying => "paying",
                HoldState::Confirmed => "confirmed",
                HoldState::Released => "released",
                HoldState::Expired => "expired",
            };
            format!("{state}{}", if *replayed { " again" } else { "" })
        }
        Ok(Done::Cart { replayed, .. }) => format!("cart{}", if *replayed { " again" } else { "" }),
        Ok(Done::Verdict(_)) => "verdict".to_owned(),
        Ok(Done::Suggested { .. }) => "options".to_owned(),
        Ok(Done::Touched { replayed, .. }) => format!("touched{}", if *replayed { " again" } else { "" }),
        Ok(Done::Order { .. } | Done::Page { .. } | Done::Allocations { .. } | Done::Image(_)) => "told".to_owned(),
        Ok(Done::Retired) => "retired".to_owned(),
        Ok(Done::Explained { outcome, .. }) => match &**outcome {
            Ok(_) => "would hold".to_owned(),
            Err(reject) => format!("would be {}", first_word(format!("{reject:?}"))),
        },
        Ok(Done::Event { replayed, .. }) => format!("done{}", if *replayed { " again" } else { "" }),
        Err(Refused::Reject(reject)) => first_word(format!("{reject:?}")),
        Err(refused) => first_word(format!("{refused:?}")),
    };
    format!("{command}: {answer}")
}
