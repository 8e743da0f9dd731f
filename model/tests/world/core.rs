//! The core behind the same two calls as the model: `execute` and `advance`. Every change is kept,
//! to be replayed into an empty slot.

use std::{collections::BTreeMap, sync::Arc};

use inventory_core::{
    cart::CartStep,
    change::{Change, Held, HoldState, HoldView, Record, Rested, ResumeCause},
    codec,
    command::Command,
    giving_back::Take,
    ids::{EventKey, EventNumber, HoldId, PlanDigest, SlotIndex, TimestampMs},
    image,
    order::List,
    place::{Admission, Move, Moved, PlaceState},
    plan::Plan,
    reject::Reject,
    retire::{Image, RetireEvent},
    slot::{Decision, Plans, Slot, SlotConfig},
};
use model::{Answer, Grant, normal};

/// Plans by digest.
#[derive(Default)]
pub struct Library(pub BTreeMap<PlanDigest, Arc<Plan>>);

impl Plans for Library {
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0[digest])
    }
}

/// States of places as they follow from the moves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    pub seats: Vec<PlaceState>,
    /// As the public sees them.
    pub public_seats: Vec<PlaceState>,
    /// Held, sold, and killed or set aside: as the public sees them.
    pub public_areas: Vec<(u32, u32, u32)>,
}

/// A floor that was raised because the memory of ended holds was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    pub key: EventKey,
    pub floor: TimestampMs,
    /// Holds that ever were paying are forgotten too.
    pub also_paid: bool,
    /// Ended holds that were remembered before.
    pub tombstones: u32,
}

pub struct Core {
    pub slot: Slot,
    pub library: Library,
    pub log: Vec<(TimestampMs, Record)>,
    pub shadows: BTreeMap<EventNumber, Shadow>,
    woke_at_once: Vec<(EventKey, Rested)>,
    config: SlotConfig,
    /// A slot that went through an image some time ago and was given everything since: it must judge as the other.
    twin: Option<Slot>,
    /// Parts of carts that asked their first events since they were taken.
    asking: Vec<(EventKey, HoldId)>,
}

impl Core {
    pub fn new(slot: SlotIndex, tombstones_max: u32, seed: u64) -> Self {
        let config = SlotConfig { seed, tombstones_max };
        Self {
            slot: Slot::new(slot, config),
            library: Library::default(),
            log: Vec::new(),
            shadows: BTreeMap::new(),
            woke_at_once: Vec::new(),
            config,
            twin: None,
            asking: Vec::new(),
        }
    }

    pub fn execute(&mut self, now: TimestampMs, key: EventKey, command: &Command) -> Result<Answer, Reject> {
        match command {
            Command::CreateEvent(create) => self.learn(&create.plan),
            Command::UpdateEvent(update) => update.plan.iter().for_each(|plan| self.learn(plan)),
            Command::SetPriceLevel(set) => set.plan.iter().for_each(|plan| self.learn(plan)),
            _ => {}
        }
        if let Command::List(list) = command {
            return self.list(now, key, *list);
        }
        if matches!(command, Command::GetOrder(_)) {
            // With the index and, after an image, without it: the answers are compared below.
            self.slot.index_orders();
        }
        let archived = self.archived(key, command);
        let command = archived.as_ref().unwrap_or(command);
        let decision = self.slot.decide(now, key, command);
        if let Some(twin) = &self.twin {
            let of_twin = twin.decide(now, key, command);
            // Whether something is about to be forgotten is read off a wheel, which knows that to a bucket: at the
            // very brim of the memory one refuses a hold that the other takes. A refusal is no part of the state.
            let is_full = |one: &Result<Decision, Reject>| matches!(one, Err(Reject::CapacityBudget));
            let at_the_brim = is_full(&of_twin) || is_full(&decision);
            assert!(
                at_the_brim || format!("{of_twin:?}") == format!("{decision:?}"),
                "an image has all that judging needs: {command:?}\nafter an image {of_twin:?}\noriginal {decision:?}"
            );
        }
        match decision? {
            Decision::Hold { view, replayed, .. } => Ok(Answer::Hold { view, replayed }),
            Decision::Event { replayed, .. } => Ok(Answer::Event { replayed }),
            Decision::Image { event, image } => {
                self.assert_image_alone(event, &image);
                Ok(Answer::Event { replayed: false })
            }
            Decision::Suggested { options, .. } => Ok(Answer::Suggested { options }),
            Decision::Explained { outcome, left_alone, .. } => {
                let grant = |held: Held| Grant {
                    seats: held.seats,
                    admissions: held.admissions,
                    arrangement: held.arrangement,
                };
                Ok(Answer::Explained { outcome: outcome.map(grant), left_alone })
            }
            Decision::Touched { touched, replayed, .. } => Ok(Answer::Touched { touched, replayed }),
            Decision::Allocations { allocations, .. } => Ok(Answer::Allocations { allocations }),
            Decision::Order { parts, .. } => Ok(Answer::Order { parts }),
            Decision::Verdict { verdict, .. } => Ok(Answer::Verdict { verdict }),
            Decision::Page { .. } => panic!("only a list has pages"),
            Decision::Change(number, change) => {
                let touched = self.slot.touched_by(number, &change);
                self.apply(now, number, change);
                if let Some(touched) = touched {
                    return Ok(Answer::Touched { touched, replayed: false });
                }
                let hold_id = match command {
                    Command::SellDirect(sell) => HoldId(sell.request_id.0),
                    Command::Exchange(exchange) => match exchange.take {
                        Take::Places(_) => HoldId(exchange.request_id.0),
                        Take::Hold(hold_id) => hold_id,
                    },
                    Command::ReturnPlaces(_)
                    | Command::Kill(_)
                    | Command::Unkill(_)
                    | Command::SetAllocation(_)
                    | Command::SetPriceLevel(_)
                    | Command::RemoveAllocation(_) => panic!("it touches places"),
                    Command::HoldMany(many) => many.cart_id,
                    Command::ConfirmMany(_) | Command::ReleaseMany(_) => panic!("they change nothing by themselves"),
                    Command::Cart(step) => match self.part_after(number, step) {
                        Some(part) => part,
                        None => return Ok(Answer::Event { replayed: false }),
                    },
                    Command::Hold(hold) => hold.hold_id,
                    Command::Extend(extend) => extend.hold_id,
                    Command::Confirm(confirm) => confirm.hold_id,
                    Command::Release(release) => release.hold_id,
                    Command::BeginPayment(begin) => begin.hold_id,
                    Command::EndPayment(end) => end.hold_id,
                    Command::GetHold(_)
                    | Command::GetOrder(_)
                    | Command::List(_)
                    | Command::ListAllocations
                    | Command::Suggest(_)
                    | Command::Explain(_) => panic!("a read changes nothing"),
                    Command::CreateEvent(_) | Command::UpdateEvent(_) | Command::RetireEvent(_) => {
                        return Ok(Answer::Event { replayed: false });
                    }
                };
                let view = self.slot.hold_view(number, hold_id).expect("a hold just changed is known");
                Ok(Answer::Hold { view, replayed: false })
            }
        }
    }

    /// The same command with the number that the image would be archived at, when it says that it was archived.
    fn archived(&self, key: EventKey, command: &Command) -> Option<Command> {
        let Command::RetireEvent(retire) = command else { return None };
        let event = self.slot.find(key).and_then(|number| self.slot.event(number))?;
        let archived_seq = retire.archived_seq.map(|_| event.seq());
        Some(Command::RetireEvent(RetireEvent { archived_seq, ..retire.clone() }))
    }

    /// The image of an event alone is a slot that has it and nothing else, to the last byte.
    fn assert_image_alone(&self, number: EventNumber, image: &Image) {
        let alone = image::decode_slot(&image.bytes, self.slot.index(), self.config, &self.library);
        let alone = alone.expect("the image of one event decodes");
        alone.assert_valid();
        let event = self.slot.event(number).expect("it has an image");
        assert_eq!((alone.event_count(), alone.hash()), (1, event.slot_hash()), "it is this event");
        assert_eq!((image.event_seq, image.plan), (event.seq(), event.plan().digest()));
        assert_eq!(image_of(&alone), image.bytes, "one state has one image");
    }

    /// The part that a step changed; nothing when it let it go.
    fn part_after(&self, number: EventNumber, step: &CartStep) -> Option<HoldId> {
        let id = match step {
            CartStep::Prepare(prepare) => prepare.hold.hold_id,
            CartStep::Decide { cart_id, .. } => *cart_id,
            CartStep::Apply { part, .. } => part.cart_id,
            CartStep::Settle(_) => return None,
            CartStep::AskPart(_) | CartStep::AskFirst { .. } => panic!("a question changes nothing"),
        };
        self.slot.hold_view(number, id).map(|_| id)
    }

    /// All pages of a list, one by one. Their order is another after an image.
    fn list(&self, now: TimestampMs, key: EventKey, list: List) -> Result<Answer, Reject> {
        let all = normal(all_pages(&self.slot, now, key, list));
        if let Some(twin) = &self.twin {
            assert_eq!(normal(all_pages(twin, now, key, list)), all, "an image has all that is listed: {list:?}");
        }
        all
    }

    /// Expire holds, end payments and wake what rests, all that is due. Tells what woke.
    pub fn advance(&mut self, now: TimestampMs) -> Vec<(EventKey, Rested)> {
        let mut woke = Vec::new();
        while let Some((number, change)) = self.slot.decide_due(now) {
            // Holds due together may end in another order after an image: the order is in the log.
            if let Some(twin) = &mut self.twin {
                assert!(twin.decide_due(now).is_some(), "what is due is due after an image too");
            }
            if let Change::Rested(rested) = &change {
                woke.push((self.slot.event(number).expect("it has a number").key(), rested.clone()));
            }
            self.apply(now, number, change);
        }
        if let Some(twin) = &mut self.twin {
            assert!(twin.decide_due(now).is_none(), "nothing else is due after an image");
            // It asks from its image on: at other times than the other.
            twin.take_due_parts(now);
        }
        let due = self.slot.take_due_parts(now);
        self.asking.extend(due.iter().map(|due| (due.event, due.part.cart_id)));
        woke.extend(self.take_woke_at_once());
        woke
    }

    /// Places of holds that expired since the last call and rest for no time at all.
    pub fn take_woke_at_once(&mut self) -> Vec<(EventKey, Rested)> {
        std::mem::take(&mut self.woke_at_once)
    }

    /// Admissions of the holds that a change ends by time, in an event whose places rest then.
    fn may_wake_at_once(&self, number: EventNumber, change: &Change) -> Option<Vec<Admission>> {
        let ended = match change {
            Change::Expired(ids) => ids.clone(),
            Change::CartReleased(part) if part.cause.ends().0 == HoldState::Expired => vec![part.cart_id],
            _ => return None,
        };
        let rests = self.slot.event(number)?.settings().policies.cooling_s_max > 0;
        let views = ended.iter().filter_map(|&id| self.slot.hold_view(number, id));
        rests.then(|| views.flat_map(|view| view.admissions).collect())
    }

    /// Parts of carts that have asked their first events.
    pub fn take_asking(&mut self) -> Vec<(EventKey, HoldId)> {
        std::mem::take(&mut self.asking)
    }

    /// Raise floors while the memory of ended holds is full.
    pub fn make_room(&mut self, now: TimestampMs) -> Vec<Raised> {
        let mut raised = Vec::new();
        while let Some((number, change)) = self.slot.decide_floor(now) {
            // A hold that gives all back after its memory's time is counted until the next change, but is in no image.
            let counts_the_same = |twin: &&mut Slot| twin.tombstones() == self.slot.tombstones();
            if let Some(twin) = self.twin.as_mut().filter(counts_the_same) {
                let of_twin = twin.decide_floor(now);
                assert_eq!(format!("{of_twin:?}"), format!("{:?}", Some((number, &change))), "the same is forgotten");
            }
            let (floor, also_paid) = match change {
                Change::FloorRaised(floor) => (floor, false),
                Change::PaidForgotten(floor) => (floor, true),
                _ => panic!("{change:?} raises no floor"),
            };
            let key = self.slot.event(number).expect("it has a number").key();
            raised.push(Raised { key, floor, also_paid, tombstones: self.slot.tombstones() });
            self.apply(now, number, change);
        }
        raised
    }

    /// Move all live deadlines.
    pub fn resume(&mut self, now: TimestampMs, shift_ms: u64, cause: ResumeCause) {
        let numbers: Vec<EventNumber> = self.slot.events().map(|event| event.number()).collect();
        for number in numbers {
            if let Some(change) = self.slot.decide_resumed(number, shift_ms, cause) {
                self.apply(now, number, change);
            }
        }
    }

    pub fn hold_view(&self, key: EventKey, id: HoldId) -> Option<HoldView> {
        self.slot.hold_view(self.slot.find(key)?, id)
    }

    pub fn seat_states(&self, key: EventKey) -> Vec<PlaceState> {
        let event = self.slot.find(key).and_then(|number| self.slot.event(number));
        event.map_or_else(Vec::new, |event| (0..event.plan().seat_count()).map(|seat| event.seat_state(seat)).collect())
    }

    pub fn area_counts(&self, key: EventKey) -> Vec<(u32, u32, u32)> {
        let event = self.slot.find(key).and_then(|number| self.slot.event(number));
        event.map_or_else(Vec::new, |event| {
            let counts = |area| {
                let counts = event.area_counts(area);
                (counts.held, counts.sold, counts.killed)
            };
            (0..event.plan().areas().len() as u16).map(counts).collect()
        })
    }

    /// What is, and what the public sees of it; nothing of an event that is not there.
    pub fn shown(&self, key: EventKey) -> Shadow {
        let Some(event) = self.slot.find(key).and_then(|number| self.slot.event(number)) else {
            return Shadow::default();
        };
        let bit = |word: u64, seat: u32| (word >> (seat % 64) & 1) as u8;
        let public_seat = |seat: u32| {
            let (held, sold) = event.public_words(seat as usize / 64);
            PlaceState::from_bits(bit(held, seat) | bit(sold, seat) << 1)
        };
        let public_area = |area| {
            let counts = event.public_area_counts(area);
            (counts.held, counts.sold, counts.killed)
        };
        Shadow {
            seats: self.seat_states(key),
            public_seats: (0..event.plan().seat_count()).map(public_seat).collect(),
            public_areas: (0..event.plan().areas().len() as u16).map(public_area).collect(),
        }
    }

    /// What the moves told so far.
    pub fn shadow(&self, key: EventKey) -> Option<&Shadow> {
        self.shadows.get(&self.slot.find(key)?)
    }

    /// The kept changes, through their bytes, into an empty slot: the state must be the same, as must
    /// every byte of its image.
    pub fn assert_replays(&self) {
        let mut again = Slot::new(self.slot.index(), SlotConfig { seed: !self.config.seed, ..self.config });
        let mut bytes = Vec::new();
        for (now, record) in &self.log {
            bytes.clear();
            codec::encode_record(record, &mut bytes);
            let (decoded, length) = codec::decode_record(&bytes).expect("what was encoded decodes");
            assert_eq!((&decoded, length), (record, bytes.len()), "a record is what its bytes say");
            let applied = again.apply(*now, decoded.event, &decoded.change, &self.library, None);
            assert_eq!((applied.event_seq, applied.digest), (record.event_seq, record.digest), "{:?}", record.change);
        }
        assert_eq!(again.hash(), self.slot.hash(), "replay gives the state");
        assert_eq!(image_of(&again), image_of(&self.slot), "replay gives every byte of it");
        again.assert_valid();
    }

    /// Go on from an image, as after a restart.
    pub fn restart(&mut self) {
        let image = image_of(&self.slot);
        self.config.seed = self.config.seed.wrapping_add(1);
        let slot = image::decode_slot(&image, self.slot.index(), self.config, &self.library);
        let slot = slot.expect("what was encoded decodes");
        assert_eq!(slot.hash(), self.slot.hash(), "an image is the state");
        assert_eq!(image_of(&slot), image, "one state has one image");
        slot.assert_valid();
        self.slot = slot;
    }

    /// From here on a copy that went through an image is given everything too. The last one must have come to
    /// the same state.
    pub fn fork(&mut self) {
        let image = image_of(&self.slot);
        if let Some(twin) = &self.twin {
            twin.assert_valid();
            assert_eq!(twin.hash(), self.slot.hash(), "the same changes lead to the same state");
            assert!(image_of(twin) == image, "and to the same image");
        }
        let config = SlotConfig { seed: self.config.seed.wrapping_mul(3).wrapping_add(1), ..self.config };
        let twin = image::decode_slot(&image, self.slot.index(), config, &self.library);
        self.twin = Some(twin.expect("what was encoded decodes"));
    }

    fn apply(&mut self, now: TimestampMs, number: EventNumber, change: Change) -> Vec<Move> {
        let mut moves = Vec::new();
        let expired = self.may_wake_at_once(number, &change);
        let applied = self.slot.apply(now, number, &change, &self.library, Some(&mut moves));
        if let (Some(expired), Some(event)) = (expired, self.slot.event(number)) {
            let woke = model::woke_at_once(now, &moves, expired).into_iter();
            self.woke_at_once.extend(woke.map(|rested| (event.key(), rested)));
        }
        if let Some(twin) = &mut self.twin {
            assert_eq!(twin.apply(now, number, &change, &self.library, None), applied, "{change:?}");
        }
        // With a new plan indexes have another meaning: whoever follows moves starts again.
        let starts_again = match &change {
            Change::EventCreated(_) => true,
            Change::EventUpdated(updated) => updated.plan.is_some(),
            _ => false,
        };
        if starts_again {
            self.reset_shadow(number);
        } else {
            moves.iter().for_each(|one| self.follow(number, *one));
        }
        let record = Record { event: number, event_seq: applied.event_seq, digest: applied.digest, change };
        self.log.push((now, record));
        moves
    }

    fn follow(&mut self, number: EventNumber, one: Move) {
        let shadow = self.shadows.get_mut(&number).expect("a shadow since its creation");
        match one.what {
            Moved::Seat(seat) => {
                let state = &mut shadow.public_seats[seat as usize];
                assert_eq!(*state, one.from, "a move starts where the seat is");
                *state = one.to;
                shadow.seats[seat as usize] = one.state;
            }
            Moved::Area { area, quantity } => {
                let counts = &mut shadow.public_areas[usize::from(area)];
                let count = |counts: &mut (u32, u32, u32), state, by: i64| {
                    let which = match state {
                        PlaceState::Held => &mut counts.0,
                        PlaceState::Sold => &mut counts.1,
                        PlaceState::Open => return,
                        PlaceState::Killed => &mut counts.2,
                    };
                    *which = u32::try_from(i64::from(*which) + by).expect("never fewer than none");
                };
                count(counts, one.from, -i64::from(quantity));
                count(counts, one.to, i64::from(quantity));
            }
        }
    }

    fn reset_shadow(&mut self, number: EventNumber) {
        let key = self.slot.event(number).expect("it has a number").key();
        let shadow = self.shown(key);
        self.shadows.insert(number, shadow);
    }

    fn learn(&mut self, plan: &Arc<Plan>) {
        self.library.0.insert(plan.digest(), Arc::clone(plan));
    }
}

fn image_of(slot: &Slot) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::encode_slot(slot, &mut bytes);
    bytes
}

/// From the first page to the last, on which each stands once.
fn all_pages(slot: &Slot, now: TimestampMs, key: EventKey, mut list: List) -> Result<Answer, Reject> {
    let (mut holds, mut parts) = (Vec::new(), Vec::new());
    loop {
        let decision = slot.decide(now, key, &Command::List(list))?;
        let Decision::Page { page, .. } = decision else { panic!("a page, not {decision:?}") };
        // A hold with several orders stands on one page with all of them.
        assert!(
            page.holds.len() + page.parts.len() < list.count_max as usize + 64,
            "a page has no more than was asked"
        );
        holds.extend(page.holds);
        parts.extend(page.parts);
        if page.next == 0 {
            return Ok(Answer::Page { holds, parts });
        }
        assert!(page.next > list.from, "the next page is further on");
        list.from = page.next;
    }
}
