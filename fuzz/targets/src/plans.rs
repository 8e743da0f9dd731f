//! Plan files.

use std::sync::{Arc, OnceLock};

use inventory_core::{
    ids::PlanDigest,
    plan::{Plan, PlanSpec},
    plan_codec::{decode_plan, encode_plan},
};

/// A plan of our own, for what needs one.
const HOUSE: &[u8] = include_bytes!("../../../plans/theatre-300.json");

/// The spec of the house.
pub(crate) fn house_spec() -> PlanSpec {
    let options = venue::ImportOptions::default();
    venue::import(venue::Format::Usher, HOUSE, &options).expect("a document of our own").spec
}

/// The house, built.
pub(crate) fn house() -> Arc<Plan> {
    static BUILT: OnceLock<Arc<Plan>> = OnceLock::new();
    let build = || Arc::new(Plan::build(&house_spec(), PlanDigest([7; 32])).expect("a plan of our own"));
    Arc::clone(BUILT.get_or_init(build))
}

/// A plan file: one that decodes writes back as it was, and its sense is checked without a panic.
pub(crate) fn plans(bytes: &[u8]) {
    let Ok(spec) = decode_plan(bytes) else { return };
    assert_eq!(encode_plan(&spec), bytes, "one plan has one encoding");
    let _ = Plan::build(&spec, PlanDigest([1; 32]));
}
