//! Venues this program makes for itself, as documents of Usher's own plan format (docs/PLANS.md).

use serde_json::{Value, json};

/// Seats of a row of the churn venue. Even, so that a pair taken at an even seat strands nobody.
const CHURN_ROW_SEATS: u32 = 100;
const CHURN_SECTION_ROWS: u32 = 100;
/// Seats of a row of the sale venue, an aisle in its middle.
const SALE_ROW_SEATS: u32 = 40;
const SALE_SECTION_ROWS: u32 = 25;

/// Rows of 100 seats and nothing else, rounded up to whole rows. The document is about a byte a seat.
pub(crate) fn churn_plan(places: u32) -> Value {
    let rows = places.div_ceil(CHURN_ROW_SEATS).max(1);
    let sections: Vec<Value> = (0..rows.div_ceil(CHURN_SECTION_ROWS))
        .map(|section| {
            let first = section * CHURN_SECTION_ROWS;
            let rows: Vec<Value> = (first..rows.min(first + CHURN_SECTION_ROWS))
                .map(|row| {
                    json!({
                        "label": (row - first + 1).to_string(),
                        "count": CHURN_ROW_SEATS,
                        "start": [0, f64::from(row) + 5.0],
                        "step": [0.5, 0],
                    })
                })
                .collect();
            json!({"key": format!("S{}", section + 1), "level": "All", "rows": rows})
        })
        .collect();
    json!({
        "usher_plan": 1,
        "name": format!("Churn, {} seats", rows * CHURN_ROW_SEATS),
        "price_levels": ["All"],
        "focal_point": [25, 0],
        "sections": sections,
    })
}

/// A hall with everything a sale must get rid of: 3 % of the places stand, each first row of a section has two
/// accessible seats with companions if there shall be any, the back rows have an odd number of seats so that single
/// ones are left over.
pub(crate) fn sale_plan(places: u32, accessible: bool) -> Value {
    let standing = places * 3 / 100;
    let mut left = places - standing;
    let mut sections = Vec::new();
    let mut depth = 5.0;
    while left > 0 {
        let mut rows = Vec::new();
        for row in 1..=SALE_SECTION_ROWS {
            // The last rows of a section lose their corner, as halls do.
            let count = (SALE_ROW_SEATS - u32::from(row > SALE_SECTION_ROWS - 5)).min(left);
            if count == 0 {
                break;
            }
            left -= count;
            let mut one = json!({
                "label": row.to_string(),
                "count": count,
                "start": [-10, depth],
                "step": [0.5, 0],
            });
            if count > SALE_ROW_SEATS / 2 {
                one["aisles_after"] = json!([SALE_ROW_SEATS / 2]);
            }
            if accessible && row == 1 && count >= 4 {
                one["accessible"] = json!([1, count]);
                one["companion"] = json!([2, count - 1]);
            }
            rows.push(one);
            depth += 1.0;
        }
        let number = sections.len() + 1;
        let level = ["Front", "Middle", "Back"][sections.len().min(2)];
        sections.push(json!({"key": format!("S{number}"), "level": level, "rows": rows}));
    }
    let mut plan = json!({
        "usher_plan": 1,
        "name": format!("Sale, {places} places"),
        "price_levels": ["Front", "Middle", "Back", "Standing"],
        "focal_point": [0, 0],
        "sections": sections,
    });
    if standing > 0 {
        plan["areas"] = json!([{"key": "Floor", "level": "Standing", "capacity": standing, "centre": [0, 3]}]);
    }
    plan
}

/// One row of ten seats: what a thousand people want the same seat of.
pub(crate) fn one_seat_plan() -> Value {
    json!({
        "usher_plan": 1,
        "name": "One seat",
        "price_levels": ["All"],
        "focal_point": [0, 0],
        "sections": [{"key": "S", "level": "All", "rows": [
            {"label": "A", "count": 10, "start": [-2.25, 5], "step": [0.5, 0]},
        ]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(plan: &Value) -> u64 {
        let sections = plan["sections"].as_array().expect("sections");
        let rows = sections.iter().flat_map(|section| section["rows"].as_array().expect("rows"));
        rows.map(|row| row["count"].as_u64().expect("count")).sum()
    }

    #[test]
    fn a_churn_plan_has_the_seats_asked_for_in_a_small_document() {
        let plan = churn_plan(1_000_000);
        assert_eq!(seats(&plan), 1_000_000);
        assert!(plan.to_string().len() < 1_500_000);
        assert_eq!(seats(&churn_plan(150)), 200);
    }

    #[test]
    fn a_sale_plan_has_exactly_the_places_asked_for() {
        for places in [1, 7, 39, 300, 50_000] {
            let plan = sale_plan(places, places % 2 == 0);
            let standing = plan["areas"].get(0).map_or(0, |area| area["capacity"].as_u64().expect("capacity"));
            assert_eq!(seats(&plan) + standing, u64::from(places));
        }
    }
}
