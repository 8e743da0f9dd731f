use client::{Client, Error};
use proto::inventory::v1::{
    Event, GetEventRequest, GetPlanRequest, GetSeatMapRequest, GetSeatMapResponse, OrphanRule, PlanChunk, PlanPoint,
    RowKind, SeatAttribute,
};

/// Seats that are neighbours of each other in index order: a row between its ends and aisles, or a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Index of its section.
    pub(crate) section: u32,
    /// A table: the last seat is a neighbour of the first.
    pub(crate) ring: bool,
}

impl Block {
    pub(crate) fn seats(self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// What a buyer sees of an event before choosing: the plan, not who has what.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) event_id: String,
    pub(crate) plan_revision: u32,
    pub(crate) seat_count: u32,
    pub(crate) capacity: u32,
    pub(crate) places_per_hold_max: u32,
    pub(crate) blocks: Vec<Block>,
    /// The block of each seat.
    pub(crate) block_of: Vec<u32>,
    /// Seats from the best to the worst.
    pub(crate) by_taste: Vec<u32>,
    pub(crate) area_count: usize,
    /// The rule for single seats left alone by those who name seats. Unspecified: the server did not say.
    pub(crate) orphan_rule: OrphanRule,
    /// The price level of each seat.
    pub(crate) price_levels: Vec<u32>,
    /// Seats that are not chosen for who does not ask for them: accessible ones and their companions.
    pub(crate) special: Vec<bool>,
}

impl House {
    /// Reads the event and its plan.
    pub(crate) async fn read(client: &Client, event_id: &str) -> Result<Self, Error> {
        let request = GetEventRequest { event_id: event_id.to_owned(), ..GetEventRequest::default() };
        let event = client.unary().get_event(request).await?.event.unwrap_or_default();
        let request = GetPlanRequest { event_id: event_id.to_owned(), ..GetPlanRequest::default() };
        let chunks = client.unary().get_plan(request).await?;
        Ok(Self::of(&event, &chunks))
    }

    fn of(event: &Event, chunks: &[PlanChunk]) -> Self {
        let seat_count = event.seat_count;
        let mut blocks = Vec::new();
        for row in chunks.iter().flat_map(|chunk| &chunk.rows) {
            let ring = row.kind == RowKind::Table as i32;
            let mut first = 0;
            for &after in row.aisles_after.iter().filter(|_| !ring) {
                if after + 1 > first && after + 1 < row.seat_count {
                    let count = after + 1 - first;
                    blocks.push(Block { first: row.first_seat + first, count, section: row.section, ring });
                    first = after + 1;
                }
            }
            let count = row.seat_count - first;
            blocks.push(Block { first: row.first_seat + first, count, section: row.section, ring });
        }
        blocks.retain(|block| block.count > 0 && block.first + block.count <= seat_count);
        let mut block_of = vec![u32::MAX; seat_count as usize];
        for (number, block) in blocks.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "there are no more blocks than seats")]
            block_of[block.seats()].fill(number as u32);
        }
        // A plan that says nothing of rows is one long row to us.
        if blocks.is_empty() && seat_count > 0 {
            blocks.push(Block { first: 0, count: seat_count, section: 0, ring: false });
            block_of.fill(0);
        }
        let mut price_levels = vec![0; seat_count as usize];
        let mut special = vec![false; seat_count as usize];
        for columns in chunks.iter().filter_map(|chunk| chunk.seats.as_ref()) {
            let from = columns.first_seat as usize;
            for (nth, &level) in columns.price_levels.iter().enumerate() {
                price_levels.get_mut(from + nth).into_iter().for_each(|of_seat| *of_seat = level);
            }
            let bits = SeatAttribute::Accessible as u32 | SeatAttribute::Companion as u32;
            for (nth, &attributes) in columns.attributes.iter().enumerate() {
                special.get_mut(from + nth).into_iter().for_each(|of_seat| *of_seat = attributes & bits != 0);
            }
        }
        Self {
            event_id: event.event_id.clone(),
            plan_revision: event.plan_revision,
            seat_count,
            capacity: event.capacity,
            places_per_hold_max: event.policies.map_or(10, |policies| policies.places_per_hold_max).max(1),
            by_taste: by_taste(seat_count, chunks),
            area_count: chunks.iter().map(|chunk| chunk.ga_areas.len()).sum(),
            orphan_rule: event.policies.map_or(OrphanRule::Unspecified, |policies| policies.orphan_rule()),
            price_levels,
            special,
            blocks,
            block_of,
        }
    }

    /// The block of a seat.
    pub(crate) fn block(&self, seat: u32) -> Option<&Block> {
        self.blocks.get(*self.block_of.get(seat as usize)? as usize)
    }

    /// Reads who has what.
    pub(crate) async fn seat_map(client: &Client, event_id: &str) -> Result<GetSeatMapResponse, Error> {
        let request = GetSeatMapRequest { event_id: event_id.to_owned(), ..GetSeatMapRequest::default() };
        client.unary().get_seat_map(request).await
    }
}

/// Seats by their distance from the focal point; by index where the plan names none.
fn by_taste(seat_count: u32, chunks: &[PlanChunk]) -> Vec<u32> {
    let mut seats: Vec<u32> = (0..seat_count).collect();
    let zone_focus = || chunks.iter().flat_map(|chunk| &chunk.zones).find_map(|zone| zone.focal_point);
    let focus: Option<PlanPoint> = chunks.iter().find_map(|chunk| chunk.focal_point).or_else(zone_focus);
    let Some(focus) = focus else { return seats };
    let mut distance = vec![u64::MAX; seat_count as usize];
    for columns in chunks.iter().filter_map(|chunk| chunk.seats.as_ref()) {
        for (nth, (&x, &y)) in columns.x.iter().zip(&columns.y).enumerate() {
            let (dx, dy) = (i64::from(x) - i64::from(focus.x), i64::from(y) - i64::from(focus.y));
            if let Some(of_seat) = distance.get_mut(columns.first_seat as usize + nth) {
                *of_seat = dx.unsigned_abs().pow(2).saturating_add(dy.unsigned_abs().pow(2));
            }
        }
    }
    seats.sort_by_key(|&seat| distance[seat as usize]);
    seats
}

/// The two-bit codes of a seat map, one byte each.
pub(crate) fn unpack_states(states: &[u8], seat_count: u32) -> Vec<u8> {
    (0..seat_count as usize).map(|seat| states.get(seat / 4).map_or(3, |byte| (byte >> (2 * (seat % 4))) & 3)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proto::inventory::v1::{EventPolicies, PlanRow, PlanSeats};

    /// A house of rows with these seats, the first row nearest.
    pub(crate) fn house_of(rows: &[u32], areas: usize) -> House {
        let mut first_seat = 0;
        let mut chunk = PlanChunk { focal_point: Some(PlanPoint { x: 0, y: 0 }), ..PlanChunk::default() };
        let mut seats = PlanSeats::default();
        for (nth, &seat_count) in rows.iter().enumerate() {
            chunk.rows.push(PlanRow { first_seat, seat_count, kind: 1, ..PlanRow::default() });
            first_seat += seat_count;
            seats.x.extend((0..seat_count).map(|seat| seat as i32 * 500));
            seats.y.extend((0..seat_count).map(|_| 1_000_000 * (nth as i32 + 1)));
        }
        chunk.seats = Some(seats);
        chunk.ga_areas.resize_with(areas, Default::default);
        let event = Event {
            event_id: "e".to_owned(),
            seat_count: first_seat,
            capacity: first_seat,
            policies: Some(EventPolicies { places_per_hold_max: 10, ..EventPolicies::default() }),
            ..Event::default()
        };
        House::of(&event, &[chunk])
    }

    #[test]
    fn rows_are_cut_at_aisles_and_tables_are_not() {
        let rows = vec![
            PlanRow { first_seat: 0, seat_count: 6, kind: 1, aisles_after: vec![1, 3], ..PlanRow::default() },
            PlanRow { first_seat: 6, seat_count: 4, kind: 2, aisles_after: vec![1], ..PlanRow::default() },
        ];
        let event = Event { seat_count: 10, ..Event::default() };
        let house = House::of(&event, &[PlanChunk { rows, ..PlanChunk::default() }]);
        let blocks: Vec<_> = house.blocks.iter().map(|block| (block.first, block.count)).collect();
        assert_eq!(blocks, [(0, 2), (2, 2), (4, 2), (6, 4)]);
        assert_eq!(house.block_of, [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]);
        assert_eq!(house.by_taste, (0..10).collect::<Vec<_>>(), "no focal point: by index");
    }

    #[test]
    fn taste_goes_by_distance() {
        let house = house_of(&[3, 3], 0);
        assert_eq!(house.by_taste, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn states_are_two_bits_from_the_lowest() {
        assert_eq!(unpack_states(&[0b11_10_01_00, 0b10], 5), [0, 1, 2, 3, 2]);
        assert_eq!(unpack_states(&[], 1), [3], "what is not told is not for sale");
    }
}
