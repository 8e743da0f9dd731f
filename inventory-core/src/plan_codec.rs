//! The bytes of a plan file: [`PlanSpec`] to bytes and back.
//!
//! A plan file is named by the BLAKE3 digest of these bytes, so one plan must have one encoding:
//! every field has a fixed place and width, what is absent is zero, and decoding refuses every byte
//! that encoding would not have written. All integers are little-endian.
//!
//! ```text
//! header   0 magic "USHRPLAN"                    8
//!          8 version                     u16     2
//!         10 price levels                u8      1
//!         11 zones                       u8      1
//!         12 sections                    u16     2
//!         14 areas                       u16     2
//!         16 rows                        u32     4
//!         20 seats                       u32     4
//!         24 focal point                 point?  9
//!         33 reserved, zero                      3
//!         36 name                        text
//!
//! then     price level, each             text
//!          zone, each                    key text, label text, focal point?
//!          section, each                 key text, label text, zone?, rows u32, then its rows:
//!            row, each                   label text, kind u8, seats u32, then its seats:
//!              seat, each                x i32, y i32, level u8, flags u8, key text, label text
//!          area, each                    key text, label text, zone?, level u8, capacity u32, x i32, y i32
//!
//! text     bytes u8 (at most 128), UTF-8
//! point?   1 if given else 0 u8, x i32, y i32 (zero when not given)
//! zone?    number u8, 255 when none
//! flags    bit 0 accessible, 1 companion, 2 restricted view, 7 an aisle follows
//! ```
//!
//! Invariants:
//!
//! - C1. `decode_plan(&encode_plan(spec)) == Ok(spec)`, and `encode_plan(&decode_plan(bytes)?) == bytes`.
//! - C2. Decoding allocates no more than the limits allow and no more than the bytes at hand can fill.
//!
//! Not here: whether the plan makes sense (`PlanSpec::check`), a checksum (the digest that names the
//! file is one), JSON (crate `venue`).

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::{
    limits::{
        AREAS_PER_PLAN_MAX, PLACES_PER_EVENT_MAX, PLAN_BYTES_MAX, PLAN_TEXT_BYTES_MAX, PRICE_LEVELS_PER_PLAN_MAX,
        ROWS_PER_PLAN_MAX, SECTIONS_PER_PLAN_MAX, ZONES_PER_PLAN_MAX,
    },
    plan::{ATTRIBUTES, Area, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec, Zone},
};

/// The first bytes of every plan file.
pub const PLAN_MAGIC: [u8; 8] = *b"USHRPLAN";
/// The version this file writes and reads.
pub const PLAN_VERSION: u16 = 1;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + PLAN_MAGIC.len();
const LEVELS_AT: usize = VERSION_AT + 2;
const ZONES_AT: usize = LEVELS_AT + 1;
const SECTIONS_AT: usize = ZONES_AT + 1;
const AREAS_AT: usize = SECTIONS_AT + 2;
const ROWS_AT: usize = AREAS_AT + 2;
const SEATS_AT: usize = ROWS_AT + 4;
const FOCAL_AT: usize = SEATS_AT + 4;
const RESERVED_AT: usize = FOCAL_AT + POINT_OR_NONE_BYTES;
const HEADER_BYTES: usize = RESERVED_AT + RESERVED_BYTES;

const RESERVED_BYTES: usize = 3;
const POINT_OR_NONE_BYTES: usize = 1 + 4 + 4;
/// The least a text takes: its length.
const TEXT_BYTES_MIN: usize = 1;
const ZONE_BYTES_MIN: usize = 2 * TEXT_BYTES_MIN + POINT_OR_NONE_BYTES;
const SECTION_BYTES_MIN: usize = 2 * TEXT_BYTES_MIN + 1 + 4;
const ROW_BYTES_MIN: usize = TEXT_BYTES_MIN + 1 + 4;
const SEAT_BYTES_MIN: usize = 4 + 4 + 1 + 1 + 2 * TEXT_BYTES_MIN;
const AREA_BYTES_MIN: usize = 2 * TEXT_BYTES_MIN + 1 + 1 + 4 + 4 + 4;

const ZONE_NONE: u8 = 255;
const AISLE_AFTER: u8 = 0x80;

const _: () = {
    assert!(HEADER_BYTES == 36);
    // Counts and lengths fit the fields they are written to.
    assert!(PLAN_TEXT_BYTES_MAX <= u8::MAX as usize);
    assert!(PRICE_LEVELS_PER_PLAN_MAX <= u8::MAX as usize);
    assert!(SECTIONS_PER_PLAN_MAX <= u16::MAX as usize && AREAS_PER_PLAN_MAX <= u16::MAX as usize);
    assert!(ROWS_PER_PLAN_MAX <= u32::MAX as usize);
    // The last zone has a number of its own beside "none", and the aisle a bit of its own.
    assert!(ZONES_PER_PLAN_MAX <= ZONE_NONE as usize);
    assert!(ATTRIBUTES & AISLE_AFTER == 0);
};

/// Bytes that are no plan file of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanDecodeError {
    /// Offset of the field that does not read.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for PlanDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan file, byte {}: {}", self.offset, self.what)
    }
}

impl core::error::Error for PlanDecodeError {}

/// The one encoding of `spec`.
///
/// # Panics
/// When `spec` is beyond the limits of the format: more of anything than `limits.rs` allows, a text
/// over `PLAN_TEXT_BYTES_MAX`, an unknown attribute. Such a plan must have been refused before.
#[must_use]
pub fn encode_plan(spec: &PlanSpec) -> Vec<u8> {
    let row_count = spec.sections.iter().map(|section| section.rows.len()).sum::<usize>();
    let seat_count = spec.seat_count();
    assert!(spec.price_levels.len() <= PRICE_LEVELS_PER_PLAN_MAX, "{} price levels", spec.price_levels.len());
    assert!(spec.zones.len() <= ZONES_PER_PLAN_MAX, "{} zones", spec.zones.len());
    assert!(spec.sections.len() <= SECTIONS_PER_PLAN_MAX, "{} sections", spec.sections.len());
    assert!(spec.areas.len() <= AREAS_PER_PLAN_MAX, "{} areas", spec.areas.len());
    assert!(row_count <= ROWS_PER_PLAN_MAX, "{row_count} rows");
    assert!(seat_count <= PLACES_PER_EVENT_MAX as usize, "{seat_count} seats");

    // A guess at short keys: one growth at most for ordinary plans.
    let mut out = Writer(Vec::with_capacity(HEADER_BYTES + seat_count * (SEAT_BYTES_MIN + 12)));
    out.bytes(&PLAN_MAGIC);
    out.bytes(&PLAN_VERSION.to_le_bytes());
    out.byte(spec.price_levels.len() as u8);
    out.byte(spec.zones.len() as u8);
    out.bytes(&(spec.sections.len() as u16).to_le_bytes());
    out.bytes(&(spec.areas.len() as u16).to_le_bytes());
    out.bytes(&(row_count as u32).to_le_bytes());
    out.bytes(&(seat_count as u32).to_le_bytes());
    out.point_or_none(spec.focal_point);
    out.bytes(&[0; RESERVED_BYTES]);
    debug_assert_eq!(out.0.len(), HEADER_BYTES);
    out.text(&spec.name);
    for level in &spec.price_levels {
        out.text(level);
    }
    for zone in &spec.zones {
        out.text(&zone.key);
        out.text(&zone.label);
        out.point_or_none(zone.focal_point);
    }
    for section in &spec.sections {
        out.section(section);
    }
    for area in &spec.areas {
        out.text(&area.key);
        out.text(&area.label);
        out.zone(area.zone);
        out.byte(area.level);
        out.bytes(&area.capacity.to_le_bytes());
        out.point(area.centre);
    }
    assert!(out.0.len() <= PLAN_BYTES_MAX, "{} bytes", out.0.len());
    out.0
}

/// The plan these bytes encode. Its form is checked here, its sense by [`PlanSpec::check`].
///
/// # Errors
/// The first field that [`encode_plan`] would not have written so.
pub fn decode_plan(bytes: &[u8]) -> Result<PlanSpec, PlanDecodeError> {
    if bytes.len() > PLAN_BYTES_MAX {
        return Err(PlanDecodeError { offset: PLAN_BYTES_MAX, what: "larger than any plan" });
    }
    let mut input = Reader { bytes, at: 0, rows_left: 0, seats_left: 0 };
    if input.array()? != PLAN_MAGIC {
        return Err(PlanDecodeError { offset: MAGIC_AT, what: "no plan file: wrong magic" });
    }
    if u16::from_le_bytes(input.array()?) != PLAN_VERSION {
        return Err(PlanDecodeError { offset: VERSION_AT, what: "unknown version" });
    }
    let level_count = usize::from(input.byte()?);
    let zone_count = usize::from(input.byte()?);
    let section_count = usize::from(u16::from_le_bytes(input.array()?));
    let area_count = usize::from(u16::from_le_bytes(input.array()?));
    input.rows_left = u32::from_le_bytes(input.array()?) as usize;
    input.seats_left = u32::from_le_bytes(input.array()?) as usize;
    within(LEVELS_AT, level_count, PRICE_LEVELS_PER_PLAN_MAX, "too many price levels")?;
    within(ZONES_AT, zone_count, ZONES_PER_PLAN_MAX, "too many zones")?;
    within(SECTIONS_AT, section_count, SECTIONS_PER_PLAN_MAX, "too many sections")?;
    within(AREAS_AT, area_count, AREAS_PER_PLAN_MAX, "too many areas")?;
    within(ROWS_AT, input.rows_left, ROWS_PER_PLAN_MAX, "too many rows")?;
    within(SEATS_AT, input.seats_left, PLACES_PER_EVENT_MAX as usize, "too many seats")?;
    let focal_point = input.point_or_none()?;
    if input.array()? != [0; RESERVED_BYTES] {
        return Err(PlanDecodeError { offset: RESERVED_AT, what: "reserved bytes are not zero" });
    }
    let name = input.text()?;
    let price_levels = input.list(level_count, TEXT_BYTES_MIN, Reader::text)?;
    let zones = input.list(zone_count, ZONE_BYTES_MIN, Reader::zone_entry)?;
    let sections = input.list(section_count, SECTION_BYTES_MIN, Reader::section)?;
    if input.rows_left != 0 {
        return Err(PlanDecodeError { offset: ROWS_AT, what: "more rows counted than listed" });
    }
    if input.seats_left != 0 {
        return Err(PlanDecodeError { offset: SEATS_AT, what: "more seats counted than listed" });
    }
    let areas = input.list(area_count, AREA_BYTES_MIN, Reader::area)?;
    if input.at != bytes.len() {
        return Err(PlanDecodeError { offset: input.at, what: "bytes after the end" });
    }
    Ok(PlanSpec { name, price_levels, zones, focal_point, sections, areas })
}

fn within(offset: usize, found: usize, max: usize, what: &'static str) -> Result<(), PlanDecodeError> {
    if found > max { Err(PlanDecodeError { offset, what }) } else { Ok(()) }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        assert!(text.len() <= PLAN_TEXT_BYTES_MAX, "a text of {} bytes in a plan", text.len());
        self.byte(text.len() as u8);
        self.bytes(text.as_bytes());
    }

    fn point(&mut self, point: Point) {
        self.bytes(&point.x.to_le_bytes());
        self.bytes(&point.y.to_le_bytes());
    }

    fn point_or_none(&mut self, point: Option<Point>) {
        self.byte(u8::from(point.is_some()));
        self.point(point.unwrap_or_default());
    }

    fn zone(&mut self, zone: Option<u8>) {
        assert!(zone != Some(ZONE_NONE), "zone {ZONE_NONE} in a plan");
        self.byte(zone.unwrap_or(ZONE_NONE));
    }

    fn section(&mut self, section: &SectionSpec) {
        self.text(&section.key);
        self.text(&section.label);
        self.zone(section.zone);
        self.bytes(&(section.rows.len() as u32).to_le_bytes());
        for row in &section.rows {
            self.text(&row.label);
            self.byte(row.kind as u8);
            self.bytes(&(row.seats.len() as u32).to_le_bytes());
            for seat in &row.seats {
                assert!(seat.attributes & !ATTRIBUTES == 0, "attributes {:#x} in a plan", seat.attributes);
                self.point(seat.at);
                self.byte(seat.level);
                self.byte(seat.attributes | if seat.aisle_after { AISLE_AFTER } else { 0 });
                self.text(&seat.key);
                self.text(&seat.label);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Rows and seats that the header counted and that have not been read.
    rows_left: usize,
    seats_left: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], PlanDecodeError> {
        let Some(found) = self.bytes[self.at..].first_chunk::<N>() else {
            return Err(self.ends());
        };
        self.at += N;
        Ok(*found)
    }

    fn ends(&self) -> PlanDecodeError {
        PlanDecodeError { offset: self.at, what: "ends within a field" }
    }

    fn byte(&mut self) -> Result<u8, PlanDecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `count` entries of at least `bytes_min` each: more than the rest can hold is refused before
    /// room is made for them.
    fn list<T>(
        &mut self,
        count: usize,
        bytes_min: usize,
        read: impl Fn(&mut Self) -> Result<T, PlanDecodeError>,
    ) -> Result<Vec<T>, PlanDecodeError> {
        if count > (self.bytes.len() - self.at) / bytes_min {
            return Err(PlanDecodeError { offset: self.at, what: "more entries counted than there are bytes for" });
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(read(self)?);
        }
        Ok(entries)
    }

    fn text(&mut self) -> Result<Box<str>, PlanDecodeError> {
        let start = self.at;
        let length = usize::from(self.byte()?);
        if length > PLAN_TEXT_BYTES_MAX {
            return Err(PlanDecodeError { offset: start, what: "text too long" });
        }
        let Some(found) = self.bytes.get(self.at..self.at + length) else {
            return Err(self.ends());
        };
        let text =
            core::str::from_utf8(found).map_err(|_| PlanDecodeError { offset: self.at, what: "text is not UTF-8" })?;
        self.at += length;
        Ok(text.into())
    }

    fn point(&mut self) -> Result<Point, PlanDecodeError> {
        Ok(Point { x: i32::from_le_bytes(self.array()?), y: i32::from_le_bytes(self.array()?) })
    }

    fn point_or_none(&mut self) -> Result<Option<Point>, PlanDecodeError> {
        let start = self.at;
        let given = self.byte()?;
        let point = self.point()?;
        match given {
            0 if point == Point::default() => Ok(None),
            0 => Err(PlanDecodeError { offset: start + 1, what: "a point that is not given is not zero" }),
            1 => Ok(Some(point)),
            _ => Err(PlanDecodeError { offset: start, what: "neither 0 nor 1 before a point" }),
        }
    }

    fn zone(&mut self) -> Result<Option<u8>, PlanDecodeError> {
        self.byte().map(|zone| (zone != ZONE_NONE).then_some(zone))
    }

    fn zone_entry(&mut self) -> Result<Zone, PlanDecodeError> {
        Ok(Zone { key: self.text()?, label: self.text()?, focal_point: self.point_or_none()? })
    }

    fn section(&mut self) -> Result<SectionSpec, PlanDecodeError> {
        let key = self.text()?;
        let label = self.text()?;
        let zone = self.zone()?;
        let start = self.at;
        let row_count = u32::from_le_bytes(self.array()?) as usize;
        within(start, row_count, self.rows_left, "more rows than the header counts")?;
        self.rows_left -= row_count;
        let rows = self.list(row_count, ROW_BYTES_MIN, Self::row)?;
        Ok(SectionSpec { key, label, zone, rows })
    }

    fn row(&mut self) -> Result<RowSpec, PlanDecodeError> {
        let label = self.text()?;
        let start = self.at;
        let kind = match self.byte()? {
            0 => RowKind::Row,
            1 => RowKind::Table,
            _ => return Err(PlanDecodeError { offset: start, what: "unknown kind of row" }),
        };
        let start = self.at;
        let seat_count = u32::from_le_bytes(self.array()?) as usize;
        within(start, seat_count, self.seats_left, "more seats than the header counts")?;
        self.seats_left -= seat_count;
        let seats = self.list(seat_count, SEAT_BYTES_MIN, Self::seat)?;
        Ok(RowSpec { label, kind, seats })
    }

    fn seat(&mut self) -> Result<SeatSpec, PlanDecodeError> {
        let at = self.point()?;
        let level = self.byte()?;
        let start = self.at;
        let flags = self.byte()?;
        if flags & !(ATTRIBUTES | AISLE_AFTER) != 0 {
            return Err(PlanDecodeError { offset: start, what: "unknown flag of a seat" });
        }
        let key = self.text()?;
        let label = self.text()?;
        Ok(SeatSpec { key, label, at, level, attributes: flags & ATTRIBUTES, aisle_after: flags & AISLE_AFTER != 0 })
    }

    fn area(&mut self) -> Result<Area, PlanDecodeError> {
        Ok(Area {
            key: self.text()?,
            label: self.text()?,
            zone: self.zone()?,
            level: self.byte()?,
            capacity: u32::from_le_bytes(self.array()?),
            centre: self.point()?,
        })
    }
}
