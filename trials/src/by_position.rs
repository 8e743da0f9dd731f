//! The checker by position, in the time of sorting: the log is replayed through the naive model, change by change,
//! and every answer is held against the state at the position it names.
//!
//! What must hold of one event:
//!
//! - P1. Every change of the log is one that somebody asked for, or time's, and does to the model what the log says.
//! - P2. An answer of an own change stands at the position of that change, and says what the model says there.
//! - P3. A refusal, a repetition and a read are what the model says at their position, at the time they were judged.
//! - P4. What was refused or not done has no change; what was done before has one at a lower or equal position.
//! - P5. Real time: an operation that ended before another was asked has a lower or equal position, and a change
//!   made by the later one has a greater one.
//! - P6. No hold that was due is alive when a command is judged; places are open, held or sold, and as many as there are.
//!
//! Not here: reading the log (`log.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inventory_core::change::{Change, HoldState};
use inventory_core::command::{
    AdmissionWanted, AreaName, BestAvailable, Command, Confirm, CreateEvent, Extend, Hold, Part as CommandPart,
    Release, Remainder,
};
use inventory_core::ids::{CustomerKey, EventKey, HoldId, OrderRef, RequestId, TimestampMs};
use inventory_core::place::{Admission, Moved, PlaceState};
use inventory_core::plan::Plan;
use inventory_core::reject::Reject;
use model::{Answer, Model};

use crate::history::{Call, History, HoldTold, Id, Operation, Outcome, Part, Phase, Told};

/// One change of one event in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its position.
    pub position: u64,
    /// The time it was made at.
    pub time: TimestampMs,
    /// What happened.
    pub change: Change,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Changes replayed.
    pub changes: usize,
    /// Answers compared.
    pub answers: usize,
    /// Operations of unknown outcome that took effect.
    pub unknown_done: usize,
    /// Operations of unknown outcome that never did.
    pub unknown_not_done: usize,
}

/// Checks one event. `log` has all its changes, by position; `plan` is the one it was made of.
///
/// # Errors
/// The first contradiction, in a sentence.
pub fn check(history: &History, log: &[Logged], plan: &Arc<Plan>) -> Result<Checked, String> {
    let at = |what: String| format!("event {}: {what}", history.event_id);
    let mut walk = Walk::new(history, plan).map_err(at)?;
    walk.run(log).map_err(at)?;
    walk.check_effects().map_err(at)?;
    walk.check_real_time().map_err(at)?;
    Ok(walk.checked)
}

/// The state of one event at one position, as the history and the log give it.
pub struct Ledger<'a>(Walk<'a>);

impl<'a> Ledger<'a> {
    /// At a position; nothing when the event was not made yet.
    ///
    /// # Errors
    /// When a change before it contradicts the model.
    pub fn at(
        position: u64,
        history: &'a History,
        log: &[Logged],
        plan: &'a Arc<Plan>,
    ) -> Result<Option<Self>, String> {
        let mut walk = Walk::new(history, plan)?;
        let before: Vec<&Logged> = log.iter().filter(|logged| logged.position <= position).collect();
        if before.is_empty() {
            return Ok(None);
        }
        for logged in before {
            walk.change(logged, None).map_err(|what| format!("position {}: {what}", logged.position))?;
        }
        Ok(Some(Self(walk)))
    }

    /// What a read of a hold or of the map says there, without deadlines.
    ///
    /// # Errors
    /// When it is no read.
    pub fn says(&self, call: &Call) -> Result<Told, String> {
        let Self(walk) = self;
        match call {
            Call::GetHold { hold } => {
                let view = walk.model.hold_view(walk.key, HoldId(hold.0));
                let answer = view.map(|view| Answer::Hold { view, replayed: false }).ok_or(Reject::HoldNotFound);
                let mut told = told_of(call, &answer)?;
                if let Told::Hold(hold) = &mut told {
                    (hold.expires_at_ms, hold.renewals_left) = (0, 0);
                }
                Ok(told)
            }
            Call::SeatMap => Ok(walk.map()),
            _ => Err("a ledger is only read".to_owned()),
        }
    }
}

/// What a change is of: whoever asked for exactly this may have made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Hold(Id),
    Confirm(Id, String, Option<Id>),
    Release(Id, Option<Id>),
    Extend(Id, Id),
}

impl Wish {
    fn of(call: &Call) -> Option<Wish> {
        let request = |part: &Option<Part>| part.as_ref().map(|part| part.request);
        Some(match call {
            Call::Hold { hold, .. } => Wish::Hold(*hold),
            Call::Confirm { hold, order, part, .. } => Wish::Confirm(*hold, order.clone(), request(part)),
            Call::Release { hold, part } => Wish::Release(*hold, request(part)),
            Call::Extend { hold, request, .. } => Wish::Extend(*hold, *request),
            Call::GetHold { .. } | Call::SeatMap => return None,
        })
    }
}

struct Walk<'a> {
    history: &'a History,
    plan: &'a Arc<Plan>,
    key: EventKey,
    model: Model,
    time: TimestampMs,
    /// Operations by what they wish for.
    wishes: BTreeMap<Wish, Vec<usize>>,
    /// Where each wish came true.
    came_true: BTreeMap<Wish, u64>,
    checked: Checked,
}

impl<'a> Walk<'a> {
    fn new(history: &'a History, plan: &'a Arc<Plan>) -> Result<Self, String> {
        let mut wishes: BTreeMap<Wish, Vec<usize>> = BTreeMap::new();
        for (at, operation) in history.operations.iter().enumerate() {
            if let Some(wish) = Wish::of(&operation.call) {
                wishes.entry(wish).or_default().push(at);
            }
        }
        Ok(Self {
            history,
            plan,
            key: engine::event_key(&history.event_id),
            model: Model::new(),
            time: TimestampMs(0),
            wishes,
            came_true: BTreeMap::new(),
            checked: Checked::default(),
        })
    }

    /// Changes and answers, in the order of positions; at one position the change first.
    fn run(&mut self, log: &[Logged]) -> Result<(), String> {
        let mut answers: Vec<(u64, u64, usize)> = Vec::new();
        let mut own: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, operation) in self.history.operations.iter().enumerate() {
            let Outcome::Answered { position, server_time_ms, told } = &operation.outcome else { continue };
            if !told.is_own_change() {
                // A map is read from a view, not judged at a time: it comes first.
                let judged_ms = if matches!(told, Told::Map { .. }) { 0 } else { *server_time_ms };
                answers.push((*position, judged_ms, at));
            } else if let Some(other) = own.insert(*position, at) {
                let other = &self.history.operations[other];
                return Err(format!("position {position} was told to two operations: {other}; {operation}"));
            }
        }
        answers.sort_unstable();
        let mut answers = answers.into_iter().peekable();
        let mut last = 0;
        for logged in log {
            if logged.position <= last {
                return Err(format!("position {} comes after position {last} in the log", logged.position));
            }
            while let Some((position, _, at)) = answers.next_if(|(position, ..)| *position < logged.position) {
                self.answer(position, at)?;
            }
            self.change(logged, own.remove(&logged.position))
                .map_err(|what| format!("position {}: {what}", logged.position))?;
            last = logged.position;
            self.checked.changes += 1;
        }
        for (position, _, at) in answers {
            self.answer(position, at)?;
        }
        if let Some((position, at)) = own.into_iter().next() {
            let operation = &self.history.operations[at];
            return Err(format!("acknowledged and not in the log: position {position}, {operation}"));
        }
        Ok(())
    }

    // Changes.

    fn change(&mut self, logged: &Logged, own: Option<usize>) -> Result<(), String> {
        let Logged { time, change, .. } = logged;
        if *time < self.time {
            return Err(format!("its time {} is before {}, that of what came before", time.0, self.time.0));
        }
        if let Change::Resumed(resumed) = change {
            // The deadlines move first: what would be due by now is not.
            self.model.resume(resumed.shift_ms, resumed.cause);
        } else if let Change::Expired(holds) = change {
            self.expire(*time, holds)?;
        } else {
            self.pass_to(*time)?;
        }
        self.time = *time;
        match change {
            Change::EventCreated(created) => {
                let create = CreateEvent {
                    id: created.id.clone(),
                    key: created.key,
                    plan: Arc::clone(self.plan),
                    settings: created.settings.clone(),
                };
                let done = self.model.execute(*time, self.key, &Command::CreateEvent(Box::new(create)));
                done.map_err(|reject| format!("the model would not make the event: {reject:?}"))?;
            }
            Change::FloorRaised(floor) => self.model.raise_floor(self.key, *floor, false),
            Change::PaidForgotten(floor) => self.model.raise_floor(self.key, *floor, true),
            Change::PaymentBegan(_) | Change::PaymentEnded(_) | Change::PaymentsLapsed(_) => {
                return Err("a payment, and nobody asked for one".to_owned());
            }
            Change::SoldDirect(_)
            | Change::Returned(_)
            | Change::Exchanged(_)
            | Change::Killed(_)
            | Change::Unkilled(_)
            | Change::AllocationSet(_)
            | Change::PriceLevelSet(_)
            | Change::AllocationRemoved(_) => return Err("the house acted, and nobody asked it to".to_owned()),
            Change::CartHeld(_) | Change::CartConfirmed(_) | Change::CartReleased(_) | Change::CartSettled(_) => {
                return Err("a cart, and nobody asked for one".to_owned());
            }
            Change::EventUpdated(_) => return Err("the event was updated, and nobody asked for it".to_owned()),
            Change::Rested(_) => return Err("a place had rested, and no event lets places rest".to_owned()),
            Change::EventRetired(_) => return Err("the event was retired, and nobody asked for it".to_owned()),
            Change::Resumed(_) | Change::Expired(_) => {}
            Change::Held(_) | Change::Extended(_) | Change::Confirmed(_) | Change::Released(_) => {
                self.wish_comes_true(logged, own)?;
            }
        }
        self.conserve()
    }

    fn wish_comes_true(&mut self, logged: &Logged, own: Option<usize>) -> Result<(), String> {
        let (wish, asked) = self.wish_of(&logged.change)?;
        let of = own.unwrap_or(asked[0]);
        if !asked.contains(&of) {
            let operation = &self.history.operations[of];
            return Err(format!("it was told to {operation}, and the log has {:?}", logged.change));
        }
        if let Some(before) = self.came_true.insert(wish, logged.position) {
            return Err(format!("the same command took effect before, at position {before}: {:?}", logged.change));
        }
        let operation = &self.history.operations[of];
        let command = command_of(&operation.call).ok_or("a read cannot make a change")?;
        let view = match self.model.execute(logged.time, self.key, &command) {
            Ok(Answer::Hold { view, replayed: false }) => view,
            other => {
                return Err(format!("the model says {other:?} to {operation}, and the log has {:?}", logged.change));
            }
        };
        let same = match &logged.change {
            Change::Held(held) => {
                held.seats == view.seats
                    && held.admissions == view.admissions
                    && (held.created_at, held.expires_at) == (view.created_at, view.expires_at)
                    && held.arrangement == view.arrangement
            }
            Change::Extended(extended) => extended.expires_at == view.expires_at,
            // What a confirm or a release names is judged by what the model sold or opened: see the reads.
            Change::Confirmed(confirmed) => !confirmed.reclaimed,
            _ => true,
        };
        if !same {
            return Err(format!("the model makes {view:?}, and the log has {:?}", logged.change));
        }
        if own.is_some() {
            self.compare(operation, &Ok(Answer::Hold { view, replayed: false }))?;
            self.checked.answers += 1;
        }
        Ok(())
    }

    /// What a change is of, and who asked for it.
    fn wish_of(&self, change: &Change) -> Result<(Wish, Vec<usize>), String> {
        let id = |hold: HoldId| Id(hold.0);
        let request = |request: &Option<(RequestId, u64)>| request.map(|(request, _)| Id(request.0));
        let wish = match change {
            Change::Held(held) => Wish::Hold(id(held.hold_id)),
            Change::Extended(extended) => Wish::Extend(id(extended.hold_id), Id(extended.request.0.0)),
            Change::Confirmed(sold) => {
                Wish::Confirm(id(sold.hold_id), sold.order.as_str().to_owned(), request(&sold.request))
            }
            Change::Released(released) => Wish::Release(id(released.hold_id), request(&released.request)),
            _ => return Err("time makes it".to_owned()),
        };
        match self.wishes.get(&wish) {
            Some(asked) => Ok((wish, asked.clone())),
            None => Err(format!("nobody asked for it: {change:?}")),
        }
    }

    fn expire(&mut self, time: TimestampMs, holds: &[HoldId]) -> Result<(), String> {
        self.model.advance(time);
        for hold in holds {
            let view = self.model.hold_view(self.key, *hold);
            let ended = view.is_some_and(|view| view.state == HoldState::Expired && view.ended_at == time);
            if !ended {
                return Err(format!("hold {} ended by time, and in the model it does not at {}", Id(hold.0), time.0));
            }
        }
        Ok(())
    }

    /// Time goes on; no hold may be overdue.
    fn pass_to(&mut self, time: TimestampMs) -> Result<(), String> {
        let live = self.model.live_holds(self.key);
        let due = |hold: &&HoldId| self.model.hold_view(self.key, **hold).is_some_and(|view| view.expires_at <= time);
        if let Some(hold) = live.iter().find(due) {
            return Err(format!("hold {} was due and alive at {}", Id(hold.0), time.0));
        }
        self.model.advance(time);
        Ok(())
    }

    /// Every place is something, and one thing.
    fn conserve(&self) -> Result<(), String> {
        let valid = || {
            // A seat in two holds stops the model here.
            self.model.assert_valid();
            let seats = self.model.seat_states(self.key);
            let count = |state| seats.iter().filter(|seat| **seat == state).count();
            [PlaceState::Open, PlaceState::Held, PlaceState::Sold, PlaceState::Killed].map(count).iter().sum::<usize>()
        };
        let counted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(valid))
            .map_err(|_| "a place is in two hands (the model says above which)".to_owned())?;
        if counted == self.plan.seat_count() as usize {
            Ok(())
        } else {
            Err(format!("{counted} of {} seats are something", self.plan.seat_count()))
        }
    }

    // Answers.

    fn answer(&mut self, position: u64, at: usize) -> Result<(), String> {
        let history = self.history;
        let operation = &history.operations[at];
        let Outcome::Answered { server_time_ms, told, .. } = &operation.outcome else { return Ok(()) };
        let here = |what: String| format!("at position {position}: {what}");
        if let Told::Map { .. } = told {
            let ours = self.map();
            if *told != ours {
                return Err(here(format!("the model has {ours:?}, and told was {operation}")));
            }
        } else {
            let judged_at = TimestampMs(*server_time_ms);
            self.pass_to(judged_at).map_err(here)?;
            let command = match &operation.call {
                Call::GetHold { hold } => Command::GetHold(HoldId(hold.0)),
                call => command_of(call).ok_or("a map is no command")?,
            };
            let says = self.model.execute(judged_at, self.key, &command);
            if matches!(says, Ok(Answer::Hold { replayed: false, .. })) && !operation.call.is_read() {
                return Err(here(format!("the model does what was told to be refused or done before: {operation}")));
            }
            self.compare(operation, &says).map_err(here)?;
        }
        self.checked.answers += 1;
        Ok(())
    }

    fn map(&self) -> Told {
        let states = self.model.seat_states(self.key);
        let (held, sold, _) = self.model.area_counts(self.key).first().copied().unwrap_or_default();
        let open = self.plan.areas().first().map_or(0, |area| area.capacity) - held - sold;
        Told::Map { seats: states.iter().map(|state| letter(*state)).collect(), floor: (open, held, sold) }
    }

    /// What was told is what the model says.
    fn compare(&self, operation: &Operation, says: &Result<Answer, Reject>) -> Result<(), String> {
        let Outcome::Answered { told, .. } = &operation.outcome else { return Ok(()) };
        let says_told = told_of(&operation.call, says)?;
        if says_told == without_what_is_open(told.clone()) {
            Ok(())
        } else {
            Err(format!("the model says {says_told:?} to {operation}"))
        }
    }

    // Effects and time.

    /// P4.
    fn check_effects(&mut self) -> Result<(), String> {
        for operation in &self.history.operations {
            let Some(wish) = Wish::of(&operation.call) else { continue };
            let made_at = self.came_true.get(&wish).copied();
            match &operation.outcome {
                Outcome::Unknown { .. } if made_at.is_some() => self.checked.unknown_done += 1,
                Outcome::Unknown { .. } => self.checked.unknown_not_done += 1,
                Outcome::NotDone { .. } => self.refuse_effect(operation, &wish, made_at)?,
                Outcome::Answered { position, told, .. } if told.is_done() => {
                    // A hold may have ended so by another command: parts of it one by one, or a replacement.
                    let by_another = matches!(wish, Wish::Confirm(_, _, None) | Wish::Release(_, None));
                    let by_another = by_another && !told.is_own_change();
                    if !by_another && made_at.is_none_or(|made_at| made_at > *position) {
                        return Err(format!("done, and the log has it at {made_at:?}: {operation}"));
                    }
                }
                Outcome::Answered { .. } => self.refuse_effect(operation, &wish, made_at)?,
            }
        }
        Ok(())
    }

    /// What was not done has no change, unless somebody else asked for the very same.
    fn refuse_effect(&self, operation: &Operation, wish: &Wish, made_at: Option<u64>) -> Result<(), String> {
        let may_have = |at: &usize| match &self.history.operations[*at].outcome {
            Outcome::Unknown { .. } => true,
            Outcome::NotDone { .. } => false,
            Outcome::Answered { told, .. } => told.is_done(),
        };
        match made_at {
            Some(position) if !self.wishes.get(wish).is_some_and(|asked| asked.iter().any(may_have)) => {
                Err(format!("not done, and the log has it at position {position}: {operation}"))
            }
            _ => Ok(()),
        }
    }

    /// P5.
    fn check_real_time(&self) -> Result<(), String> {
        let operations = &self.history.operations;
        let told_at = |operation: &Operation| match &operation.outcome {
            Outcome::Answered { position, .. } => Some(*position),
            Outcome::NotDone { .. } | Outcome::Unknown { .. } => None,
        };
        let mut by_end: Vec<usize> = (0..operations.len()).filter(|&at| told_at(&operations[at]).is_some()).collect();
        by_end.sort_by_key(|&at| operations[at].ended_ns);
        let mut by_start: Vec<usize> = (0..operations.len()).collect();
        by_start.sort_by_key(|&at| operations[at].asked_ns);
        let mut ended = by_end.into_iter().peekable();
        // The greatest position told before, and to whom.
        let mut before: Option<(u64, usize)> = None;
        // An effect belongs to the first who asked for it.
        let mut seen: BTreeSet<Wish> = BTreeSet::new();
        for at in by_start {
            let operation = &operations[at];
            while let Some(earlier) = ended.next_if(|&earlier| operations[earlier].ended_ns < operation.asked_ns) {
                let position = told_at(&operations[earlier]).unwrap_or(0);
                if before.is_none_or(|(greatest, _)| position > greatest) {
                    before = Some((position, earlier));
                }
            }
            let is_first = Wish::of(&operation.call).filter(|wish| seen.insert(wish.clone()));
            let Some((greatest, who)) = before else { continue };
            let who = &operations[who];
            if told_at(operation).is_some_and(|position| position < greatest) {
                return Err(format!("time runs backwards: {who} had ended before this was asked: {operation}"));
            }
            if let Some(wish) = is_first
                && let Some(made_at) = self.came_true.get(&wish)
                && *made_at <= greatest
            {
                return Err(format!("it took effect at position {made_at}, before it was asked ({who}): {operation}"));
            }
        }
        Ok(())
    }
}

// Commands and answers, both ways.

fn command_of(call: &Call) -> Option<Command> {
    let hold_id = |id: &Id| HoldId(id.0);
    Some(match call {
        Call::Hold { hold, seats, floor, floor_min, best, replace, ttl_ms } => Command::Hold(Box::new(Hold {
            allocations: Default::default(),
            hold_id: hold_id(hold),
            seats: seats.clone().into(),
            seat_keys: Vec::new(),
            admissions: (*floor > 0)
                .then(|| AdmissionWanted {
                    area: AreaName::Index(0),
                    quantity: small(*floor),
                    quantity_min: small(*floor_min),
                    ticket_type: 0,
                })
                .into_iter()
                .collect(),
            best: (*best > 0).then(|| BestAvailable {
                quantity: small(*best),
                contiguous_only: true,
                ..BestAvailable::default()
            }),
            ticket_types: Vec::new(),
            customer: CustomerKey::NONE,
            ttl_ms: u32::try_from(*ttl_ms).unwrap_or(u32::MAX),
            replace: replace.as_ref().map(hold_id),
            plan_revision: 0,
        })),
        Call::Confirm { hold, order, part, release_rest } => Command::Confirm(Box::new(Confirm {
            hold_id: hold_id(hold),
            request_id: part.as_ref().map(|part| RequestId(part.request.0)),
            order: OrderRef::parse(order)?,
            part: part_of(part.as_ref()),
            remainder: if *release_rest { Remainder::Release } else { Remainder::Keep },
            allow_reclaim: false,
            attempt_id: None,
        })),
        Call::Release { hold, part } => Command::Release(Box::new(Release {
            hold_id: hold_id(hold),
            request_id: part.as_ref().map(|part| RequestId(part.request.0)),
            part: part_of(part.as_ref()),
            abort_payment: false,
        })),
        Call::Extend { hold, request, ttl_ms } => Command::Extend(Extend {
            hold_id: hold_id(hold),
            request_id: RequestId(request.0),
            ttl_ms: u32::try_from(*ttl_ms).unwrap_or(u32::MAX),
        }),
        Call::GetHold { .. } | Call::SeatMap => return None,
    })
}

fn part_of(part: Option<&Part>) -> CommandPart {
    let Some(Part { seats, floor, .. }) = part else { return CommandPart::default() };
    let admissions = (*floor > 0).then(|| Admission { source: 0, area: 0, ticket_type: 0, quantity: small(*floor) });
    CommandPart { seats: seats.clone().into(), admissions: admissions.into_iter().collect(), ..CommandPart::default() }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// What a client would be told of what the model says.
fn told_of(call: &Call, says: &Result<Answer, Reject>) -> Result<Told, String> {
    let view = match says {
        Err(reject) => return refused_of(reject),
        Ok(Answer::Event { .. }) => return Err("the model answers with an event".to_owned()),
        Ok(Answer::Hold { view, .. }) => view,
        Ok(other) => return Err(format!("the model answers {other:?}, which no trial asks for")),
    };
    let replayed = matches!(says, Ok(Answer::Hold { replayed: true, .. }));
    let indexes = |seats: &[inventory_core::place::Seat]| seats.iter().map(|seat| seat.index).collect::<Vec<_>>();
    let count = |admissions: &[Admission]| admissions.iter().map(|one| u32::from(one.quantity)).sum::<u32>();
    let live = matches!(view.state, HoldState::Active | HoldState::Paying);
    Ok(match call {
        Call::Hold { .. } => Told::Held {
            seats: indexes(&view.seats),
            floor: count(&view.admissions),
            expires_at_ms: view.expires_at.0,
            arrangement: arrangement_number(view.arrangement),
            replayed,
        },
        Call::Confirm { .. } => {
            Told::Confirmed { seats: indexes(&view.sold_seats), floor: count(&view.sold_admissions), replayed }
        }
        Call::Release { .. } => Told::Released { replayed },
        Call::Extend { .. } => Told::Extended { expires_at_ms: if live { view.expires_at.0 } else { 0 }, replayed },
        Call::GetHold { .. } => Told::Hold(HoldTold {
            phase: match view.state {
                HoldState::Active | HoldState::Paying => Phase::Active,
                HoldState::Confirmed => Phase::Confirmed,
                HoldState::Released => Phase::Released,
                HoldState::Expired => Phase::Expired,
            },
            seats: indexes(&view.seats),
            floor: count(&view.admissions),
            sold_seats: indexes(&view.sold_seats),
            sold_floor: count(&view.sold_admissions),
            created_at_ms: view.created_at.0,
            expires_at_ms: if live { view.expires_at.0 } else { 0 },
            ended_at_ms: view.ended_at.0,
            renewals_left: if live { view.renewals_left } else { 0 },
            orders: view.orders.iter().map(|order| order.as_str().to_owned()).collect(),
            cause: i32::from(view.cause as u8),
        }),
        Call::SeatMap => return Err("a map is no command".to_owned()),
    })
}

/// Of an ended hold the contract names state, cause, end, orders and what is sold.
fn without_what_is_open(mut told: Told) -> Told {
    if let Told::Hold(hold) = &mut told
        && hold.phase != Phase::Active
    {
        (hold.expires_at_ms, hold.renewals_left) = (0, 0);
    }
    told
}

/// As on the wire.
fn arrangement_number(arrangement: inventory_core::best_available::Arrangement) -> i32 {
    use inventory_core::best_available::Arrangement;
    match arrangement {
        Arrangement::None => 0,
        Arrangement::Contiguous => 1,
        Arrangement::Stranding => 2,
        Arrangement::Split => 3,
        Arrangement::General => 4,
    }
}

/// The refusals that commands of these trials can earn.
fn refused_of(reject: &Reject) -> Result<Told, String> {
    let (reason, held_unpaid) = match reject {
        Reject::PlacesUnavailable { .. } => ("PLACES_UNAVAILABLE", 0),
        Reject::NotEnoughPlaces { held_unpaid, .. } => ("NOT_ENOUGH_PLACES", *held_unpaid),
        Reject::SoldOut { .. } => ("SOLD_OUT", 0),
        Reject::HoldNotFound => ("HOLD_NOT_FOUND", 0),
        Reject::HoldExpired { .. } => ("HOLD_EXPIRED", 0),
        Reject::HoldReleased { .. } => ("HOLD_RELEASED", 0),
        Reject::HoldAlreadyConfirmed { .. } => ("HOLD_ALREADY_CONFIRMED", 0),
        Reject::RenewalCap => ("RENEWAL_CAP", 0),
        Reject::RequestIdTooOld => ("REQUEST_ID_TOO_OLD", 0),
        Reject::HoldIdTooOld { .. } => ("HOLD_ID_TOO_OLD", 0),
        other => return Err(format!("the model says {other:?}, which no command of a trial can earn")),
    };
    let seats = match reject {
        Reject::PlacesUnavailable { places } => places
            .iter()
            .filter_map(|way| match way.place {
                Moved::Seat(seat) => Some((seat, letter(way.state))),
                Moved::Area { .. } => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    Ok(Told::Refused { reason: reason.to_owned(), executed: reject.executed(), seats, held_unpaid })
}

fn letter(state: PlaceState) -> char {
    match state {
        PlaceState::Open => '.',
        PlaceState::Held => 'h',
        PlaceState::Sold => 'S',
        PlaceState::Killed => '?',
    }
}
