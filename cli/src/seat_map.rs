//! `usherctl seatmap`: the hall as text, one line a row.

use std::fmt::Write as _;

use clap::Args;
use client::Client;
use proto::inventory::v1::{GetSeatMapRequest, PlanRow, PlanSection, RowKind, SeatMap};
use serde_json::{Value, json};

use crate::event_card::counts_json;
use crate::failure::Failure;
use crate::name::EventName;
use crate::report::Report;
use crate::table::grouped;
use crate::venue_plan::VenuePlan;

const EXAMPLES: &str = "Examples:
  usherctl seatmap concert-1
  usherctl seatmap concert-1 --section Stalls

One letter a seat in the order of the plan: . open, h held, S sold, x unavailable. A gap is an aisle; a row in
round brackets is a table. Colour is used on a terminal unless NO_COLOR is set.";

/// Letters of the four two-bit codes of a seat map.
const LETTERS: [char; 4] = ['.', 'h', 'S', 'x'];
/// Terminal colours of the same: none, yellow, red, dim.
const COLOURS: [&str; 4] = ["", "\x1b[33m", "\x1b[31m", "\x1b[2m"];
const COLOUR_END: &str = "\x1b[0m";
/// A plan and a map read one after the other may belong to different revisions when the plan was just changed.
const READS_MAX: u32 = 3;

/// Draw the seat map of an event as text
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SeatMapOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Draw only this section, by key or label; may be repeated
    #[arg(long, value_name = "SECTION")]
    section: Vec<String>,
}

/// A seat map beside the plan it belongs to.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    plan: &'a VenuePlan,
    map: &'a SeatMap,
    /// Draw with colours.
    coloured: bool,
}

/// Runs the command.
pub(crate) async fn seat_map(client: &Client, options: &SeatMapOptions, coloured: bool) -> Result<Report, Failure> {
    let request = GetSeatMapRequest { event_id: options.event.to_string(), ..GetSeatMapRequest::default() };
    let mut reads = 0;
    let (plan, map, incarnation) = loop {
        let plan = VenuePlan::read(client, &options.event).await?;
        let answer = client.unary().get_seat_map(request.clone()).await?;
        let map = answer
            .seat_map
            .ok_or_else(|| Failure::Unusable { problem: "the server answered without the seat map".to_owned() })?;
        if map.plan_revision == plan.revision {
            break (plan, map, answer.incarnation);
        }
        reads += 1;
        if reads == READS_MAX {
            return Err(Failure::Unusable { problem: "the plan changes too often to draw it".to_owned() });
        }
    };
    let drawing = Drawing { plan: &plan, map: &map, coloured };
    let sections = drawing.sections(&options.section)?;
    let areas = options.section.is_empty();
    let mut json = drawing.json(&sections, areas);
    json["event_id"] = options.event.as_str().into();
    json["plan_revision"] = map.plan_revision.into();
    json["position"] = map.position.into();
    json["incarnation"] = incarnation.into();
    Ok(Report::new(drawing.text(&sections, areas), json))
}

/// The two-bit code of a seat.
fn code(map: &SeatMap, seat: u32) -> usize {
    let byte = usize::try_from(seat / 4).ok().and_then(|byte| map.states.get(byte)).copied().unwrap_or(0);
    usize::from(byte >> (2 * (seat % 4)) & 0b11)
}

impl Drawing<'_> {
    /// The sections asked for, by index; all when none is named.
    fn sections(&self, names: &[String]) -> Result<Vec<u32>, Failure> {
        let all = || (0u32..).zip(&self.plan.sections);
        if names.is_empty() {
            return Ok(all().map(|(index, _)| index).collect());
        }
        let mut found = Vec::new();
        for name in names {
            let by_key = all().find(|(_, section)| section.key == *name);
            // A label may repeat: all of them are meant.
            let before = found.len();
            match by_key {
                Some((index, _)) => found.push(index),
                None => found.extend(all().filter(|(_, section)| section.label == *name).map(|(index, _)| index)),
            }
            if found.len() == before {
                let known: Vec<_> = self.plan.sections.iter().map(|section| section.key.as_str()).collect();
                let problem = format!("no section `{name}`; there are {}", known.join(", "));
                return Err(Failure::Usage { problem });
            }
        }
        Ok(found)
    }

    fn rows(&self, section: u32) -> impl Iterator<Item = &PlanRow> {
        self.plan.rows.iter().filter(move |row| row.section == section)
    }

    fn section(&self, index: u32) -> PlanSection {
        usize::try_from(index).ok().and_then(|index| self.plan.sections.get(index)).cloned().unwrap_or_default()
    }

    /// For people.
    fn text(&self, sections: &[u32], areas: bool) -> String {
        let mut text = String::new();
        for &index in sections {
            let section = self.section(index);
            let named = if section.label.is_empty() || section.label == section.key {
                section.key.clone()
            } else {
                format!("{} ({})", section.label, section.key)
            };
            let _ = writeln!(text, "{named}");
            let width = self.rows(index).map(|row| row.label.chars().count()).max().unwrap_or(0);
            for row in self.rows(index) {
                let _ = writeln!(text, "  {:<width$}  {}", row.label, self.row(row, self.coloured));
            }
            text.push('\n');
        }
        if areas && !self.map.ga.is_empty() {
            let width = self.map.ga.iter().map(|area| area.key.chars().count()).max().unwrap_or(0);
            text.push_str("General admission\n");
            for area in &self.map.ga {
                let counts = area.counts.unwrap_or_default();
                let number = |count: u32| grouped(u64::from(count));
                let _ = writeln!(
                    text,
                    "  {:<width$}  {} open, {} held, {} sold, {} unavailable of {}",
                    area.key,
                    number(counts.open),
                    number(counts.held),
                    number(counts.sold),
                    number(counts.killed),
                    number(counts.capacity),
                );
            }
            text.push('\n');
        }
        text.push_str(". open  h held  S sold  x unavailable\n");
        text
    }

    /// One row, a letter a seat.
    fn row(&self, row: &PlanRow, coloured: bool) -> String {
        let mut text = String::new();
        let mut colour = "";
        for nth in 0..row.seat_count {
            let code = code(self.map, row.first_seat.saturating_add(nth));
            if coloured && COLOURS[code] != colour {
                text.push_str(if colour.is_empty() { "" } else { COLOUR_END });
                colour = COLOURS[code];
                text.push_str(colour);
            }
            text.push(LETTERS[code]);
            // Nothing lies behind the last seat of a row that could be set apart.
            if row.aisles_after.contains(&nth) && nth + 1 < row.seat_count {
                text.push(' ');
            }
        }
        if !colour.is_empty() {
            text.push_str(COLOUR_END);
        }
        if row.kind() == RowKind::Table { format!("({text})") } else { text }
    }

    /// For programs: the same letters, without gaps, beside the keys.
    fn json(&self, sections: &[u32], areas: bool) -> Value {
        let row_json = |row: &PlanRow| {
            let seats = row.first_seat..row.first_seat.saturating_add(row.seat_count);
            let states: String = seats.clone().map(|seat| LETTERS[code(self.map, seat)]).collect();
            let keys: Vec<_> = seats.map(|seat| self.plan.seat_key(seat)).collect();
            json!({
                "label": row.label,
                "kind": if row.kind() == RowKind::Table { "table" } else { "row" },
                "first_seat_index": row.first_seat,
                "states": states,
                "seats": keys,
                "aisles_after": row.aisles_after,
            })
        };
        let section_json = |&index: &u32| {
            let section = self.section(index);
            json!({
                "key": section.key,
                "label": section.label,
                "rows": self.rows(index).map(row_json).collect::<Vec<_>>(),
            })
        };
        let ga = self
            .map
            .ga
            .iter()
            .filter(|_| areas)
            .map(|area| json!({ "key": area.key, "counts": counts_json(&area.counts.unwrap_or_default()) }));
        json!({
            "sections": sections.iter().map(section_json).collect::<Vec<_>>(),
            "ga_areas": ga.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{GaAreaAvailability, PlaceCounts};

    fn hall() -> VenuePlan {
        let section = |key: &str, label: &str| PlanSection { key: key.into(), label: label.into(), zone: None };
        let row = |section, label: &str, first_seat, seat_count, aisles: &[u32], kind| PlanRow {
            section,
            label: label.into(),
            first_seat,
            seat_count,
            kind: kind as i32,
            aisles_after: aisles.to_vec(),
        };
        VenuePlan {
            revision: 1,
            sections: vec![section("S", "Stalls"), section("BOX", "BOX")],
            rows: vec![
                row(0, "A", 0, 5, &[1], RowKind::Row),
                row(0, "AA", 5, 3, &[2], RowKind::Row),
                row(1, "T1", 8, 4, &[], RowKind::Table),
            ],
            seat_keys: (0..12).map(|seat| format!("k{seat}")).collect(),
            areas: Vec::new(),
        }
    }

    /// The wire form of one code a seat.
    fn map(codes: &[u8]) -> SeatMap {
        let mut states = vec![0; codes.len().div_ceil(4)];
        for (seat, code) in codes.iter().enumerate() {
            states[seat / 4] |= code << (2 * (seat % 4));
        }
        let counts = PlaceCounts { open: 1_150, held: 2, sold: 48, killed: 0, capacity: 1_200 };
        let floor = GaAreaAvailability { area: 0, key: "FLOOR".into(), counts: Some(counts) };
        SeatMap { plan_revision: 1, position: 9, states: states.into(), ga: vec![floor], seat_count: 12 }
    }

    const CODES: [u8; 12] = [0, 1, 2, 3, 0, 0, 0, 2, 1, 1, 0, 0];

    #[test]
    fn rows_are_drawn_with_their_labels_and_aisles() {
        let (plan, map) = (hall(), map(&CODES));
        let drawing = Drawing { plan: &plan, map: &map, coloured: false };
        let sections = drawing.sections(&[]).expect("all");
        let expected = "\
Stalls (S)
  A   .h Sx.
  AA  ..S

BOX
  T1  (hh..)

General admission
  FLOOR  1,150 open, 2 held, 48 sold, 0 unavailable of 1,200

. open  h held  S sold  x unavailable
";
        assert_eq!(drawing.text(&sections, true), expected);
    }

    #[test]
    fn one_section_is_found_by_key_or_label() {
        let (plan, map) = (hall(), map(&CODES));
        let drawing = Drawing { plan: &plan, map: &map, coloured: false };
        for name in ["S", "Stalls"] {
            assert_eq!(drawing.sections(&[name.to_owned()]).expect(name), [0]);
        }
        let failure = drawing.sections(&["Balcony".to_owned()]).expect_err("no such section");
        assert_eq!(failure.text(), "error: no section `Balcony`; there are S, BOX");
        let text = drawing.text(&[1], false);
        assert!(text.starts_with("BOX\n  T1  (hh..)\n") && !text.contains("FLOOR"), "{text}");
    }

    #[test]
    fn colours_stand_around_runs_and_never_change_the_letters() {
        let (plan, map) = (hall(), map(&CODES));
        let drawing = Drawing { plan: &plan, map: &map, coloured: true };
        let row = drawing.row(&plan.rows[2], true);
        assert_eq!(row, "(\x1b[33mhh\x1b[0m..)");
        let bare = drawing.row(&plan.rows[0], true);
        let letters: String =
            bare.split('\x1b').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
        assert_eq!(letters, ".h Sx.");
    }

    #[test]
    fn programs_get_letters_beside_keys() {
        let (plan, map) = (hall(), map(&CODES));
        let drawing = Drawing { plan: &plan, map: &map, coloured: true };
        let json = drawing.json(&[0, 1], true);
        assert_eq!(json["sections"][0]["rows"][0]["states"], ".hSx.");
        assert_eq!(json["sections"][1]["rows"][0]["kind"], "table");
        assert_eq!(json["sections"][1]["rows"][0]["seats"][3], "k11");
        assert_eq!(json["ga_areas"][0]["counts"]["open"], 1_150);
    }

    #[test]
    fn a_map_that_is_too_short_draws_open_seats_and_does_not_panic() {
        let plan = hall();
        let map = SeatMap::default();
        let drawing = Drawing { plan: &plan, map: &map, coloured: false };
        assert_eq!(drawing.row(&plan.rows[0], false), ".. ...");
    }
}
