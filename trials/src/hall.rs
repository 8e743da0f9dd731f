//! The small house that every trial sells: few enough places that clients meet at them all the time.

use serde_json::{Value, json};

/// Rows of the house.
pub const ROWS: u32 = 4;
/// Seats of a row. Neighbours by index; no aisle, so that a run of open seats is all a best pick needs.
pub const ROW_SEATS: u32 = 10;
/// Seats.
pub const SEATS: u32 = ROWS * ROW_SEATS;
/// Admissions to the one area.
pub const FLOOR: u32 = 12;
/// How often a hold may be extended.
pub const RENEWALS_MAX: u32 = 3;

/// Its plan, in the format of the plan documentation.
#[must_use]
pub fn plan() -> Value {
    let rows: Vec<Value> = (0..ROWS)
        .map(|row| {
            json!({
                "label": (row + 1).to_string(),
                "count": ROW_SEATS,
                "start": [-2.25, f64::from(row) + 3.0],
                "step": [0.5, 0],
            })
        })
        .collect();
    json!({
        "usher_plan": 1,
        "name": "A small house",
        "price_levels": ["All"],
        "focal_point": [0, 0],
        "sections": [{"key": "S", "level": "All", "rows": rows}],
        "areas": [{"key": "Floor", "level": "All", "capacity": FLOOR, "centre": [0, 1]}],
    })
}
