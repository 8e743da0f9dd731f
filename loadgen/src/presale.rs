//! Places set aside for buyers who bring a key: set aside before the sale, and whether nobody else got one after it.
//!
//! Not here: who brings it (`buyer.rs`).

use std::collections::BTreeSet;

use anyhow::Context;
use client::Client;
use proto::admin::v1::SetAllocationRequest;
use proto::inventory::v1::{GaItem, PlaceSet};
use serde_json::Value;

use crate::audit::{Findings, public_name};
use crate::ledger::Ledger;
use crate::patience::Patience;

/// The key.
pub(crate) const KEY: &str = "presale";

/// Holds that were granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) with_key: u64,
    pub(crate) without: u64,
}

/// Sets the nearest rows and a part of each area aside, about so many percent of the places of a plan of our own.
pub(crate) async fn set_aside(
    client: &Client,
    event_id: &str,
    plan: &Value,
    percent: u32,
    patience: Patience,
) -> anyhow::Result<()> {
    let request = SetAllocationRequest {
        event_id: event_id.to_owned(),
        request_id: client.ids().request_id().to_string(),
        allocation_key: KEY.to_owned(),
        places: Some(share(plan, percent)),
        ..SetAllocationRequest::default()
    };
    patience
        .ask(|| {
            let request = request.clone();
            async move { client.unary().set_allocation(request).await }
        })
        .await
        .context("cannot set places aside")?;
    Ok(())
}

/// The first seats of a plan by index, at most as many as one request may name; its first row is the nearest.
fn share(plan: &Value, percent: u32) -> PlaceSet {
    const SEATS_MAX: u64 = 4_096;
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let number = |of: &Value| of.as_u64().unwrap_or(0);
    let rows = list(&plan["sections"]).iter().flat_map(|section| list(&section["rows"])).collect::<Vec<Value>>();
    let seats: u64 = rows.iter().map(|row| number(&row["count"])).sum();
    let part = |of: u64| u32::try_from(of * u64::from(percent) / 100).unwrap_or(u32::MAX);
    let ga = (0..).zip(list(&plan["areas"]));
    let ga = ga.map(|(area, one)| GaItem { area, quantity: part(number(&one["capacity"])), ..GaItem::default() });
    PlaceSet {
        seats: (0..part(seats).min(SEATS_MAX as u32)).collect(),
        ga: ga.filter(|item| item.quantity > 0).collect(),
        ..PlaceSet::default()
    }
}

/// Looks at every grant: with the key only what is set aside, without it nothing of that.
pub(crate) fn judge(ledger: &Ledger, findings: &mut Findings) -> Tally {
    let aside: BTreeSet<u32> = ledger.event.presale_seats.iter().copied().collect();
    let mut tally = Tally::default();
    for (id, entry) in &ledger.entries {
        let Some(held) = &entry.held else { continue };
        *(if held.presale { &mut tally.with_key } else { &mut tally.without }) += 1;
        if let Some(seat) = held.seats.iter().find(|seat| aside.contains(seat) != held.presale) {
            findings.wrong += 1;
            findings.problem(|| {
                let (name, with) = (public_name(id), if held.presale { "with" } else { "without" });
                format!("hold {name}: {with} the key of the presale it got seat {seat}")
            });
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{EventFact, Fact, HeldFact};
    use crate::made_venue;

    fn held(hold: &str, seats: &[u32], presale: bool) -> Fact {
        Fact::Held(HeldFact {
            hold: hold.to_owned(),
            seats: seats.to_vec(),
            ga: Vec::new(),
            position: 1,
            exact: true,
            server_time_ms: 1,
            expires_at_ms: 2,
            best: None,
            presale,
        })
    }

    #[test]
    fn a_share_is_of_seats_and_of_areas() {
        let set = share(&made_venue::sale_plan(1_000, false), 20);
        assert_eq!((set.seats.len(), set.seats.first(), set.seats.last()), (194, Some(&0), Some(&193)));
        assert_eq!((set.ga.len(), set.ga[0].area, set.ga[0].quantity), (1, 0, 6));
    }

    #[test]
    fn who_got_what_is_not_for_them_is_found() {
        let event = EventFact { presale_seats: vec![0, 1], seat_count: 4, ..EventFact::default() };
        for (seats, presale, wrong) in
            [(vec![0, 1], true, 0), (vec![2, 3], false, 0), (vec![1, 2], true, 1), (vec![1, 2], false, 1)]
        {
            let mut ledger = Ledger::new(event.clone());
            ledger.note(held("01934b2e-7f00-7abc-8def-0123456789ab", &seats, presale));
            let mut findings = Findings::default();
            let tally = judge(&ledger, &mut findings);
            assert_eq!((findings.wrong, tally.with_key), (wrong, u64::from(presale)), "{seats:?} {presale}");
        }
    }
}
