//! A sale in the middle: events with live holds and with seats still open, in the slots that a shard would have.
//!
//! Places of an event come in pairs of neighbours: pair `p` is the seats `2 p` and `2 p + 1`. The first pairs are
//! held when a sale begins, by the hold that has the pair's number, the others are open. [`Sale::begin_again`]
//! makes all of it as it was, from an image, so that a measurement may use it up as often as it likes.
//!
//! Not here: the log, views and answers (`partition.rs`).

use inventory_core::{
    ahead::STEPS,
    change::{Change, EventCreated},
    codec,
    command::Command,
    ids::{CustomerKey, EventId, EventKey, HoldId, PlanDigest, RequestId, SlotIndex, TimestampMs},
    image,
    place::Move,
    policy::{Policies, Settings},
    reject::Reject,
    slot::{Decision, Slot, SlotConfig},
};

use crate::{arena, arena::OnePlan, asked, seeded::scattered};

/// When holds begin to be made.
pub const START: TimestampMs = TimestampMs(1_790_000_000_000);
/// The live holds are made in this time; it is over when a sale begins.
const FILLING_MS: u64 = 60_000;
/// Holds of one customer: under the limit that the events have.
const HOLDS_PER_CUSTOMER: u64 = 2;
const CONFIG: SlotConfig = SlotConfig { seed: 1, tombstones_max: u32::MAX };

/// How large a sale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Events.
    pub events: u32,
    /// Pairs of each that are held when it begins.
    pub held_pairs: u32,
    /// Pairs of each that are open.
    pub open_pairs: u32,
    /// Admissions of each beside the seats; 0: no area.
    pub admissions: u32,
}

impl Size {
    /// Held pairs of all events together.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.events * self.held_pairs
    }

    /// Open pairs of all events together.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.events * self.open_pairs
    }

    fn pairs(&self) -> u32 {
        self.held_pairs + self.open_pairs
    }
}

/// A pair of seats, and the hold that has or will have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its event.
    pub event: u32,
    /// Its number there.
    pub number: u32,
}

/// Events and their holds.
pub struct Sale {
    size: Size,
    plans: OnePlan,
    keys: Vec<EventKey>,
    slots: Vec<Slot>,
    /// Of the slots that have events, when the sale begins.
    images: Vec<(SlotIndex, Vec<u8>)>,
    now: TimestampMs,
    /// What a turn of a shard keeps from command to command.
    moves: Vec<Move>,
    records: Vec<u8>,
    /// Events that this turn changed, and for each the last turn that did.
    touched: Vec<u32>,
    touched_in: Vec<u64>,
    turns: u64,
    digest: u64,
}

impl Sale {
    /// A sale of this size, at its beginning.
    #[must_use]
    pub fn new(size: Size) -> Sale {
        let empty = (0..=u8::MAX).map(|index| Slot::new(SlotIndex(index), CONFIG)).collect();
        let mut sale = Sale {
            size,
            plans: OnePlan(arena::plan(size.pairs() * 2, 40, size.admissions)),
            keys: (0..size.events).map(|event| EventKey(scattered(u64::from(event)))).collect(),
            slots: empty,
            images: Vec::new(),
            now: START,
            moves: Vec::new(),
            records: Vec::new(),
            touched: Vec::new(),
            touched_in: vec![0; size.events as usize],
            turns: 0,
            digest: 0,
        };
        (0..size.events).for_each(|event| sale.create(event));
        for number in 0..size.held_pairs {
            sale.now = START.plus_ms(FILLING_MS * u64::from(number) / u64::from(size.held_pairs));
            for event in 0..size.events {
                let command = sale.hold(Pair { event, number });
                sale.run(event, &command);
            }
        }
        sale.now = START.plus_ms(FILLING_MS);
        for slot in sale.slots.iter().filter(|slot| !slot.is_empty()) {
            let mut bytes = Vec::new();
            image::encode_slot(slot, &mut bytes);
            sale.images.push((slot.index(), bytes));
        }
        sale
    }

    /// Everything as it was when the sale began.
    pub fn begin_again(&mut self) {
        self.now = START.plus_ms(FILLING_MS);
        self.records.clear();
        self.moves.clear();
        for (index, bytes) in &self.images {
            let slot = &mut self.slots[usize::from(index.0)];
            // Freed before its like is made: the new one gets the same memory.
            *slot = Slot::new(*index, CONFIG);
            *slot = image::decode_slot(bytes, *index, CONFIG, &self.plans).expect("the image was just written");
        }
    }

    fn create(&mut self, event: u32) {
        let key = self.keys[event as usize];
        // Limits are looked up for every hold, and not reached.
        let policies = Policies { places_per_customer_max: 10, holds_per_customer_max: 5, ..Policies::default() };
        let created = EventCreated {
            id: EventId::parse(&format!("event-{event}")).expect("it is an id"),
            key,
            plan: PlanDigest([0; 32]),
            fingerprint: 0,
            settings: Settings { policies, ..Settings::default() },
        };
        let slot = &mut self.slots[usize::from(key.slot().0)];
        let number = slot.next_event_number();
        slot.apply(START, number, &Change::EventCreated(Box::new(created)), &self.plans, None);
    }

    /// How large it was made.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The `nth` pair that is held when the sale begins: event by event in turn.
    #[must_use]
    pub fn held_pair(&self, nth: u32) -> Pair {
        Pair { event: nth % self.size.events, number: nth / self.size.events }
    }

    /// The `nth` pair that is open when the sale begins.
    #[must_use]
    pub fn open_pair(&self, nth: u32) -> Pair {
        Pair { event: nth % self.size.events, number: self.size.held_pairs + nth / self.size.events }
    }

    /// A number that no other pair of any event has.
    fn number_of(&self, pair: Pair) -> u64 {
        u64::from(pair.event) * u64::from(self.size.pairs()) + u64::from(pair.number)
    }

    /// The id of the hold of a pair.
    #[must_use]
    pub fn hold_id(&self, pair: Pair) -> HoldId {
        asked::hold_id(START, self.number_of(pair))
    }

    /// Who holds a pair.
    #[must_use]
    pub fn customer(&self, pair: Pair) -> CustomerKey {
        CustomerKey(scattered(self.number_of(pair) / HOLDS_PER_CUSTOMER) | 1)
    }

    /// The hold of a pair.
    #[must_use]
    pub fn hold(&self, pair: Pair) -> Command {
        let seats = vec![pair.number * 2, pair.number * 2 + 1];
        asked::hold_seats(self.hold_id(pair), self.customer(pair), seats)
    }

    /// Another customer's hold of a pair.
    #[must_use]
    pub fn hold_of_another(&self, pair: Pair) -> Command {
        let seats = vec![pair.number * 2, pair.number * 2 + 1];
        let number = self.number_of(pair) | 1 << 40;
        asked::hold_seats(asked::hold_id(self.now, number), CustomerKey(scattered(number) | 1), seats)
    }

    /// Two admissions instead of a pair.
    #[must_use]
    pub fn hold_admissions(&self, pair: Pair) -> Command {
        asked::hold_admissions(self.hold_id(pair), self.customer(pair), 2)
    }

    /// The hold of a pair is sold.
    #[must_use]
    pub fn confirm(&self, pair: Pair) -> Command {
        asked::confirm(self.hold_id(pair))
    }

    /// The hold of a pair is given back.
    #[must_use]
    pub fn release(&self, pair: Pair) -> Command {
        asked::release(self.hold_id(pair))
    }

    /// The hold of a pair gets more time.
    #[must_use]
    pub fn extend(&self, pair: Pair) -> Command {
        asked::extend(self.hold_id(pair), RequestId(asked::uuid(self.now, self.number_of(pair))))
    }

    /// The hold of a pair is read.
    #[must_use]
    pub fn get_hold(&self, pair: Pair) -> Command {
        Command::GetHold(self.hold_id(pair))
    }

    /// What a command would do. The event is found by its key, as in a shard.
    ///
    /// # Errors
    /// The refusal.
    pub fn decide(&self, event: u32, command: &Command) -> Result<Decision, Reject> {
        let key = self.keys[event as usize];
        self.slots[usize::from(key.slot().0)].decide(self.now, key, command)
    }

    /// Looks ahead at commands that come next, as a shard does. At most 16.
    pub fn look_ahead(&self, commands: &[(u32, &Command)]) {
        let mut ahead: [_; 16] = std::array::from_fn(|at| {
            let &(event, command) = commands.get(at)?;
            let key = self.keys[event as usize];
            let slot = &self.slots[usize::from(key.slot().0)];
            Some((slot, slot.look_ahead(key, command)?))
        });
        for step in 1..STEPS {
            ahead.iter_mut().flatten().for_each(|(slot, ahead)| slot.look_on(ahead, step));
        }
    }

    /// Decides and applies a command that changes something.
    pub fn run(&mut self, event: u32, command: &Command) {
        let key = self.keys[event as usize];
        let slot = &mut self.slots[usize::from(key.slot().0)];
        match slot.decide(self.now, key, command) {
            Ok(Decision::Change(number, change)) => {
                slot.apply(self.now, number, &change, &self.plans, Some(&mut self.moves));
            }
            other => panic!("{command:?} changes something, and not {other:?}"),
        }
        self.moves.clear();
    }

    /// What a shard does with a command that changes something, but for the answer: decide, apply, encode into the
    /// records of the turn.
    pub fn run_and_encode(&mut self, event: u32, command: &Command) {
        let key = self.keys[event as usize];
        let slot = &mut self.slots[usize::from(key.slot().0)];
        match slot.decide(self.now, key, command) {
            Ok(Decision::Change(number, change)) => {
                let applied = slot.apply(self.now, number, &change, &self.plans, Some(&mut self.moves));
                codec::encode_change(number, applied.event_seq, applied.digest, &change, &mut self.records);
            }
            other => panic!("{command:?} changes something, and not {other:?}"),
        }
        let last = &mut self.touched_in[event as usize];
        if *last <= self.turns {
            *last = self.turns + 1;
            self.touched.push(event);
        }
    }

    /// What ends a turn: the digest of every event that it changed. Time goes on by a millisecond.
    pub fn end_turn(&mut self) -> u64 {
        for event in self.touched.drain(..) {
            let key = self.keys[event as usize];
            let slot = &self.slots[usize::from(key.slot().0)];
            let number = slot.find(key).expect("it was just changed");
            self.digest ^= slot.event(number).expect("it was just found").slot_hash();
        }
        self.turns += 1;
        self.now = self.now.plus_ms(1);
        self.moves.clear();
        self.records.clear();
        self.digest
    }

    /// Ends every hold that is due at the end of time. How many.
    pub fn expire_all(&mut self) -> u64 {
        let mut ended = 0;
        let now = self.now.plus_ms(7_200_000);
        for (index, _) in &self.images {
            let slot = &mut self.slots[usize::from(index.0)];
            while let Some((number, change)) = slot.decide_due(now) {
                if let Change::Expired(holds) = &change {
                    ended += holds.len() as u64;
                }
                slot.apply(now, number, &change, &self.plans, Some(&mut self.moves));
                self.moves.clear();
            }
        }
        ended
    }

    /// Makes time go on.
    pub fn advance_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    /// The slots, for images.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The plan of all events.
    #[must_use]
    pub fn plans(&self) -> &OnePlan {
        &self.plans
    }

    /// Fails when a slot contradicts itself.
    pub fn assert_valid(&self) {
        self.slots.iter().for_each(Slot::assert_valid);
    }
}
