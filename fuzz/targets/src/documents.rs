//! Venue plans as documents.

use inventory_core::{
    ids::PlanDigest,
    plan::Plan,
    plan_codec::{decode_plan, encode_plan},
};
use venue::{Format, ImportOptions, SeatKey, export, import};

/// Our own format.
pub(crate) fn usher(bytes: &[u8]) {
    document(Format::Usher, bytes, SeatKey::Guid);
}

/// A chart of seats.io.
pub(crate) fn seatsio(bytes: &[u8]) {
    document(Format::Seatsio, bytes, SeatKey::Guid);
}

/// A plan of pretix, by either of its keys.
pub(crate) fn pretix(bytes: &[u8]) {
    document(Format::Pretix, bytes, SeatKey::Guid);
    document(Format::Pretix, bytes, SeatKey::Uuid);
}

/// A document without errors is a plan: it builds, it has bytes, and it is the same plan when it is written as a
/// document of ours.
fn document(format: Format, bytes: &[u8], seat_key: SeatKey) {
    let Ok(imported) = import(format, bytes, &ImportOptions { seat_key, repair: false }) else { return };
    for problem in &imported.problems {
        assert!(!problem.path.is_empty() && !problem.problem.is_empty(), "a problem that does not say where or what");
    }
    if imported.errors().next().is_some() {
        return;
    }
    let spec = imported.spec;
    Plan::build(&spec, PlanDigest([1; 32])).expect("a plan without errors builds");
    assert_eq!(decode_plan(&encode_plan(&spec)).as_ref(), Ok(&spec));
    let exported = export(&spec);
    let again = import(Format::Usher, exported.as_bytes(), &ImportOptions::default()).expect("we read what we write");
    assert_eq!(again.spec, spec, "a plan changes when it is written");
}
