//! A hold as it is remembered: what it has, what became of it, who bought what, and the payments for it.
//!
//! Not here: where entries stand (`holds.rs`), whose places are whose (`event.rs`), when a hold ends (`expiry.rs`).

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use crate::{
    best_available::Arrangement,
    cart::Cart,
    change::{HoldCause, HoldState},
    digest::Hasher,
    holds::NIL,
    ids::{CustomerKey, EventNumber, HoldId, OrderRef, RequestId, TimestampMs},
    place::{Admission, Admissions, SOLD, Seat},
    place_words::PlaceWords,
};

/// What a request on a hold left behind, kept only by holds that had one.
#[derive(Clone, Debug, Default)]
struct Extras {
    request: Option<(RequestId, u64)>,
    more_orders: Vec<OrderRef>,
    /// Which of the orders the last sale went to.
    last_order: u8,
    payments: Option<Payments>,
    /// Seats that the house withdrew from it while it lived, sorted.
    lost: Vec<u32>,
    /// As many more, which no plan of the event has any more.
    lost_gone: u8,
    /// Who bought what, once it was sold to more than one order.
    sales: Sales,
    /// The last confirm named places: it was not of the whole.
    sold_in_part: bool,
    /// Allocations that seats of it were of when it was made, sorted.
    tags: Vec<u8>,
    cart: Option<Cart>,
}

/// Which places of a hold were sold to which of its orders, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sales {
    pub(crate) seats: Vec<(u8, u32)>,
    pub(crate) admissions: Vec<(u8, Admission)>,
}

impl Sales {
    fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.admissions.is_empty()
    }

    fn add(&mut self, order: u8, seats: impl Iterator<Item = u32>, admissions: impl Iterator<Item = Admission>) {
        self.seats.extend(seats.map(|seat| (order, seat)));
        for more in admissions {
            let same = |(of, has): &&mut (u8, Admission)| *of == order && is_same_kind(*has, more);
            match self.admissions.iter_mut().find(same) {
                Some((_, has)) => has.quantity += more.quantity,
                None => self.admissions.push((order, more)),
            }
        }
    }
}

/// Whether two admissions are of one area, ticket type and source.
fn is_same_kind(one: Admission, other: Admission) -> bool {
    (one.area, one.ticket_type, one.source) == (other.area, other.ticket_type, other.source)
}

/// What a hold remembers of its payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payments {
    /// Attempts that a hold it took the place of had used.
    pub(crate) inherited: u8,
    /// Its own, in the order they were begun.
    pub(crate) attempts: SmallVec<[RequestId; 1]>,
    /// Whether the last of them is open.
    pub(crate) is_open: bool,
    /// While one is open: when the hold expires otherwise. Zero else.
    pub(crate) expires_at: TimestampMs,
    /// The attempt that paid, as the last confirm named it.
    pub(crate) paid_by: Option<RequestId>,
}

impl Payments {
    /// Attempts used up.
    pub(crate) fn used(&self) -> u32 {
        // At most 8 of its own, and as many inherited.
        u32::from(self.inherited) + self.attempts.len() as u32
    }

    fn hash_into(&self, hasher: &mut Hasher) {
        hasher.word(u64::from(self.inherited) | (self.attempts.len() as u64) << 8 | u64::from(self.is_open) << 16);
        self.attempts.iter().for_each(|attempt| hasher.wide(attempt.0));
        hasher.word(self.expires_at.0);
        hasher.wide(self.paid_by.map_or(0, |attempt| attempt.0));
    }
}

/// State, cause and arrangement in one byte, the way digits stand in a number.
#[derive(Clone, Copy, Debug)]
struct Marks(u8);

impl Marks {
    const STATES: [HoldState; 5] =
        [HoldState::Active, HoldState::Paying, HoldState::Confirmed, HoldState::Released, HoldState::Expired];
    const CAUSES: [HoldCause; 8] = [
        HoldCause::None,
        HoldCause::Requested,
        HoldCause::Replaced,
        HoldCause::Deadline,
        HoldCause::Killed,
        HoldCause::Cancelled,
        HoldCause::CartRefused,
        HoldCause::PartMissing,
    ];
    const ARRANGEMENTS: [Arrangement; 5] =
        [Arrangement::None, Arrangement::Contiguous, Arrangement::Stranding, Arrangement::Split, Arrangement::General];

    const fn new(state: HoldState, cause: HoldCause, arrangement: Arrangement) -> Marks {
        Marks(state as u8 + 5 * (cause as u8 + 8 * arrangement as u8))
    }

    fn state(self) -> HoldState {
        Self::STATES[usize::from(self.0 % 5)]
    }

    fn cause(self) -> HoldCause {
        Self::CAUSES[usize::from(self.0 / 5 % 8)]
    }

    fn arrangement(self) -> Arrangement {
        // The remainder is for the compiler: no number made here is that large.
        Self::ARRANGEMENTS[usize::from(self.0 / 40 % 5)]
    }
}

/// One hold.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    // Two halves, most significant first: a u128 would align the entry to 16 and cost 16 bytes.
    hold_id: [u64; 2],
    pub(crate) fingerprint: u64,
    pub(crate) customer: CustomerKey,
    pub(crate) created_at: TimestampMs,
    /// Deadline while live (of the payment, when one is open); the time to be forgotten when a tombstone; else without meaning.
    pub(crate) until: TimestampMs,
    pub(crate) ended_at: TimestampMs,
    words: PlaceWords,
    // Boxed, because a live hold has none.
    order: Option<Box<OrderRef>>,
    extras: Option<Box<Extras>>,
    pub(crate) event: EventNumber,
    pub(crate) next: u32,
    pub(crate) previous: u32,
    /// Where the entry stands in a wheel; `NO_BUCKET`: in none.
    pub(crate) bucket: u16,
    marks: Marks,
    pub(crate) renewals: u8,
}

/// In the renewals of a sale without a hold, of which there are none.
pub(crate) const BORN_CONFIRMED: u8 = u8::MAX;

const _: () = assert!(crate::limits::policy::RENEWALS_MAX < BORN_CONFIRMED as u32);

// The budget of a live hold of two seats is 128 bytes; its share of the index is 10 to 21 of them.
const _: () = assert!(size_of::<Entry>() <= 104);

impl Entry {
    /// A live hold of these places.
    #[expect(clippy::too_many_arguments, reason = "the fields of one struct, made in one place")]
    pub(crate) fn new(
        event: EventNumber,
        hold_id: HoldId,
        fingerprint: u64,
        customer: CustomerKey,
        created_at: TimestampMs,
        expires_at: TimestampMs,
        renewals: u8,
        arrangement: Arrangement,
    ) -> Self {
        Self {
            hold_id: [(hold_id.0 >> 64) as u64, hold_id.0 as u64],
            fingerprint,
            customer,
            created_at,
            until: expires_at,
            ended_at: TimestampMs(0),
            words: PlaceWords::NONE,
            order: None,
            extras: None,
            event,
            next: NIL,
            previous: NIL,
            bucket: crate::expiry::NO_BUCKET,
            marks: Marks::new(HoldState::Active, HoldCause::None, arrangement),
            renewals,
        }
    }

    /// Whether it was born confirmed, by a request of the same name.
    pub(crate) fn is_direct_sale(&self) -> bool {
        self.renewals == BORN_CONFIRMED
    }

    /// Its state, as of its last change.
    pub(crate) fn state(&self) -> HoldState {
        self.marks.state()
    }

    /// Why it ended.
    pub(crate) fn cause(&self) -> HoldCause {
        self.marks.cause()
    }

    /// How its chosen seats lie.
    pub(crate) fn arrangement(&self) -> Arrangement {
        self.marks.arrangement()
    }

    /// It ended, or lives again.
    pub(crate) fn set_state(&mut self, state: HoldState, cause: HoldCause) {
        self.marks = Marks::new(state, cause, self.arrangement());
    }

    /// Name of the hold.
    pub(crate) fn hold_id(&self) -> HoldId {
        HoldId(u128::from(self.hold_id[0]) << 64 | u128::from(self.hold_id[1]))
    }

    /// Whether it is the hold of this event with this id.
    pub(crate) fn is_of(&self, event: EventNumber, hold_id: HoldId) -> bool {
        self.event == event && self.hold_id() == hold_id
    }

    /// Whether the hold lives.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state(), HoldState::Active | HoldState::Paying)
    }

    /// Whether the entry is forgotten one day: ended, nothing sold, and no other event needs it.
    pub(crate) fn is_tombstone(&self) -> bool {
        !self.is_live() && !self.has_sold() && !self.is_unsettled()
    }

    /// Whether any of its places is sold.
    pub(crate) fn has_sold(&self) -> bool {
        self.words().iter().any(|word| word & SOLD != 0)
    }

    /// All words, seats first.
    pub(crate) fn words(&self) -> &[u32] {
        self.words.all()
    }

    /// Words of seats, held (or lost) and sold.
    pub(crate) fn seat_words(&self) -> &[u32] {
        self.words.seat_words()
    }

    /// Words of admissions, held (or lost) and sold.
    pub(crate) fn admission_words(&self) -> &[u32] {
        self.words.admission_words()
    }

    /// The words by themselves: no allocation for the few that most holds have.
    pub(crate) fn copy_words(&self) -> PlaceWords {
        self.words.clone()
    }

    /// Seats not sold: held while the hold lives.
    pub(crate) fn unsold_seats(&self) -> impl Iterator<Item = Seat> {
        self.seat_words().iter().filter(|word| *word & SOLD == 0).map(|&word| Seat::from_word(word))
    }

    /// Admissions not sold: held while the hold lives.
    pub(crate) fn unsold_admissions(&self) -> impl Iterator<Item = Admission> {
        self.admission_words().iter().filter(|word| *word & SOLD == 0).map(|&word| Admission::from_word(word))
    }

    /// Set the places of a new hold.
    pub(crate) fn set_places(&mut self, seats: &[Seat], admissions: &[Admission]) {
        let all = seats.iter().map(|seat| seat.word()).chain(admissions.iter().map(|admission| admission.word()));
        self.words = PlaceWords::new(seats.len(), admissions.len(), all);
    }

    /// Every place is sold; none was.
    pub(crate) fn mark_all_sold(&mut self) {
        self.words.all_mut().iter_mut().for_each(|word| *word |= SOLD);
    }

    /// Give back the memory of what it had: it is forgotten.
    pub(crate) fn empty(&mut self) {
        self.words = PlaceWords::NONE;
        self.order = None;
        self.extras = None;
    }

    /// Set all words.
    pub(crate) fn set_words(&mut self, seats: &[u32], admissions: &[u32]) {
        self.words = PlaceWords::new(seats.len(), admissions.len(), seats.iter().chain(admissions).copied());
    }

    /// Whether every word names a place of a plan of this size, in the form that this version writes.
    pub(crate) fn words_fit(&self, seat_count: u32, area_count: usize) -> bool {
        let seat_fits = |&word: &u32| {
            let seat = Seat::from_word(word);
            seat.index < seat_count && seat.word() == word & !SOLD
        };
        let admission_fits = |&word: &u32| {
            let admission = Admission::from_word(word);
            usize::from(admission.area) < area_count
                && (1..=64).contains(&admission.quantity)
                && admission.word() == word & !SOLD
        };
        self.seat_words().iter().all(seat_fits) && self.admission_words().iter().all(admission_fits)
    }

    /// The last request on this hold that is remembered, with its fingerprint.
    pub(crate) fn request(&self) -> Option<(RequestId, u64)> {
        self.extras.as_ref().and_then(|extras| extras.request)
    }

    /// Remember a request in place of the last.
    pub(crate) fn set_request(&mut self, request: Option<(RequestId, u64)>) {
        if request.is_some() || self.extras.is_some() {
            self.extras_mut().request = request;
        }
    }

    /// Seats that the house withdrew from it, and how many more that are in no plan now.
    pub(crate) fn lost(&self) -> (&[u32], u8) {
        self.extras.as_ref().map_or((&[], 0), |extras| (&extras.lost, extras.lost_gone))
    }

    /// How many places the house withdrew from it.
    pub(crate) fn lost_count(&self) -> u32 {
        let (seats, gone) = self.lost();
        seats.len() as u32 + u32::from(gone)
    }

    /// The house withdraws these seats from it.
    pub(crate) fn add_lost(&mut self, seats: impl Iterator<Item = u32>) {
        let lost = &mut self.extras_mut().lost;
        lost.extend(seats);
        lost.sort_unstable();
    }

    /// Sets what the house withdrew from it.
    pub(crate) fn set_lost(&mut self, seats: Vec<u32>, gone: u8) {
        if !seats.is_empty() || gone > 0 || self.extras.is_some() {
            let extras = self.extras_mut();
            (extras.lost, extras.lost_gone) = (seats, gone);
        }
    }

    /// Whether the last confirm named places.
    pub(crate) fn sold_in_part(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.sold_in_part)
    }

    /// Sets whether the last confirm named places.
    pub(crate) fn set_sold_in_part(&mut self, is_part: bool) {
        if is_part || self.extras.is_some() {
            self.extras_mut().sold_in_part = is_part;
        }
    }

    /// Who bought what; empty while all is sold to one order.
    pub(crate) fn sales(&self) -> Option<&Sales> {
        self.extras.as_ref().map(|extras| &extras.sales).filter(|sales| !sales.is_empty())
    }

    /// Sets who bought what.
    pub(crate) fn set_sales(&mut self, sales: Sales) {
        if !sales.is_empty() || self.extras.is_some() {
            self.extras_mut().sales = sales;
        }
    }

    /// Everything that is sold so far was sold to this one of the orders.
    pub(crate) fn attribute_sold(&mut self, order: u8) {
        let sold = |word: &&u32| **word & SOLD != 0;
        let seats: Vec<u32> = self.seat_words().iter().filter(sold).map(|&word| Seat::from_word(word).index).collect();
        let admissions: Vec<Admission> =
            self.admission_words().iter().filter(sold).map(|&word| Admission::from_word(word)).collect();
        let mut sales = Sales::default();
        sales.add(order, seats.into_iter(), admissions.into_iter());
        self.set_sales(sales);
    }

    /// Whether what is remembered of sales is what is sold.
    pub(crate) fn sales_fit(&self) -> bool {
        let Some(sales) = self.sales() else { return !self.has_sold() };
        let mut of_sales: Vec<u32> = sales.seats.iter().map(|(_, seat)| *seat).collect();
        let sold = |word: &&u32| **word & SOLD != 0;
        let mut of_words: Vec<u32> =
            self.seat_words().iter().filter(sold).map(|&word| Seat::from_word(word).index).collect();
        of_sales.sort_unstable();
        of_words.sort_unstable();
        let mut left: Vec<Admission> =
            self.admission_words().iter().filter(sold).map(|&word| Admission::from_word(word)).collect();
        let fits = sales.admissions.iter().all(|(_, part)| {
            let mut missing = part.quantity;
            for has in &mut left {
                if is_same_kind(*has, *part) {
                    let less = has.quantity.min(missing);
                    has.quantity -= less;
                    missing -= less;
                }
            }
            missing == 0 && part.quantity > 0
        });
        of_sales == of_words && fits && left.iter().all(|has| has.quantity == 0)
    }

    /// Before places are sold to `order`: from the second order on it is remembered who bought what.
    pub(crate) fn prepare_sale(&mut self, order: &OrderRef) {
        let is_second = self.orders().count() == 1 && self.orders().next() != Some(order);
        if is_second {
            self.attribute_sold(0);
        }
    }

    /// These places were sold to the order of the last sale.
    pub(crate) fn note_sale(&mut self, seats: &[u32], admissions: &[Admission]) {
        let order = self.last_order_index();
        if self.orders().count() > 1 {
            self.extras_mut().sales.add(order, seats.iter().copied(), admissions.iter().copied());
        }
    }

    /// Seats and admissions that are sold to an order.
    pub(crate) fn sold_to(&self, order: &OrderRef) -> (Vec<u32>, Vec<Admission>) {
        let Some(number) = self.orders().position(|known| known == order) else { return Default::default() };
        if let Some(sales) = self.sales() {
            // In the order of the hold, as when all is of one order.
            let seats = self.seat_words().iter().filter(|word| **word & SOLD != 0);
            let seats = seats.map(|&word| Seat::from_word(word).index);
            let seats =
                seats.filter(|&seat| sales.seats.iter().any(|&(of, sold)| usize::from(of) == number && sold == seat));
            let admissions = sales.admissions.iter().filter(|(of, _)| usize::from(*of) == number);
            return (seats.collect(), admissions.map(|(_, admission)| *admission).collect());
        }
        if self.orders().count() > 1 {
            // All of it has come back.
            return Default::default();
        }
        let sold = |word: &&u32| **word & SOLD != 0;
        let seats = self.seat_words().iter().filter(sold).map(|&word| Seat::from_word(word).index);
        let admissions = self.admission_words().iter().filter(sold).map(|&word| Admission::from_word(word));
        (seats.collect(), admissions.collect())
    }

    /// Whether anything is sold to an order.
    pub(crate) fn has_sold_to(&self, order: &OrderRef) -> bool {
        let (seats, admissions) = self.sold_to(order);
        !seats.is_empty() || !admissions.is_empty()
    }

    /// Sold places are its no longer.
    pub(crate) fn unsell(&mut self, order: &OrderRef, seats: &[u32], admissions: &[Admission]) {
        let is_gone = |word: &u32| word & SOLD != 0 && seats.contains(&Seat::from_word(*word).index);
        let kept: SmallVec<[u32; 4]> = self.seat_words().iter().copied().filter(|word| !is_gone(word)).collect();
        let mut of_areas: SmallVec<[u32; 4]> = self.admission_words().into();
        for gone in admissions {
            let sold = of_areas.iter_mut().filter(|word| **word & SOLD != 0);
            let sold = sold.map(|word| (Admission::from_word(*word), word));
            let mut missing = gone.quantity;
            for (has, word) in sold.filter(|(has, _)| is_same_kind(*has, *gone)) {
                let less = has.quantity.min(missing);
                *word = Admission { quantity: has.quantity - less, ..has }.word() | SOLD;
                missing -= less;
            }
            assert_eq!(missing, 0, "the hold has sold so many admissions");
        }
        of_areas.retain(|word| Admission::from_word(*word).quantity > 0);
        self.set_words(&kept, &of_areas);
        let number = self.orders().position(|known| known == order).unwrap_or(usize::MAX);
        let Some(sales) = self.sales() else { return };
        let mut sales = sales.clone();
        sales.seats.retain(|(_, seat)| !seats.contains(seat));
        for gone in admissions {
            let of_order =
                sales.admissions.iter_mut().find(|(of, has)| usize::from(*of) == number && is_same_kind(*has, *gone));
            let (_, has) = of_order.expect("the order has such admissions");
            has.quantity = has.quantity.checked_sub(gone.quantity).expect("the order has so many admissions");
        }
        sales.admissions.retain(|(_, has)| has.quantity > 0);
        self.set_sales(sales);
    }

    /// Allocations that seats of it were of when it was made, sorted.
    pub(crate) fn tags(&self) -> &[u8] {
        self.extras.as_ref().map_or(&[], |extras| &extras.tags)
    }

    /// Sets the allocations that seats of it were of.
    pub(crate) fn set_tags(&mut self, tags: Vec<u8>) {
        if !tags.is_empty() || self.extras.is_some() {
            self.extras_mut().tags = tags;
        }
    }

    /// Unsold admissions of it that a part of it means, with their sources: those of allocations go first. It must
    /// have so many.
    pub(crate) fn drawn(&self, part: &[Admission]) -> Admissions {
        let of_allocation = self.unsold_admissions().filter(|has| has.source != 0);
        let all: Admissions = of_allocation.chain(self.unsold_admissions().filter(|has| has.source == 0)).collect();
        let mut drawn = Admissions::new();
        for wanted in part {
            let mut missing = wanted.quantity;
            for has in all.iter().filter(|has| (has.area, has.ticket_type) == (wanted.area, wanted.ticket_type)) {
                let quantity = has.quantity.min(missing);
                missing -= quantity;
                if quantity > 0 {
                    drawn.push(Admission { quantity, ..*has });
                }
            }
        }
        drawn
    }

    /// An allocation is gone: what was drawn from its quotas (areas and sources) is of general sale.
    pub(crate) fn forget_allocation(&mut self, number: u8, sources: &[(u16, u8)]) {
        let general = |has: Admission| match sources.contains(&(has.area, has.source)) {
            true => Admission { source: 0, ..has },
            false => has,
        };
        let mut words: SmallVec<[u32; 4]> = SmallVec::new();
        for &word in self.admission_words() {
            let has = general(Admission::from_word(word));
            let same =
                |other: &&mut u32| **other & SOLD == word & SOLD && is_same_kind(Admission::from_word(**other), has);
            match words.iter_mut().find(same) {
                Some(other) => {
                    let quantity = Admission::from_word(*other).quantity + has.quantity;
                    *other = Admission { quantity, ..has }.word() | word & SOLD;
                }
                None => words.push(has.word() | word & SOLD),
            }
        }
        if *words != *self.admission_words() {
            let seats: SmallVec<[u32; 4]> = self.seat_words().into();
            self.set_words(&seats, &words);
        }
        if let Some(before) = self.sales().cloned() {
            let mut sales = Sales { seats: before.seats, ..Sales::default() };
            for (order, has) in before.admissions {
                sales.add(order, core::iter::empty(), core::iter::once(general(has)));
            }
            self.set_sales(sales);
        }
        if self.tags().contains(&number) {
            let kept = self.tags().iter().copied().filter(|&tag| tag != number).collect();
            self.set_tags(kept);
        }
    }

    /// The cart it is a part of.
    pub(crate) fn cart(&self) -> Option<&Cart> {
        self.extras.as_ref().and_then(|extras| extras.cart.as_ref())
    }

    /// Sets the cart it is a part of.
    pub(crate) fn set_cart(&mut self, cart: Option<Cart>) {
        if cart.is_some() || self.extras.is_some() {
            self.extras_mut().cart = cart;
        }
    }

    fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// What it remembers of its payments, if it had any.
    pub(crate) fn payments(&self) -> Option<&Payments> {
        self.extras.as_ref().and_then(|extras| extras.payments.as_ref())
    }

    /// As [`Self::payments`], to be changed.
    pub(crate) fn payments_mut(&mut self) -> &mut Payments {
        self.extras_mut().payments.get_or_insert_default()
    }

    /// Sets what it remembers of its payments.
    pub(crate) fn set_payments(&mut self, payments: Option<Payments>) {
        if payments.is_some() || self.extras.is_some() {
            self.extras_mut().payments = payments;
        }
    }

    /// Payment attempts used up.
    pub(crate) fn attempts_used(&self) -> u32 {
        self.payments().map_or(0, Payments::used)
    }

    /// Whether a payment was ever open: late payments need its places.
    pub(crate) fn ever_paid(&self) -> bool {
        self.cart().is_some() || self.payments().is_some_and(|payments| !payments.attempts.is_empty())
    }

    /// Whether this attempt is one of its own.
    pub(crate) fn knows_attempt(&self, attempt: RequestId) -> bool {
        self.payments().is_some_and(|payments| payments.attempts.contains(&attempt))
    }

    /// The attempt that is open.
    pub(crate) fn open_attempt(&self) -> Option<RequestId> {
        self.payments().filter(|payments| payments.is_open).and_then(|payments| payments.attempts.last().copied())
    }

    /// The attempt that paid, as the last confirm named it.
    pub(crate) fn paid_by(&self) -> Option<RequestId> {
        self.payments().and_then(|payments| payments.paid_by)
    }

    /// Sets the attempt that paid.
    pub(crate) fn set_paid_by(&mut self, attempt: Option<RequestId>) {
        if attempt.is_some() || self.payments().is_some() {
            self.payments_mut().paid_by = attempt;
        }
    }

    /// When it expires unless a payment is open.
    pub(crate) fn expires_at(&self) -> TimestampMs {
        self.payments().filter(|payments| payments.is_open).map_or(self.until, |payments| payments.expires_at)
    }

    /// The open payment, if there is one, is open no longer; what is held has this deadline now.
    pub(crate) fn close_payment(&mut self, expires_at: TimestampMs) {
        if self.open_attempt().is_some() {
            let payments = self.payments_mut();
            (payments.is_open, payments.expires_at) = (false, TimestampMs(0));
            self.until = expires_at;
        }
    }

    /// Orders that places of this hold were sold to, in order of first sale.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &OrderRef> {
        self.order.iter().map(|order| &**order).chain(self.extras.iter().flat_map(|extras| &extras.more_orders))
    }

    /// The order that the last sale went to.
    pub(crate) fn last_order(&self) -> Option<&OrderRef> {
        self.orders().nth(usize::from(self.last_order_index()))
    }

    /// Remember an order, once, as the one of the last sale.
    pub(crate) fn add_order(&mut self, order: &OrderRef) {
        let known = self.orders().position(|known| known == order);
        let count = self.orders().count();
        // At most one for each of 64 places.
        let last = known.unwrap_or(count) as u8;
        if known.is_none() {
            if self.order.is_none() {
                self.order = Some(Box::new(order.clone()));
            } else {
                self.extras_mut().more_orders.push(order.clone());
            }
        }
        self.set_last_order(last);
    }

    /// Which of the orders the last sale went to; 0 without any.
    pub(crate) fn last_order_index(&self) -> u8 {
        self.extras.as_ref().map_or(0, |extras| extras.last_order)
    }

    /// Sets which of the orders the last sale went to.
    pub(crate) fn set_last_order(&mut self, last: u8) {
        if last > 0 || self.extras.is_some() {
            self.extras_mut().last_order = last;
        }
    }

    /// What this hold adds to its event's hash: nothing when it is only remembered.
    pub(crate) fn hash(&self) -> u64 {
        let (state, is_live, words) = (self.state(), self.is_live(), self.words());
        if !is_live && !self.is_unsettled() && words.iter().all(|word| word & SOLD == 0) {
            return 0;
        }
        let mut hasher = Hasher::new(20);
        hasher.wide(self.hold_id().0);
        hasher.word(self.fingerprint);
        hasher.word(self.customer.0);
        hasher.word(self.created_at.0);
        hasher.word(if is_live { self.until.0 } else { self.ended_at.0 });
        let (seats, admissions) = self.words.counts();
        hasher.word(
            state as u64
                | (self.cause() as u64) << 8
                | u64::from(self.renewals) << 16
                | (self.arrangement() as u64) << 24
                | (seats as u64) << 32
                | (admissions as u64) << 40
                | u64::from(self.last_order_index()) << 48,
        );
        let mut pairs = words.chunks_exact(2);
        pairs.by_ref().for_each(|pair| hasher.word(u64::from(pair[0]) | u64::from(pair[1]) << 32));
        pairs.remainder().iter().for_each(|&last| hasher.word(u64::from(last)));
        if let Some(order) = &self.order {
            hasher.bytes(order.as_str().as_bytes());
        }
        if let Some(extras) = &self.extras {
            extras.more_orders.iter().for_each(|order| hasher.bytes(order.as_str().as_bytes()));
            extras.payments.iter().for_each(|payments| payments.hash_into(&mut hasher));
            if self.lost_count() > 0 {
                hasher.word(u64::from(extras.lost_gone) | 1 << 32);
                extras.lost.iter().for_each(|&seat| hasher.word(u64::from(seat)));
            }
            if !extras.tags.is_empty() {
                hasher.word(extras.tags.len() as u64 | 1 << 33);
                extras.tags.iter().for_each(|&tag| hasher.word(u64::from(tag)));
            }
            // Without a cart the hash is what it was before there were any.
            extras.cart.iter().for_each(|cart| cart.hash_into(&mut hasher));
        }
        hasher.finish()
    }
}

/// Places not sold.
pub(crate) fn unsold_count(entry: &Entry) -> u32 {
    entry.unsold_seats().count() as u32 + entry.unsold_admissions().map(|a| u32::from(a.quantity)).sum::<u32>()
}

/// Mark places of a hold as sold, or take them out of it.
pub(crate) fn mark(entry: &mut Entry, seats: &[u32], admissions: &[Admission], sold: bool) {
    let places = unsold_count(entry) as usize;
    let named = seats.len() + admissions.iter().map(|a| usize::from(a.quantity)).sum::<usize>();
    if sold && named == places && !entry.has_sold() {
        entry.mark_all_sold();
        return;
    }
    let mut seat_words: SmallVec<[u32; 4]> = SmallVec::with_capacity(entry.seat_words().len());
    for &word in entry.seat_words() {
        let chosen = word & SOLD == 0 && seats.contains(&Seat::from_word(word).index);
        match (chosen, sold) {
            (false, _) => seat_words.push(word),
            (true, true) => seat_words.push(word | SOLD),
            (true, false) => {}
        }
    }
    let words = entry.admission_words().len() + admissions.len();
    let mut admission_words: SmallVec<[u32; 4]> = SmallVec::with_capacity(words);
    for &word in entry.admission_words() {
        let has = Admission::from_word(word);
        let same = |wanted: &&Admission| is_same_kind(**wanted, has);
        let less = if word & SOLD == 0 { admissions.iter().find(same).map_or(0, |a| a.quantity) } else { 0 };
        let left = has.quantity.checked_sub(less).expect("the hold has so many admissions");
        if left > 0 {
            admission_words.push(Admission { quantity: left, ..has }.word() | word & SOLD);
        }
    }
    if sold {
        for wanted in admissions {
            let same = |word: &&mut u32| {
                let has = Admission::from_word(**word);
                **word & SOLD != 0 && is_same_kind(has, *wanted)
            };
            match admission_words.iter_mut().find(same) {
                Some(word) => {
                    let has = Admission::from_word(*word);
                    *word = Admission { quantity: has.quantity + wanted.quantity, ..has }.word() | SOLD;
                }
                None => admission_words.push(wanted.word() | SOLD),
            }
        }
    }
    entry.set_words(&seat_words, &admission_words);
}
