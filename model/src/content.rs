//! Content of a command, to be compared with that of a repeated one: spelled out as text where the
//! core hashes it.

use inventory_core::{
    allocation::{AllocationKeys, RemoveAllocation, SetAllocation},
    cart::{HoldMany, PrepareCart},
    command::{Confirm, CreateEvent, Extend, Hold, Part, Release, UpdateEvent},
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{Exchange, ReturnPlaces, Take},
    kill::{Kill, Unkill},
    price_level::SetPriceLevel,
};

/// All that a repeated command must say again.
pub(crate) type Content = String;

/// How the content of a sale without a hold begins.
pub(crate) const SELL: &str = "sell";

pub(crate) fn of_create(create: &CreateEvent) -> Content {
    format!("create {:?}", (&create.id, create.plan.digest(), &create.settings))
}

/// All but the request id and the conditions.
pub(crate) fn of_update(update: &UpdateEvent) -> Content {
    let times = (update.opens_at, update.closes_at, update.starts_at);
    let texts = (&update.display_name, &update.time_zone, &update.labels);
    let plan = update.plan.as_ref().map(|plan| plan.digest());
    let limits = (&update.level_limits, &update.quotas);
    format!("update {:?}", (update.state, times, update.policies, texts, limits, plan))
}

/// In the form it was sent: a key is not the index it stands for. Seats with their ticket types are
/// a set of pairs.
pub(crate) fn of_hold(hold: &Hold) -> Content {
    let kind = |at: usize| hold.ticket_types.get(at).copied().unwrap_or(0);
    let mut seats: Vec<_> = hold.seats.iter().enumerate().map(|(at, seat)| (*seat, kind(at))).collect();
    seats.sort_unstable();
    let keys = hold.seat_keys.iter().enumerate();
    let mut keys: Vec<_> = keys.map(|(at, key)| (key, kind(hold.seats.len() + at))).collect();
    keys.sort_unstable();
    let chosen: Vec<u8> = hold.ticket_types.iter().skip(seats.len() + keys.len()).copied().collect();
    let rest = (hold.customer, hold.ttl_ms, hold.replace, hold.plan_revision);
    format!("hold {:?}", (seats, keys, &hold.admissions, &hold.best, chosen, rest, of_keys(&hold.allocations)))
}

/// In their order: it is that of drawing.
fn of_keys(keys: &AllocationKeys) -> Content {
    format!("{:?}", (&keys.keys, keys.include_unallocated))
}

/// Also which events, in their order.
pub(crate) fn of_hold_many(many: &HoldMany) -> Content {
    let parts: Vec<_> = many.parts.iter().map(|(key, hold)| (key, of_hold(hold))).collect();
    format!("hold many {:?}", (parts, many.ttl_ms))
}

/// All but the deadline, which an outage moves.
pub(crate) fn of_prepare(prepare: &PrepareCart) -> Content {
    format!("part of {:?} {}", prepare.first, of_hold(&prepare.hold))
}

/// As of a hold: seats with their ticket types are a set of pairs.
fn of_named(places: &NamedPlaces) -> Content {
    let kind = |at: usize| places.ticket_types.get(at).copied().unwrap_or(0);
    let mut seats: Vec<_> = places.seats.iter().enumerate().map(|(at, seat)| (*seat, kind(at))).collect();
    seats.sort_unstable();
    let keys = places.seat_keys.iter().enumerate();
    let mut keys: Vec<_> = keys.map(|(at, key)| (key, kind(places.seats.len() + at))).collect();
    keys.sort_unstable();
    format!("{:?}", (seats, keys, &places.admissions, places.plan_revision, of_keys(&places.allocations)))
}

// Of these commands too: all but the request id and the conditions. Sets of places in the form they were sent.

pub(crate) fn of_sell_direct(sell: &SellDirect) -> Content {
    format!("{SELL} {:?}", (&sell.order, of_named(&sell.places), sell.customer))
}

pub(crate) fn of_return(command: &ReturnPlaces) -> Content {
    format!("return {:?}", (&command.order, &command.places, command.to, &command.reason))
}

pub(crate) fn of_exchange(exchange: &Exchange) -> Content {
    let take = match &exchange.take {
        Take::Places(places) => of_named(places),
        Take::Hold(id) => format!("{id:?}"),
    };
    format!("exchange {:?}", (&exchange.order, &exchange.give, take))
}

pub(crate) fn of_kill(kill: &Kill) -> Content {
    format!("kill {:?}", (&kill.places, &kill.reason, kill.force))
}

pub(crate) fn of_unkill(unkill: &Unkill) -> Content {
    format!("unkill {:?}", unkill.places)
}

pub(crate) fn of_set_allocation(set: &SetAllocation) -> Content {
    format!("set allocation {:?}", (&set.key, &set.places, set.opens_at, set.closes_at))
}

pub(crate) fn of_remove_allocation(remove: &RemoveAllocation) -> Content {
    format!("remove allocation {:?}", (&remove.key, &remove.places))
}

/// The plan is made of the rest.
pub(crate) fn of_set_price_level(set: &SetPriceLevel) -> Content {
    format!("set price level {:?}", (&set.places, &set.level))
}

pub(crate) fn of_extend(extend: &Extend) -> Content {
    format!("extend {}", extend.ttl_ms)
}

pub(crate) fn of_confirm(confirm: &Confirm) -> Content {
    format!("confirm {:?}", (&confirm.order, confirm.attempt_id, confirm.remainder, of_part(&confirm.part)))
}

pub(crate) fn of_release(release: &Release) -> Content {
    format!("release {:?}", (release.abort_payment, of_part(&release.part)))
}

fn of_part(part: &Part) -> Content {
    let mut part = part.clone();
    part.seats.sort_unstable();
    part.admissions.sort_unstable();
    format!("{part:?}")
}
