//! One change as it is told: who, when, why and what.
//!
//! ```text
//! row      position u64, time u64, event_seq u32, plan revision u32, kind text, cause text, actor u8,
//!          customer u64, replaced u8, [hold ref 8], order text,
//!          hold refs u16: [8], places u16: [place], places not listed u32
//! place    kind u8 (0 seat, 1 area), index u32, quantity u32, to u8, key text
//! text     bytes u8, UTF-8
//! ```
//!
//! Little-endian, and of no version: what is older is made again from the log.

use std::borrow::Cow;

use engine::{
    Followed,
    inspect::{Actor, ChangeLine, PlaceMoved},
};
use inventory_core::{
    ids::HoldId,
    place::{Moved, PlaceState},
};
use sha2::{Digest, Sha256};

/// Places, and holds, that a row lists: the most of one hold. The others are counted.
const LISTED_MAX: usize = 64;

/// What may be shown of a hold id: the id itself is the right to confirm.
#[must_use]
pub fn hold_ref(id: HoldId) -> [u8; 8] {
    let digest = Sha256::digest(network_bytes(id.0));
    std::array::from_fn(|at| digest[at])
}

/// A UUID as its text has it.
fn network_bytes(bits: u128) -> [u8; 16] {
    let mut bytes = bits.to_le_bytes();
    bytes.reverse();
    bytes
}

/// A place that a change moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// It is an area.
    pub is_area: bool,
    /// Index in the plan of that time.
    pub index: u32,
    /// Admissions; 1 for a seat.
    pub quantity: u32,
    /// What it became.
    pub to: PlaceState,
    /// Its key.
    pub key: String,
}

impl Place {
    fn of(line: &ChangeLine<'_>, moved: PlaceMoved) -> Place {
        let (is_area, index, quantity) = match moved.what {
            Moved::Seat(seat) => (false, seat, 1),
            Moved::Area { area, quantity } => (true, u32::from(area), quantity),
        };
        Place { is_area, index, quantity, to: moved.to, key: line.key_of(moved.what).unwrap_or_default().to_owned() }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its position.
    pub position: u64,
    /// When, in ms since 1970.
    pub time_ms: u64,
    /// Its number within its event.
    pub event_seq: u32,
    /// The plan that indexes belong to.
    pub plan_revision: u32,
    /// What happened, as a word: see docs/USHERCTL.md.
    pub kind: Cow<'static, str>,
    /// Why, as a word; empty where there is nothing to say.
    pub cause: Cow<'static, str>,
    /// Who.
    pub actor: Actor,
    /// For which customer its hold is; 0: nobody was named, or it is about no hold.
    pub customer: u64,
    /// The hold that ended for a new one.
    pub replaced: Option<[u8; 8]>,
    /// The order; empty: none.
    pub order: String,
    /// Public names of the holds it is about, at most 64.
    pub hold_refs: Vec<[u8; 8]>,
    /// Places it moved, at most 64.
    pub places: Vec<Place>,
    /// Places it moved that are not listed.
    pub places_more: u32,
}

/// A row with everything it is found by.
pub(crate) struct Found {
    pub(crate) row: Row,
    /// All places, for the index of seats.
    pub(crate) places: Vec<Place>,
    /// All holds.
    pub(crate) holds: Vec<[u8; 8]>,
}

impl Found {
    pub(crate) fn of(followed: &Followed<'_>) -> Found {
        let line = &followed.line;
        let moved = line.places().unwrap_or_default();
        let places: Vec<Place> = moved.into_iter().map(|moved| Place::of(line, moved)).collect();
        let replaced = line.replaced().map(hold_ref);
        let hold_refs: Vec<[u8; 8]> = line.holds().iter().copied().map(hold_ref).collect();
        let listed: Vec<Place> = places.iter().take(LISTED_MAX).cloned().collect();
        let row = Row {
            position: line.position,
            time_ms: line.time.0,
            event_seq: line.record.event_seq,
            plan_revision: line.plan_revision.unwrap_or(0),
            kind: line.kind().into(),
            cause: line.cause().unwrap_or_default().into(),
            actor: line.actor(),
            customer: followed.customer.0,
            replaced,
            order: line.order().map(|order| order.as_str().to_owned()).unwrap_or_default(),
            hold_refs: hold_refs.iter().copied().take(LISTED_MAX).collect(),
            // At most as many places as an event has.
            places_more: (places.len() - listed.len()) as u32,
            places: listed,
        };
        let holds = hold_refs.into_iter().chain(replaced).collect();
        Found { row, places, holds }
    }
}

/// Bytes that are no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRow;

pub(crate) fn encode_row(row: &Row) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + 24 * row.places.len());
    out.extend_from_slice(&row.position.to_le_bytes());
    out.extend_from_slice(&row.time_ms.to_le_bytes());
    out.extend_from_slice(&row.event_seq.to_le_bytes());
    out.extend_from_slice(&row.plan_revision.to_le_bytes());
    put_text(&mut out, &row.kind);
    put_text(&mut out, &row.cause);
    out.push(row.actor as u8);
    out.extend_from_slice(&row.customer.to_le_bytes());
    out.push(u8::from(row.replaced.is_some()));
    out.extend(row.replaced.iter().flatten());
    put_text(&mut out, &row.order);
    // At most 64 each.
    out.extend_from_slice(&(row.hold_refs.len() as u16).to_le_bytes());
    out.extend(row.hold_refs.iter().flatten());
    encode_places(&row.places, &mut out);
    out.extend_from_slice(&row.places_more.to_le_bytes());
    out
}

pub(crate) fn encode_places(places: &[Place], out: &mut Vec<u8>) {
    let count = u16::try_from(places.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for place in &places[..usize::from(count)] {
        out.push(u8::from(place.is_area));
        out.extend_from_slice(&place.index.to_le_bytes());
        out.extend_from_slice(&place.quantity.to_le_bytes());
        out.push(place.to as u8);
        put_text(out, &place.key);
    }
}

/// Texts of the contract are at most 128 bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NoRow> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(NoRow)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u8(&mut self) -> Result<u8, NoRow> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, NoRow> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, NoRow> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, NoRow> {
        let bytes = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(bytes).ok_or(NoRow)?;
        self.0 = rest;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| NoRow)
    }

    fn places(&mut self) -> Result<Vec<Place>, NoRow> {
        let count = u16::from_le_bytes(self.take()?);
        let mut places = Vec::new();
        for _ in 0..count {
            let is_area = self.u8()? != 0;
            let (index, quantity) = (self.u32()?, self.u32()?);
            let to = match self.u8()? {
                0 => PlaceState::Open,
                1 => PlaceState::Held,
                2 => PlaceState::Sold,
                3 => PlaceState::Killed,
                _ => return Err(NoRow),
            };
            places.push(Place { is_area, index, quantity, to, key: self.text()? });
        }
        Ok(places)
    }

    fn end(self) -> Result<(), NoRow> {
        if self.0.is_empty() { Ok(()) } else { Err(NoRow) }
    }
}

pub(crate) fn decode_row(bytes: &[u8]) -> Result<Row, NoRow> {
    let mut reader = Reader(bytes);
    let (position, time_ms) = (reader.u64()?, reader.u64()?);
    let (event_seq, plan_revision) = (reader.u32()?, reader.u32()?);
    let (kind, cause) = (reader.text()?, reader.text()?);
    let actor = match reader.u8()? {
        0 => Actor::Buyer,
        1 => Actor::House,
        2 => Actor::Server,
        _ => return Err(NoRow),
    };
    let customer = reader.u64()?;
    let replaced = if reader.u8()? != 0 { Some(reader.take()?) } else { None };
    let order = reader.text()?;
    let holds = u16::from_le_bytes(reader.take()?);
    let hold_refs = (0..holds).map(|_| reader.take()).collect::<Result<_, _>>()?;
    let places = reader.places()?;
    let places_more = reader.u32()?;
    reader.end()?;
    Ok(Row {
        position,
        time_ms,
        event_seq,
        plan_revision,
        kind: kind.into(),
        cause: cause.into(),
        actor,
        customer,
        replaced,
        order,
        hold_refs,
        places,
        places_more,
    })
}

pub(crate) fn decode_places(bytes: &[u8]) -> Result<Vec<Place>, NoRow> {
    let mut reader = Reader(bytes);
    let places = reader.places()?;
    reader.end()?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_and_no_other_bytes_do_any_harm() {
        let place =
            |key: &str, is_area| Place { is_area, index: 7, quantity: 3, to: PlaceState::Sold, key: key.into() };
        let row = Row {
            position: 9,
            time_ms: 1_700_000_000_000,
            event_seq: 4,
            plan_revision: 2,
            kind: "confirmed".into(),
            cause: "reclaimed".into(),
            actor: Actor::Buyer,
            customer: 77,
            replaced: Some([3; 8]),
            order: "O-1".into(),
            hold_refs: vec![[1; 8], [2; 8]],
            places: vec![place("A-1", false), place("FLOOR", true)],
            places_more: 5,
        };
        let bytes = encode_row(&row);
        assert_eq!(decode_row(&bytes), Ok(row));
        for at in 0..bytes.len() {
            assert_eq!(decode_row(&bytes[..at]), Err(NoRow), "{at} bytes of it");
            let mut other = bytes.clone();
            other[at] = !other[at];
            let _ = decode_row(&other);
        }
    }
}
