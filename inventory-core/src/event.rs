//! One event: its settings, and the state of every place with who holds it.
//!
//! Invariants, all checked by [`crate::slot::Slot::assert_valid`]:
//!
//! - E1. A seat is held if and only if `owner` names a live hold that has it unsold; sold if and
//!   only if `owner` names a hold that has it sold. So no seat is in two holds, or held and sold.
//! - E2. The counters are the number of seats in each state; for each area, open + held + sold +
//!   killed is its capacity.
//! - E3. `hash` is the XOR of what every place, hold and setting adds to it.
//! - E4. `openings` is what the planes say.
//!
//! Not here: which change a command means (`decide.rs`), making changes true (`apply.rs`), the holds
//! themselves (`hold.rs`), where room is (`openings.rs`).

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec, vec::Vec};

use crate::{
    abandoned::Abandoned,
    allocations::Allocations,
    bitmap::Planes,
    command::hash_settings,
    digest::{Hasher, mix},
    giving_back::RETURNED,
    holds::NIL,
    ids::{CustomerKey, EventId, EventKey, EventNumber, RequestId, TimestampMs},
    limits::{ID_AHEAD_MS_MAX, KILL_REASONS_PER_EVENT_MAX, OPS_REQUESTS_PER_EVENT_MAX},
    openings::Openings,
    place::{Move, Moved, PlaceState},
    plan::Plan,
    policy::{EventState, Settings},
    reject::Reject,
    resting::Resting,
    rules::Rules,
    table::{Cell, Table},
};

/// Places of an area that are not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AreaCounts {
    /// In live holds.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Withdrawn by the house.
    pub killed: u32,
}

impl AreaCounts {
    /// Places taken in any way.
    #[must_use]
    pub const fn taken(self) -> u32 {
        self.held + self.sold + self.killed
    }

    /// What the public is told of admissions that are not open: what becomes open first stands for all. More than there
    /// are count as sold.
    #[must_use]
    pub const fn state_of_taken(self) -> PlaceState {
        match (self.held, self.sold, self.killed) {
            (0, 0, 1..) => PlaceState::Killed,
            (0, ..) => PlaceState::Sold,
            _ => PlaceState::Held,
        }
    }
}

/// Places of an event by state; together its capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// May be held.
    pub open: u32,
    /// In live holds.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Withdrawn by the house.
    pub killed: u32,
}

/// What one customer has.
#[derive(Clone, Copy, Debug)]
struct Customer {
    key: CustomerKey,
    /// Held and sold.
    places: u32,
    /// Live.
    holds: u32,
}

impl Cell for Customer {
    const FREE: Customer = Customer { key: CustomerKey::NONE, places: 0, holds: 0 };

    fn is_free(&self) -> bool {
        !self.key.is_some()
    }
}

/// A request of an ops command, remembered by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpsRequest {
    pub(crate) fingerprint: u64,
    /// When it may be forgotten: by the window as it was when the request was done.
    pub(crate) until: TimestampMs,
}

/// Requests are forgotten when there are twice as many as there were after the last time, and at least so many.
const FORGETTING_MIN: usize = 256;

/// One dated performance whose places are sold.
#[derive(Debug)]
pub struct Event {
    pub(crate) number: EventNumber,
    pub(crate) id: EventId,
    pub(crate) key: EventKey,
    /// Fingerprint of the creation content.
    pub(crate) fingerprint: u64,
    pub(crate) settings: Settings,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_revision: u32,
    pub(crate) planes: Planes,
    pub(crate) openings: Openings,
    /// Hold entry of each seat that is held or sold; `NIL` else.
    pub(crate) owner: Box<[u32]>,
    pub(crate) areas: Vec<AreaCounts>,
    pub(crate) seats: Counts,
    /// What is set aside; nothing until the first allocation is made.
    pub(crate) allocations: Option<Box<Allocations>>,
    /// Limits by price level and shared quotas; nothing when there are none.
    pub(crate) rules: Option<Box<Rules>>,
    /// Holds that expired unpaid.
    pub(crate) abandoned: Abandoned,
    /// Places of expired holds that come back later.
    pub(crate) resting: Resting,
    customers: Table<Customer>,
    customer_seed: u64,
    pub(crate) live_holds: u32,
    pub(crate) tombstones: u32,
    /// Ids at or below this time are forgotten.
    pub(crate) id_floor: TimestampMs,
    /// Some may be past their time: whoever looks asks for that.
    pub(crate) ops_requests: BTreeMap<RequestId, OpsRequest>,
    /// How many there may be before those past their time go.
    ops_requests_max: usize,
    /// Why places were killed. The owner of a killed seat is the number of its reason.
    pub(crate) kill_reasons: Vec<Box<str>>,
    pub(crate) seq: u32,
    pub(crate) hash: u64,
}

impl Event {
    #[expect(clippy::too_many_arguments, reason = "the fields of one struct, made in one place")]
    pub(crate) fn new(
        number: EventNumber,
        id: EventId,
        key: EventKey,
        fingerprint: u64,
        settings: Settings,
        plan: Arc<Plan>,
        plan_revision: u32,
        seed: u64,
    ) -> Self {
        let seat_count = plan.seat_count();
        let planes = Planes::open(seat_count);
        let mut event = Self {
            number,
            id,
            key,
            fingerprint,
            settings,
            plan_revision,
            openings: Openings::new(&plan, |_| u64::MAX),
            planes,
            owner: vec![NIL; seat_count as usize].into(),
            areas: vec![AreaCounts::default(); plan.areas().len()],
            seats: Counts { open: seat_count, ..Counts::default() },
            allocations: None,
            rules: None,
            abandoned: Abandoned::default(),
            resting: Resting::new(),
            customers: Table::new(),
            customer_seed: seed,
            live_holds: 0,
            tombstones: 0,
            id_floor: TimestampMs(0),
            ops_requests: BTreeMap::new(),
            ops_requests_max: FORGETTING_MIN,
            kill_reasons: Vec::new(),
            seq: 0,
            hash: 0,
            plan,
        };
        event.hash = event.settings_hash();
        event
    }

    /// Number within the slot.
    #[must_use]
    pub fn number(&self) -> EventNumber {
        self.number
    }

    /// Name.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Fingerprint of what the event was made with, which a repeated creation is compared with.
    #[must_use]
    pub fn creation_fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Key.
    #[must_use]
    pub fn key(&self) -> EventKey {
        self.key
    }

    /// Settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The plan of the current revision.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Revision of the plan, from 1.
    #[must_use]
    pub fn plan_revision(&self) -> u32 {
        self.plan_revision
    }

    /// Number of the last change.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// Incremental hash of places, holds and settings.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Ids at or below this time are forgotten.
    #[must_use]
    pub fn id_floor(&self) -> TimestampMs {
        self.id_floor
    }

    /// Live holds.
    #[must_use]
    pub fn live_holds(&self) -> u32 {
        self.live_holds
    }

    /// Why a seat was killed; nothing for one that is not.
    #[must_use]
    pub fn kill_reason(&self, seat: u32) -> Option<&str> {
        let is_killed = self.planes.state(seat) == PlaceState::Killed;
        is_killed.then(|| &*self.kill_reasons[self.owner[seat as usize] as usize])
    }

    /// Whether a reason of kills is known, or there is room for it. There always is for that of returned places.
    pub(crate) fn judge_reason(&self, reason: &str) -> Result<(), Reject> {
        let is_known = self.kill_reasons.iter().any(|known| **known == *reason);
        let others = self.kill_reasons.iter().filter(|known| ***known != *RETURNED).count();
        let has_room = reason == RETURNED || others + 1 < KILL_REASONS_PER_EVENT_MAX;
        if is_known || has_room { Ok(()) } else { Err(Reject::CapacityBudget) }
    }

    /// The number of a reason of kills, which is remembered from now on.
    pub(crate) fn reason_number(&mut self, reason: &str) -> u32 {
        let known = self.kill_reasons.iter().position(|known| **known == *reason);
        let number = known.unwrap_or_else(|| {
            self.kill_reasons.push(reason.into());
            self.kill_reasons.len() - 1
        });
        // At most 255.
        number as u32
    }

    /// What a remembered request was about.
    pub(crate) fn request_fingerprint(&self, now: TimestampMs, id: RequestId) -> Option<u64> {
        self.ops_requests.get(&id).filter(|known| now < known.until).map(|known| known.fingerprint)
    }

    /// Whether this request was done before; else whether its id may be new. `is_name`: a sale has this name.
    pub(crate) fn judge_request(
        &self,
        now: TimestampMs,
        id: RequestId,
        fingerprint: u64,
        is_name: bool,
    ) -> Result<bool, Reject> {
        match self.request_fingerprint(now, id) {
            Some(known) if known == fingerprint => return Ok(true),
            None if !is_name => {}
            Some(_) | None => return Err(Reject::RequestIdReused),
        }
        let oldest = now.minus_ms(self.settings.policies.retry_window_ms()).max(self.id_floor);
        if id.time() <= oldest {
            return Err(Reject::RequestIdTooOld);
        }
        if id.time() >= now.plus_ms(ID_AHEAD_MS_MAX) {
            return Err(Reject::RequestIdInvalid);
        }
        // Forgetting one early would let it take effect twice.
        let is_full = self.ops_requests.len() >= OPS_REQUESTS_PER_EVENT_MAX
            && self.requests_at(now).count() >= OPS_REQUESTS_PER_EVENT_MAX;
        if is_full { Err(Reject::CapacityBudget) } else { Ok(false) }
    }

    /// Requests that are remembered at this time, by id.
    pub(crate) fn requests_at(&self, now: TimestampMs) -> impl Iterator<Item = (RequestId, OpsRequest)> {
        self.ops_requests.iter().filter(move |(_, known)| now < known.until).map(|(&id, &known)| (id, known))
    }

    /// Remember a request that is done.
    pub(crate) fn remember_request(&mut self, now: TimestampMs, (id, fingerprint): (RequestId, u64)) {
        if self.ops_requests.len() >= self.ops_requests_max.min(OPS_REQUESTS_PER_EVENT_MAX) {
            self.ops_requests.retain(|_, known| now < known.until);
            self.ops_requests_max = FORGETTING_MIN.max(2 * self.ops_requests.len());
        }
        assert!(self.ops_requests.len() < OPS_REQUESTS_PER_EVENT_MAX, "a remembered request is never dropped");
        let until = now.max(id.time()).plus_ms(self.settings.policies.retry_window_ms());
        self.ops_requests.insert(id, OpsRequest { fingerprint, until });
    }

    /// Whether the event is in the state that a command expects.
    pub(crate) fn judge_state(&self, expected: Option<EventState>) -> Result<(), Reject> {
        match expected {
            Some(state) if state != self.settings.state => {
                Err(Reject::StateMismatch { etag: self.etag(), state: self.settings.state })
            }
            _ => Ok(()),
        }
    }

    /// Changes with the settings and the plan: what `etag` compares. It follows the content: what is set
    /// back to what it was has the etag it had.
    #[must_use]
    pub fn etag(&self) -> u64 {
        let mut hasher = Hasher::new(30);
        hash_settings(&mut hasher, &self.settings);
        hasher.bytes(&self.plan.digest().0);
        hasher.word(u64::from(self.plan_revision));
        hasher.finish()
    }

    /// State of a seat. The index must be of the current revision.
    #[must_use]
    pub fn seat_state(&self, seat: u32) -> PlaceState {
        self.planes.state(seat)
    }

    /// First plane of the seats, one bit each: held or killed.
    #[must_use]
    pub fn held_plane(&self) -> &[u64] {
        self.planes.held()
    }

    /// Second plane of the seats: sold or killed.
    #[must_use]
    pub fn sold_plane(&self) -> &[u64] {
        self.planes.sold()
    }

    /// Counts of an area.
    #[must_use]
    pub fn area_counts(&self, area: u16) -> AreaCounts {
        self.areas[usize::from(area)]
    }

    /// Admissions of an area that may be held.
    #[must_use]
    pub fn area_open(&self, area: u16) -> u32 {
        self.plan.areas()[usize::from(area)].capacity - self.areas[usize::from(area)].taken()
    }

    /// Seats and admissions by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = self.seats;
        for (area, counts) in self.plan.areas().iter().zip(&self.areas) {
            all.open += area.capacity - counts.taken();
            all.held += counts.held;
            all.sold += counts.sold;
            all.killed += counts.killed;
        }
        all
    }

    /// What the settings, the plan and the id floor add to the hash.
    pub(crate) fn settings_hash(&self) -> u64 {
        let mut hasher = Hasher::new(21);
        hasher.word(self.etag());
        hasher.word(self.id_floor.0);
        hasher.finish()
    }

    fn seat_hash(seat: u32, state: PlaceState) -> u64 {
        if state == PlaceState::Open { 0 } else { mix(u64::from(seat) << 8 | state as u64 | 1 << 60) }
    }

    fn area_hash(area: u16, counts: AreaCounts) -> u64 {
        if counts == AreaCounts::default() {
            return 0;
        }
        let mut hasher = Hasher::new(22);
        hasher.word(u64::from(area) << 32 | u64::from(counts.killed));
        hasher.word(u64::from(counts.held) << 32 | u64::from(counts.sold));
        hasher.finish()
    }

    /// What all places add to the hash, from scratch.
    pub(crate) fn places_hash(&self) -> u64 {
        let seats =
            (0..self.plan.seat_count()).fold(0, |sum, seat| sum ^ Self::seat_hash(seat, self.planes.state(seat)));
        self.areas.iter().enumerate().fold(seats, |sum, (area, &counts)| sum ^ Self::area_hash(area as u16, counts))
    }

    /// What the event adds to the hash of its slot: its name and its place in its own log count too.
    #[must_use]
    pub fn slot_hash(&self) -> u64 {
        let mut hasher = Hasher::new(23);
        hasher.bytes(self.id.as_str().as_bytes());
        hasher.word(u64::from(self.seq));
        hasher.word(self.hash);
        hasher.finish()
    }

    fn count_mut(counts: &mut Counts, state: PlaceState) -> &mut u32 {
        match state {
            PlaceState::Open => &mut counts.open,
            PlaceState::Held => &mut counts.held,
            PlaceState::Sold => &mut counts.sold,
            PlaceState::Killed => &mut counts.killed,
        }
    }

    /// Move seats from one state to another, with `owner` as the hold they are of.
    pub(crate) fn move_seats(
        &mut self,
        seats: impl Iterator<Item = u32>,
        from: PlaceState,
        to: PlaceState,
        owner: u32,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let matters = (from == PlaceState::Open) != (to == PlaceState::Open);
        // Seats of a hold are mostly neighbours: one look at their stretch for all of them.
        let (mut seats_there, mut there) = (0..0, None);
        for seat in seats {
            if matters && !seats_there.contains(&seat) {
                self.update_openings(there);
                let rank = self.plan.ranking(false).rank_of(seat);
                there = Some(rank);
                seats_there = self.plan.ranking(false).stretches()[rank as usize].seats();
            }
            self.move_seat(seat, from, to, owner, moves);
        }
        self.update_openings(there);
    }

    #[inline]
    fn update_openings(&mut self, rank: Option<u32>) {
        let Some(rank) = rank else { return };
        if let Some(all) = &mut self.allocations {
            return all.update_openings(&self.plan, &self.planes, &mut self.openings, rank);
        }
        let (held, sold) = (self.planes.held(), self.planes.sold());
        self.openings.update(&self.plan, |word| !(held[word as usize] | sold[word as usize]), rank);
    }

    /// Look at all seats anew, after moves that [`Self::move_seats`] did not make.
    pub(crate) fn index_openings(&mut self) {
        self.openings = self.openings_anew();
        if let Some(all) = &mut self.allocations {
            all.index_openings(&self.plan, &self.planes);
        }
    }

    /// Where general sale has room, from scratch.
    pub(crate) fn openings_anew(&self) -> Openings {
        let (held, sold) = (self.planes.held(), self.planes.sold());
        let tagged = self.allocations.as_ref().map(|all| all.tagged());
        let open = |word: usize| !(held[word] | sold[word] | tagged.map_or(0, |tagged| tagged[word]));
        Openings::new(&self.plan, |word| open(word as usize))
    }

    /// Move a seat from one state to another, with `owner` as its hold. [`Self::index_openings`] must follow.
    pub(crate) fn move_seat(
        &mut self,
        seat: u32,
        from: PlaceState,
        to: PlaceState,
        owner: u32,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        assert_eq!(self.planes.state(seat), from, "seat {seat} of {} must be {from:?} to become {to:?}", self.id);
        assert!(from == PlaceState::Open || self.owner[seat as usize] == owner, "only its holder's seat is moved");
        self.planes.set(seat, to);
        self.owner[seat as usize] = if to == PlaceState::Open { NIL } else { owner };
        *Self::count_mut(&mut self.seats, from) -= 1;
        *Self::count_mut(&mut self.seats, to) += 1;
        self.hash ^= Self::seat_hash(seat, from) ^ Self::seat_hash(seat, to);
        if self.rules.is_some() {
            self.count_seat(seat, from, to);
        }
        if let Some(moves) = moves {
            let (from, seen) = if self.allocations.is_some() { self.seen(seat, from, to) } else { (from, to) };
            moves.push(Move { what: Moved::Seat(seat), from, to: seen, state: to });
        }
    }

    /// Two states of a seat as the public sees them.
    #[cold]
    fn seen(&self, seat: u32, from: PlaceState, to: PlaceState) -> (PlaceState, PlaceState) {
        let is_set_aside = self.tag(seat) != 0;
        let seen = |state| if is_set_aside && state == PlaceState::Open { PlaceState::Killed } else { state };
        (seen(from), seen(to))
    }

    /// A seat that moves counts for the shared quotas it is of.
    #[cold]
    fn count_seat(&mut self, seat: u32, from: PlaceState, to: PlaceState) {
        if let Some(rules) = &mut self.rules {
            rules.move_seat(&self.plan, seat, from, to);
        }
    }

    /// Move admissions of an area from one state to another.
    pub(crate) fn move_area(
        &mut self,
        area: u16,
        quantity: u32,
        from: PlaceState,
        to: PlaceState,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let open = self.area_open(area);
        let counts = &mut self.areas[usize::from(area)];
        self.hash ^= Self::area_hash(area, *counts);
        match from {
            PlaceState::Open => assert!(open >= quantity, "area {area} of {} is over its capacity", self.id),
            PlaceState::Held => counts.held = counts.held.checked_sub(quantity).expect("held admissions are counted"),
            PlaceState::Sold => counts.sold = counts.sold.checked_sub(quantity).expect("sold admissions are counted"),
            PlaceState::Killed => counts.killed = counts.killed.checked_sub(quantity).expect("kills are counted"),
        }
        match to {
            PlaceState::Open => {}
            PlaceState::Held => counts.held += quantity,
            PlaceState::Sold => counts.sold += quantity,
            PlaceState::Killed => counts.killed += quantity,
        }
        self.hash ^= Self::area_hash(area, *counts);
        if let Some(rules) = &mut self.rules {
            rules.move_area(&self.plan, area, quantity, from, to);
        }
        if let Some(moves) = moves {
            moves.push(Move { what: Moved::Area { area, quantity }, from, to, state: to });
        }
    }

    /// Places and live holds of a customer.
    pub(crate) fn customer(&self, key: CustomerKey) -> (u32, u32) {
        let found = self.customers.find(mix(self.customer_seed ^ key.0), |customer| customer.key == key);
        found.map_or((0, 0), |at| (self.customers.at(at).places, self.customers.at(at).holds))
    }

    /// Asks for what a move of this seat will need.
    pub(crate) fn prefetch_seat(&self, seat: u32) {
        let Some(owner) = self.owner.get(seat as usize) else { return };
        prefetch::line_of(owner);
        prefetch::line_of(&self.planes.held()[seat as usize / 64]);
        prefetch::line_of(&self.planes.sold()[seat as usize / 64]);
        self.openings.prefetch(&self.plan, seat);
    }

    /// Asks for what [`Self::count_customer`] will need.
    pub(crate) fn prefetch_customer(&self, key: CustomerKey) {
        if key.is_some() {
            self.customers.prefetch(mix(self.customer_seed ^ key.0));
        }
    }

    /// Add to what a customer has; nobody when none was named.
    pub(crate) fn count_customer(&mut self, key: CustomerKey, places: i32, holds: i32) {
        if !key.is_some() {
            return;
        }
        let seed = self.customer_seed;
        let hash = |customer: &Customer| mix(seed ^ customer.key.0);
        let count = |customer: &mut Customer| {
            customer.places = customer.places.checked_add_signed(places).expect("a customer's places are counted");
            customer.holds = customer.holds.checked_add_signed(holds).expect("a customer's holds are counted");
            (customer.places, customer.holds) == (0, 0)
        };
        match self.customers.find(mix(seed ^ key.0), |customer| customer.key == key) {
            Some(at) => {
                if count(self.customers.at_mut(at)) {
                    self.customers.remove(at, hash);
                }
            }
            None => {
                let mut customer = Customer { key, places: 0, holds: 0 };
                if !count(&mut customer) {
                    self.customers.insert(mix(seed ^ key.0), customer, |_| false, hash);
                }
            }
        }
    }

    /// Bytes allocated by this event, without its plan and its holds.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        size_of::<Self>()
            + self.owner.len() * 4
            + (self.planes.held().len() + self.planes.sold().len()) * 8
            + self.openings.allocated_bytes()
            + self.areas.capacity() * size_of::<AreaCounts>()
            + self.customers.allocated_bytes()
            + self.allocations.as_ref().map_or(0, |all| all.allocated_bytes())
    }
}
