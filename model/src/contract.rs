//! What two implementations must agree in: everything the contract says of an answer, and no more.

use std::collections::BTreeMap;

use inventory_core::{
    change::{HoldState, HoldView},
    ids::TimestampMs,
    place::{Admission, Admissions},
    reject::Reject,
    slot::SoldPart,
};

use crate::{Answer, Grant};

/// The answer as far as the contract says it: texts of problems are for people, admissions of one
/// area and kind may come in pieces, the order of a list means nothing, etags are opaque.
///
/// # Errors
/// The refusal, when it is one.
pub fn normal(answer: Result<Answer, Reject>) -> Result<Answer, Reject> {
    match answer {
        Ok(Answer::Hold { view, replayed }) => Ok(Answer::Hold { view: normal_view(view), replayed }),
        Ok(Answer::Explained { outcome, left_alone }) => {
            let outcome = outcome.map_err(normal_reject);
            Ok(Answer::Explained { outcome: outcome.map(normal_grant), left_alone })
        }
        Ok(Answer::Touched { mut touched, replayed }) => {
            let mut areas: BTreeMap<u16, u32> = BTreeMap::new();
            touched.areas.iter().for_each(|(area, quantity)| *areas.entry(*area).or_default() += quantity);
            // None of an area is no touch.
            touched.areas = areas.into_iter().filter(|(_, quantity)| *quantity > 0).collect();
            Ok(Answer::Touched { touched, replayed })
        }
        Ok(Answer::Order { parts }) => Ok(Answer::Order { parts: parts.into_iter().map(normal_part).collect() }),
        Ok(Answer::Page { holds, parts }) => {
            let mut holds: Vec<HoldView> = holds.into_iter().map(normal_view).collect();
            let mut parts: Vec<SoldPart> = parts.into_iter().map(normal_part).collect();
            holds.sort_unstable_by_key(|hold| hold.hold_id);
            parts.sort_unstable_by(|a, b| (a.hold_id, &a.order).cmp(&(b.hold_id, &b.order)));
            Ok(Answer::Page { holds, parts })
        }
        Ok(Answer::Allocations { mut allocations }) => {
            // Whether a quota of which nothing is left is still listed, the contract does not say.
            allocations.iter_mut().for_each(|allocation| allocation.quotas.retain(|quota| quota.quota > 0));
            Ok(Answer::Allocations { allocations })
        }
        Err(reject) => Err(normal_reject(reject)),
        other => other,
    }
}

fn normal_part(part: SoldPart) -> SoldPart {
    SoldPart { admissions: merged(part.admissions), ..part }
}

fn normal_reject(reject: Reject) -> Reject {
    match reject {
        Reject::Invalid { field, .. } => Reject::Invalid { field, problem: "" },
        other => other,
    }
}

fn normal_grant(grant: Grant) -> Grant {
    Grant { admissions: merged(grant.admissions), ..grant }
}

/// The hold as far as the contract says it.
#[must_use]
pub fn normal_view(mut view: HoldView) -> HoldView {
    view.admissions = merged(view.admissions);
    view.sold_admissions = merged(view.sold_admissions);
    if !matches!(view.state, HoldState::Active | HoldState::Paying) {
        // Of an ended hold the contract names state, cause, end, orders and what is sold.
        view.expires_at = TimestampMs(0);
        view.renewals_left = 0;
        view.payment_attempts_left = 0;
    }
    view
}

fn merged(list: Admissions) -> Admissions {
    let mut merged: BTreeMap<(u16, u8), u8> = BTreeMap::new();
    for one in list {
        *merged.entry((one.area, one.ticket_type)).or_default() += one.quantity;
    }
    let admission = |((area, ticket_type), quantity)| Admission { source: 0, area, ticket_type, quantity };
    merged.into_iter().map(admission).collect()
}
