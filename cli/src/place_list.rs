//! Lists of places as this program shows them: what a command touched, what an order has, what a hold keeps.

use client::Client;
use proto::inventory::v1::{GaItem, SoldPart, Touched};
use serde_json::{Value, json};

use crate::name::EventName;
use crate::table::{counted, fields};
use crate::venue_plan::VenuePlan;

/// Places of one answer that are written out for people; the JSON has all.
const WRITTEN_MAX: usize = 32;

/// Names of what answers have by index alone: of areas, and of seats where an answer has no keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaceNames {
    plan: VenuePlan,
}

impl PlaceNames {
    /// Reads the plan when an answer has admissions. Without it, or when it was revised since, indexes are shown.
    pub(crate) async fn read(client: &Client, event: &EventName, is_needed: bool, revision: u32) -> Self {
        if !is_needed {
            return Self::default();
        }
        let plan = VenuePlan::read(client, event).await.ok().filter(|plan| plan.revision == revision);
        Self { plan: plan.unwrap_or_default() }
    }

    fn area(&self, item: &GaItem) -> String {
        self.plan.area_key(item.area).map_or_else(|| format!("#{}", item.area), str::to_owned)
    }

    /// Each by its key, or by its index where there is none.
    pub(crate) fn seats(seats: &[u32], keys: &[String]) -> Vec<String> {
        let keys = keys.iter().cloned().map(Some).chain(std::iter::repeat(None));
        seats.iter().zip(keys).map(|(seat, key)| key.unwrap_or_else(|| format!("#{seat}"))).collect()
    }

    /// `A-1, A-2, 2 × FLOOR`, not too many of them.
    pub(crate) fn text(&self, seats: &[u32], keys: &[String], ga: &[GaItem]) -> String {
        let areas = ga.iter().map(|item| format!("{} × {}", item.quantity, self.area(item)));
        let mut written = Self::seats(seats, keys);
        if written.len() > WRITTEN_MAX {
            let more = written.len() - WRITTEN_MAX;
            written.truncate(WRITTEN_MAX);
            written.push(format!("and {}", counted(more as u64, "more seat", "more seats")));
        }
        written.into_iter().chain(areas).collect::<Vec<_>>().join(", ")
    }

    /// Admissions for programs.
    pub(crate) fn ga_json(&self, ga: &[GaItem]) -> Value {
        let one = |item: &GaItem| json!({ "area": self.area(item), "quantity": item.quantity, "ticket_type": item.ticket_type });
        ga.iter().map(one).collect()
    }

    /// What a command touched, for people, under the word for it. `beside` follows.
    pub(crate) fn touched_text(&self, word: &str, touched: &Touched, beside: &[(&str, String)]) -> String {
        let ga: u64 = touched.ga.iter().map(|item| u64::from(item.quantity)).sum();
        let count = counted(touched.seats.len() as u64 + ga, "place", "places");
        let mut lines = vec![
            (word, count),
            ("places", self.text(&touched.seats, &touched.seat_keys, &touched.ga)),
            ("holds", touched.hold_refs.join(", ")),
        ];
        lines.extend_from_slice(beside);
        fields(&lines)
    }

    /// The same for programs.
    pub(crate) fn touched_json(&self, touched: &Touched) -> Value {
        json!({
            "seats": Self::seats(&touched.seats, &touched.seat_keys),
            "seat_indexes": touched.seats,
            "ga": self.ga_json(&touched.ga),
            "hold_refs": touched.hold_refs,
            "plan_revision": touched.plan_revision,
        })
    }

    /// What is sold out of one hold, for people.
    pub(crate) fn part_text(&self, part: &SoldPart) -> String {
        self.text(&part.seats, &part.seat_keys, &part.ga)
    }

    /// The same for programs.
    pub(crate) fn part_json(&self, part: &SoldPart) -> Value {
        json!({
            "order_ref": part.order_ref,
            "hold_ref": part.hold_ref,
            "seats": Self::seats(&part.seats, &part.seat_keys),
            "seat_indexes": part.seats,
            "ticket_types": part.ticket_types,
            "ga": self.ga_json(&part.ga),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_for_people_and_whole_for_programs() {
        let names = PlaceNames::default();
        let seats: Vec<u32> = (0..40).collect();
        let keys: Vec<String> = seats.iter().map(|seat| format!("A-{seat}")).collect();
        let ga = vec![GaItem { area: 1, quantity: 2, ..GaItem::default() }];
        let touched = Touched { seats, seat_keys: keys, ga, ..Touched::default() };
        let text = names.touched_text("killed", &touched, &[("request", "x".to_owned())]);
        assert!(text.starts_with("killed   42 places\nplaces   A-0, A-1, "), "{text}");
        assert!(text.contains(", A-31, and 8 more seats, 2 × #1\nrequest  x\n"), "{text}");
        assert_eq!(names.touched_json(&touched)["seats"].as_array().map(Vec::len), Some(40));
    }

    #[test]
    fn seats_without_keys_are_shown_by_index() {
        assert_eq!(PlaceNames::default().text(&[4, 5], &[], &[]), "#4, #5");
    }
}
