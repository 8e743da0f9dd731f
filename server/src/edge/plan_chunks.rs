//! A plan in chunks: zones, price levels and sections first, then rows, seats and areas. Chunks are made
//! as they are sent, so that a plan of a million seats is never twice in memory.

use std::sync::Arc;

use inventory_core::plan::{Plan, Point, RowKind};
use proto::inventory::v1 as wire;

/// Sections in a chunk. Keys and labels are at most 128 bytes, so that a chunk stays under 300 KiB, and
/// usually under 30.
const SECTIONS_PER_CHUNK: u32 = 512;
/// Rows in a chunk.
const ROWS_PER_CHUNK: u32 = 1_024;
/// Seats in a chunk.
const SEATS_PER_CHUNK: u32 = 1_024;
/// Areas in a chunk.
const AREAS_PER_CHUNK: u32 = 512;

/// All chunks of a plan, in order.
pub(crate) fn chunks(plan: Arc<Plan>, plan_revision: u32) -> impl Iterator<Item = wire::PlanChunk> + Send {
    let empty = wire::PlanChunk { plan_digest: plan.digest().to_string(), plan_revision, ..wire::PlanChunk::default() };
    let part = move |fill: &dyn Fn(&mut wire::PlanChunk)| {
        let mut chunk = empty.clone();
        fill(&mut chunk);
        chunk
    };
    let steps = std::iter::once(Step::Head)
        .chain(ranges(length(plan.sections()), SECTIONS_PER_CHUNK).map(Step::Sections))
        .chain(ranges(length(plan.rows()), ROWS_PER_CHUNK).map(Step::Rows))
        .chain(ranges(plan.seat_count(), SEATS_PER_CHUNK).map(Step::Seats))
        .chain(ranges(length(plan.areas()), AREAS_PER_CHUNK).map(Step::Areas));
    steps.map(move |step| match step {
        Step::Head => part(&|chunk| head(&plan, chunk)),
        Step::Sections(range) => part(&|chunk| chunk.sections = range.clone().map(|at| section(&plan, at)).collect()),
        Step::Rows(range) => part(&|chunk| chunk.rows = range.clone().map(|at| row(&plan, at)).collect()),
        Step::Seats(range) => part(&|chunk| chunk.seats = Some(seats(&plan, range.clone()))),
        Step::Areas(range) => part(&|chunk| chunk.ga_areas = range.clone().map(|at| area(&plan, at)).collect()),
    })
}

enum Step {
    Head,
    Sections(std::ops::Range<u32>),
    Rows(std::ops::Range<u32>),
    Seats(std::ops::Range<u32>),
    Areas(std::ops::Range<u32>),
}

fn ranges(count: u32, size: u32) -> impl Iterator<Item = std::ops::Range<u32>> + Send {
    (0..count.div_ceil(size)).map(move |at| at * size..count.min((at + 1) * size))
}

/// The lists of a plan are under 2^20 long.
fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn head(plan: &Plan, chunk: &mut wire::PlanChunk) {
    chunk.seat_count = plan.seat_count();
    chunk.capacity = plan.capacity();
    chunk.display_name = plan.name().to_owned();
    chunk.focal_point = plan.focal_point().map(point);
    let zone = |zone: &inventory_core::plan::Zone| wire::PlanZone {
        key: zone.key.to_string(),
        label: zone.label.to_string(),
        focal_point: zone.focal_point.map(point),
    };
    chunk.zones = plan.zones().iter().map(zone).collect();
    let level = |name: &str| wire::PlanPriceLevel { key: name.to_owned(), label: name.to_owned() };
    chunk.price_levels = plan.price_levels().iter().map(|name| level(name)).collect();
}

fn section(plan: &Plan, at: u32) -> wire::PlanSection {
    let section = &plan.sections()[at as usize];
    wire::PlanSection {
        key: section.key.to_string(),
        label: section.label.to_string(),
        zone: section.zone.map(u32::from),
    }
}

fn row(plan: &Plan, at: u32) -> wire::PlanRow {
    let row = &plan.rows()[at as usize];
    wire::PlanRow {
        section: u32::from(row.section),
        label: row.label.to_string(),
        first_seat: row.first,
        seat_count: row.count,
        kind: match row.kind {
            RowKind::Row => wire::RowKind::Row,
            RowKind::Table => wire::RowKind::Table,
        } as i32,
        aisles_after: row.seats().filter(|&seat| plan.aisle_after(seat)).map(|seat| seat - row.first).collect(),
    }
}

fn seats(plan: &Plan, range: std::ops::Range<u32>) -> wire::PlanSeats {
    wire::PlanSeats {
        first_seat: range.start,
        keys: range.clone().map(|seat| plan.seat_key(seat).to_owned()).collect(),
        labels: unless_default(range.clone().map(|seat| plan.seat_label(seat).to_owned())),
        x: unless_default(range.clone().map(|seat| plan.seat_at(seat).x)),
        y: unless_default(range.clone().map(|seat| plan.seat_at(seat).y)),
        price_levels: unless_default(range.clone().map(|seat| u32::from(plan.seat_level(seat)))),
        attributes: unless_default(range.map(|seat| u32::from(plan.seat_attributes(seat)))),
    }
}

fn area(plan: &Plan, at: u32) -> wire::PlanGaArea {
    let area = &plan.areas()[at as usize];
    wire::PlanGaArea {
        key: area.key.to_string(),
        label: area.label.to_string(),
        zone: area.zone.map(u32::from),
        price_level: u32::from(area.level),
        capacity: area.capacity,
        centre: Some(point(area.centre)),
    }
}

fn point(point: Point) -> wire::PlanPoint {
    wire::PlanPoint { x: point.x, y: point.y }
}

/// A column, or nothing when it is all zero or all empty.
fn unless_default<T: Default + PartialEq>(column: impl Iterator<Item = T>) -> Vec<T> {
    let column: Vec<T> = column.collect();
    if column.iter().all(|value| *value == T::default()) { Vec::new() } else { column }
}
