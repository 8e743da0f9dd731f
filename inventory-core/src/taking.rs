//! What a hold takes: named seats, admissions, the best seats there are, or why it may not.
//!
//! The order of judgement stands in `decide.rs`.
//!
//! Not here: how seats are chosen (`ladder.rs`), what a command may take (`reach.rs`), who judges its id (`decide.rs`).

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use crate::{
    best_available::{Arrangement, Taken, Wanted},
    cart::not_in_open_cart,
    change::{Change, Held, HoldState},
    command::{AreaName, BestAvailable, Hold},
    decide::{NAMED_MAX, check_revision, live_or_ended},
    event::Event,
    hold::{Entry, unsold_count},
    ids::{HoldId, TimestampMs},
    ladder,
    openings::Openings,
    orphan::{self, Piece, Runs},
    place::{Admission, Admissions, Moved, PlaceState, Seat, SeatIndexes, Seats},
    plan::{ACCESSIBLE, COMPANION, RowKind},
    policy::OrphanRule,
    reach::{Access, GENERAL, Reached, draw},
    reject::{Field, PlaceInTheWay, Reject},
    rules::Bundle,
    slot::{Decision, Slot},
};

/// What best available takes.
pub(crate) enum Chosen {
    Seats(Vec<u32>),
    /// General admission for the whole party.
    Area(u16),
}

impl Slot {
    pub(crate) fn decide_hold(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Result<Decision, Reject> {
        if let Some(entry) = self.remembered(now, event, hold.hold_id) {
            if entry.fingerprint != hold.fingerprint() {
                return Err(Reject::HoldIdReused);
            }
            return match live_or_ended(now, entry) {
                HoldState::Active | HoldState::Paying => Ok(self.known(event, entry, true)),
                HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: true }),
                HoldState::Released => Err(Reject::HoldReleased { executed: true }),
                HoldState::Expired => Err(Reject::HoldExpired { executed: true, places_lost: Vec::new() }),
            };
        }
        self.judge_age(now, event, hold.hold_id.time())?;
        let held = self.judge_memory(now, self.take(now, event, hold)?)?;
        Ok(Decision::Change(event.number, Change::Held(held)))
    }

    /// A hold that could not be remembered after its end is not made.
    #[inline]
    pub(crate) fn judge_memory(&self, now: TimestampMs, held: Held) -> Result<Held, Reject> {
        if self.memory_is_full(now) {
            probe::sometimes!("hold: refused, what ends cannot be remembered");
            probe::tell!("no room", (held.hold_id.0 >> 64) as u64, held.hold_id.0 as u64);
            return Err(Reject::CapacityBudget);
        }
        Ok(held)
    }

    /// What a hold takes whose id is new and of a right age.
    pub(crate) fn take(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Result<Held, Reject> {
        let policies = &event.settings.policies;
        let limited = policies.limit_customers() || !event.settings.limits.by_level.is_empty();
        if limited && !hold.customer.is_some() {
            return Err(Reject::invalid(Field::Customer, "this event limits customers: name one"));
        }
        let replaced = hold.replace.map(|id| self.replaceable(now, event, id, hold)).transpose()?;

        let explicit = explicit_seats(event, hold)?;
        let areas = areas_of(event, hold)?;
        let wanted = hold.best.as_ref().map(|best| wanted_of(event, best)).transpose()?;

        let access = Access::at(event, &hold.allocations, now);
        access.judge_windows(now, &explicit, &areas, wanted.is_some())?;
        access.judge_tags(&explicit, &[])?;
        let quantity_max = policies.places_per_hold_max;
        let admitted = hold.admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        let asked = explicit.len() as u32 + wanted.as_ref().map_or(0, |wanted| wanted.quantity) + admitted;
        if asked > quantity_max {
            return Err(Reject::TooManyPlaces { places_max: quantity_max });
        }

        let freed =
            |area, source| admissions_of(area, source, replaced.iter().flat_map(|entry| entry.unsold_admissions()));
        let mut admissions = match hold.admissions.is_empty() {
            true => Admissions::new(),
            false => admit(&access, hold, &areas, freed)?,
        };
        let mut except: Vec<u32> =
            replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
        except.sort_unstable();
        let looked_at = explicit.len() - usize::from(explicit.len() > 1 && probe::planted!(LastSeatUnchecked));
        let in_the_way = blocking(event, explicit[..looked_at].iter().map(|seat| seat.index), &except);
        if !in_the_way.is_empty() {
            return Err(Reject::PlacesUnavailable { places: in_the_way });
        }
        let explicit_count = explicit.len();
        let mut seats = explicit;
        let mut arrangement = Arrangement::None;
        if let Some(wanted) = wanted {
            let mut also: Vec<u32> = seats.iter().map(|seat| seat.index).collect();
            also.sort_unstable();
            let reached = access.reached_by_best();
            let taken = reached.taken(&also, &except);
            let kinds = hold.ticket_types.iter().skip(seats.len()).copied().chain(core::iter::repeat(0));
            let asked = hold.best.as_ref();
            let room = |area| {
                let of_source = |&source: &u8| {
                    access.room(area, source) + freed(area, source)
                        - admissions_of(area, source, admissions.iter().copied())
                };
                access.sources_of_best(area).iter().map(of_source).sum()
            };
            match asked.and_then(|asked| choose(event, asked, reached.openings(), taken, &wanted, room)) {
                Some((Chosen::Seats(chosen), how)) => {
                    arrangement = how;
                    seats.extend(chosen.into_iter().zip(kinds).map(|(index, ticket_type)| Seat { index, ticket_type }));
                }
                Some((Chosen::Area(area), how)) => {
                    arrangement = how;
                    let persons = kinds.take(wanted.quantity as usize);
                    let sources = access.sources_of_best(area);
                    for ticket_type in persons {
                        let one = Admission { area, ticket_type, quantity: 1, source: GENERAL };
                        draw(&mut admissions, one, &sources, |area, source| {
                            access.room(area, source) + freed(area, source)
                        });
                    }
                }
                None => return Err(nothing_fits(&access, &wanted, hold.best.as_ref())),
            }
        }
        if event.rules.is_some() {
            with_bundles(&seats, &admissions, replaced, |more, less| event.judge_quotas(more, less))?;
        }
        let judged = if probe::planted!(OrphanJudgedTwice) { seats.len() } else { explicit_count };
        judge_orphans(&access, &seats[..judged], &except)?;
        self.judge_customer(now, event, hold, &seats, &admissions, replaced)?;
        let ttl_ms = if hold.ttl_ms == 0 { u64::from(policies.hold_ttl_s) * 1_000 } else { u64::from(hold.ttl_ms) };
        let lifetime_ms = u64::from(policies.lifetime_s_max) * 1_000;
        Ok(Held {
            hold_id: hold.hold_id,
            fingerprint: hold.fingerprint(),
            customer: hold.customer,
            created_at: replaced.map_or(now, |entry| entry.created_at),
            expires_at: replaced.map_or(now.plus_ms(ttl_ms.min(lifetime_ms)), |entry| entry.until),
            renewals: replaced.map_or(0, |entry| entry.renewals),
            // At most 8 by the policy.
            attempts: replaced.map_or(0, |entry| entry.attempts_used() as u8),
            replaced: hold.replace,
            arrangement,
            tags: if event.allocations.is_some() { tags_of(event, &seats).into() } else { Box::default() },
            seats,
            admissions,
        })
    }

    pub(crate) fn replaceable(&self, now: TimestampMs, event: &Event, id: HoldId, by: &Hold) -> Result<&Entry, Reject> {
        let entry = self.remembered(now, event, id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        match live_or_ended(now, entry) {
            HoldState::Active => {}
            HoldState::Paying => return Err(Reject::PaymentInProgress),
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if entry.has_sold() {
            return Err(Reject::HoldAlreadyConfirmed { executed: false });
        }
        if entry.customer != by.customer {
            return Err(Reject::invalid(Field::Customer, "must be the customer of the hold that is replaced"));
        }
        Ok(entry)
    }

    fn judge_customer(
        &self,
        now: TimestampMs,
        event: &Event,
        hold: &Hold,
        seats: &[Seat],
        admissions: &[Admission],
        replaced: Option<&Entry>,
    ) -> Result<(), Reject> {
        if !hold.customer.is_some() {
            return Ok(());
        }
        let policies = &event.settings.policies;
        let (mut places, mut holds) = event.customer(hold.customer);
        if let Some(entry) = replaced {
            places -= unsold_count(entry);
            holds -= 1;
        }
        let more = seats.len() as u32 + admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        let limit = policies.places_per_customer_max;
        if limit > 0 && places + more > limit {
            return Err(Reject::CustomerLimit { places_max: limit, level: None });
        }
        if event.rules.is_some() {
            with_bundles(seats, admissions, replaced, |more, less| event.judge_levels(hold.customer, more, less))?;
        }
        let limit = policies.holds_per_customer_max;
        if limit > 0 && holds + 1 > limit {
            return Err(Reject::HoldQuota { holds_max: limit });
        }
        if replaced.is_none() && policies.abandon_credits_max > 0 {
            event.abandoned.judge(now, hold.customer, policies)?;
        }
        Ok(())
    }
}

/// The explicit picks, indexes first, with their ticket types.
pub(crate) fn explicit_seats(event: &Event, hold: &Hold) -> Result<Seats, Reject> {
    let by_index = hold.admissions.iter().any(|a| matches!(a.area, AreaName::Index(_))) || !hold.seats.is_empty();
    check_revision(event.plan_revision, hold.plan_revision, by_index)?;
    let plan = &event.plan;
    let kind = |at: usize| hold.ticket_types.get(at).copied().unwrap_or(0);
    let chosen = hold.best.as_ref().map_or(0, |best| usize::from(best.quantity));
    let mut seats = Seats::with_capacity(hold.seats.len() + hold.seat_keys.len() + chosen);
    for (at, &index) in hold.seats.iter().enumerate() {
        if index >= plan.seat_count() {
            return Err(Reject::UnknownPlace { field: Field::Seats, position: at as u32 });
        }
        seats.push(Seat { index, ticket_type: kind(at) });
    }
    for (at, key) in hold.seat_keys.iter().enumerate() {
        let unknown = Reject::UnknownPlace { field: Field::SeatKeys, position: at as u32 };
        let index = plan.find_seat(key).ok_or(unknown)?;
        let position = hold.seats.len() + at;
        if seats.iter().any(|seat| seat.index == index) {
            return Err(Reject::DuplicateSeat { position: position as u32 });
        }
        seats.push(Seat { index, ticket_type: kind(position) });
    }
    Ok(seats)
}

pub(crate) fn areas_of(event: &Event, hold: &Hold) -> Result<SmallVec<[u16; 4]>, Reject> {
    let named = hold.admissions.iter().enumerate().map(|(at, admission)| {
        let found = match &admission.area {
            AreaName::Index(index) => (usize::from(*index) < event.plan.areas().len()).then_some(*index),
            AreaName::Key(key) => event.plan.find_area(key),
        };
        found.ok_or(Reject::UnknownPlace { field: Field::Ga, position: at as u32 })
    });
    named.collect()
}

pub(crate) fn wanted_of(event: &Event, best: &BestAvailable) -> Result<Wanted, Reject> {
    let plan = &event.plan;
    let unknown = |field, at: usize| Reject::UnknownPlace { field, position: at as u32 };
    let levels = best.price_levels.iter().enumerate();
    let levels = levels.map(|(at, name)| plan.find_level(name).ok_or(unknown(Field::PriceLevels, at)));
    let sections = best.sections.iter().enumerate();
    let sections = sections.map(|(at, key)| plan.find_section(key).ok_or(unknown(Field::Sections, at)));
    let zone = best.zone.as_ref().map(|key| plan.find_zone(key).ok_or(unknown(Field::Zone, 0)));
    let (mut levels, mut sections) = (levels.collect::<Result<Vec<_>, _>>()?, sections.collect::<Result<Vec<_>, _>>()?);
    levels.sort_unstable();
    levels.dedup();
    sections.sort_unstable();
    sections.dedup();
    Ok(Wanted {
        quantity: u32::from(best.quantity),
        levels,
        sections,
        zone: zone.transpose()?,
        accessible_count: u32::from(best.accessible_count),
        avoid: Vec::new(),
    })
}

/// Seats among `seats` that are not open, but for those in the sorted list `except`.
pub(crate) fn blocking(event: &Event, seats: impl Iterator<Item = u32>, except: &[u32]) -> Vec<PlaceInTheWay> {
    seats
        .map(|seat| (seat, event.seat_state(seat)))
        .filter(|(seat, state)| *state != PlaceState::Open && except.binary_search(seat).is_err())
        .map(|(seat, state)| PlaceInTheWay { place: Moved::Seat(seat), state })
        .take(NAMED_MAX)
        .collect()
}

/// Admissions granted, one for each area, ticket type and source, in order of first mention. `freed_of`: how many of a
/// source of an area the command gives back.
pub(crate) fn admit(
    access: &Access<'_>,
    hold: &Hold,
    areas: &[u16],
    freed_of: impl Fn(u16, u8) -> u32,
) -> Result<Admissions, Reject> {
    let mut granted = Admissions::with_capacity(areas.len());
    for (wanted, &area) in hold.admissions.iter().zip(areas) {
        let sources = access.sources(area);
        let room = |area, source| access.room(area, source) + freed_of(area, source);
        let left = |&source: &u8| room(area, source) - admissions_of(area, source, granted.iter().copied());
        let open: u32 = sources.iter().map(left).sum();
        let must = u32::from(if wanted.quantity_min == 0 { wanted.quantity } else { wanted.quantity_min });
        if open < must {
            // The public state: what this very command frees or takes is no news to its caller.
            let held = sources.iter().map(|&source| access.held(area, source)).sum();
            let none = held == 0 && sources.iter().all(|&source| access.room(area, source) == 0);
            return Err(Reject::nothing_fits(none, held, None));
        }
        // At most 64 in all: the shape check has counted.
        let quantity = u32::from(wanted.quantity).min(open) as u8;
        let wanted = Admission { area, ticket_type: wanted.ticket_type, quantity, source: GENERAL };
        draw(&mut granted, wanted, &sources, room);
    }
    Ok(granted)
}

/// The first rung that fits. `openings`: those of what is reached, if they are known. `room`: how many an area still
/// admits.
pub(crate) fn choose(
    event: &Event,
    asked: &BestAvailable,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    wanted: &Wanted,
    room: impl Fn(u16) -> u32,
) -> Option<(Chosen, Arrangement)> {
    let (plan, rule) = (&event.plan, event.settings.policies.orphan_rule);
    if let Some((seats, how)) = ladder::adjacent(plan, openings, taken, wanted, rule) {
        return Some((Chosen::Seats(seats), how));
    }
    if asked.contiguous_only {
        return None;
    }
    if let Some(seats) = ladder::split(plan, openings, taken, wanted) {
        probe::sometimes!("hold: the party is split");
        return Some((Chosen::Seats(seats), Arrangement::Split));
    }
    if asked.seats_only || wanted.accessible_count > 0 || !wanted.sections.is_empty() {
        return None;
    }
    let area = ladder::nearest_area(plan, wanted, |area| room(area) >= wanted.quantity)?;
    probe::sometimes!("hold: general admission instead of seats");
    Some((Chosen::Area(area), Arrangement::General))
}

/// Whether explicit picks leave a single seat alone where others would not: ADR-0030. `except`: sorted.
fn judge_orphans(access: &Access<'_>, explicit: &[Seat], except: &[u32]) -> Result<(), Reject> {
    let event = access.event();
    let rule = event.settings.policies.orphan_rule;
    if rule == OrphanRule::Off || explicit.is_empty() {
        return Ok(());
    }
    let reached = access.reached();
    let taken = reached.taken(&[], except);
    if !orphan::may_strand(&event.plan, taken, explicit) {
        return Ok(());
    }
    let mut picked: SmallVec<[u32; 16]> = explicit.iter().map(|seat| seat.index).collect();
    picked.sort_unstable();
    let mut stranding = orphan::stranding_pieces(&event.plan, taken, &picked);
    if stranding.any(|piece| has_alternative(event, reached.openings(), taken, &piece, rule)) {
        probe::sometimes!("hold: a single seat would be left alone");
        return Err(Reject::WouldStrand);
    }
    Ok(())
}

/// Whether the run, or by the strict rule the section, offers as many seats of these price levels that strand none.
fn has_alternative(
    event: &Event,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    piece: &Piece,
    rule: OrphanRule,
) -> bool {
    let plan = &event.plan;
    let size = piece.seats.end - piece.seats.start;
    let is_special = |seat: u32| plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) != 0;
    let may_be_special = piece.seats.clone().any(is_special);
    let mut levels: SmallVec<[u8; 16]> = piece.seats.clone().map(|seat| plan.seat_level(seat)).collect();
    levels.sort_unstable();
    levels.dedup();
    let allowed = |seat: u32| levels.contains(&plan.seat_level(seat)) && (may_be_special || !is_special(seat));
    if orphan::run_offers(&piece.run, size, allowed) {
        return true;
    }
    if rule != OrphanRule::Strict {
        return false;
    }
    let section = plan.rows()[plan.row_of(piece.seats.start) as usize].section;
    if may_be_special {
        let rows = plan.sections()[usize::from(section)].rows.clone();
        let rows = rows.map(|row| &plan.rows()[row as usize]).filter(|row| row.kind == RowKind::Row);
        let mut runs = rows.flat_map(|row| Runs::of_row(plan, taken, row));
        return runs.any(|run| orphan::run_offers(&run, size, allowed));
    }
    let wanted = Wanted { quantity: size, levels: levels.to_vec(), sections: [section].into(), ..Wanted::default() };
    ladder::has_adjacent(plan, openings, taken, &wanted)
}

/// What a hold takes, and what the hold gives that it replaces, for rules that count places.
#[cold]
fn with_bundles(
    seats: &[Seat],
    admissions: &[Admission],
    replaced: Option<&Entry>,
    judge: impl FnOnce(Bundle<'_>, Bundle<'_>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let seats: SeatIndexes = seats.iter().map(|seat| seat.index).collect();
    let freed_seats: SeatIndexes =
        replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
    let freed_admissions: Admissions = replaced.iter().flat_map(|entry| entry.unsold_admissions()).collect();
    judge(Bundle { seats: &seats, admissions }, Bundle { seats: &freed_seats, admissions: &freed_admissions })
}

/// Allocations that seats are of, sorted.
#[cold]
fn tags_of(event: &Event, seats: &[Seat]) -> Vec<u8> {
    let mut tags: Vec<u8> = seats.iter().map(|seat| event.tag(seat.index)).filter(|&tag| tag != 0).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn admissions_of(area: u16, source: u8, admissions: impl Iterator<Item = Admission>) -> u32 {
    let of_source = admissions.filter(|admission| (admission.area, admission.source) == (area, source));
    of_source.map(|admission| u32::from(admission.quantity)).sum()
}

/// Why best available found no room: sold out when nothing that matches is open and nothing held.
pub(crate) fn nothing_fits(access: &Access<'_>, wanted: &Wanted, asked: Option<&BestAvailable>) -> Reject {
    let event = access.event();
    let plan = &event.plan;
    let (mut open, mut held) = (event.seats.open, event.seats.held);
    let has_filter = !(wanted.levels.is_empty() && wanted.sections.is_empty() && wanted.zone.is_none());
    if has_filter || !access.best_reaches_all() {
        (open, held) = count_matching(event, &access.reached_by_best(), wanted);
    }
    // General admission could serve the party as well, unless it asked for what only seats give.
    let seats_only = asked.is_some_and(|best| best.seats_only || best.contiguous_only);
    if !seats_only && wanted.accessible_count == 0 && wanted.sections.is_empty() {
        for (at, area) in plan.areas().iter().enumerate() {
            let matches = (wanted.levels.is_empty() || wanted.levels.contains(&area.level))
                && (wanted.zone.is_none() || area.zone == wanted.zone);
            if matches {
                // At most 4,096 areas.
                let area = at as u16;
                for source in access.sources_of_best(area) {
                    open += access.room(area, source);
                    held += access.held(area, source);
                }
            }
        }
    }
    Reject::nothing_fits(open == 0 && held == 0, held, None)
}

/// Seats that pass the filters: how many are open, and how many held.
fn count_matching(event: &Event, reached: &Reached<'_>, wanted: &Wanted) -> (u32, u32) {
    let plan = &event.plan;
    let (mut open, mut held) = (0, 0);
    for block in plan.blocks() {
        let section = &plan.sections()[usize::from(block.section)];
        let matches = (wanted.levels.is_empty() || wanted.levels.contains(&block.level))
            && (wanted.sections.is_empty() || wanted.sections.contains(&block.section))
            && (wanted.zone.is_none() || section.zone == wanted.zone);
        if matches {
            let counted = reached.count(block.first..block.first + block.count);
            (open, held) = (open + counted.0, held + counted.1);
        }
    }
    (open, held)
}
