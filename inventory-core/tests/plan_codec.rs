//! The plan file: round trips of random plans, golden bytes, and every way of being cut or changed.

use inventory_core::{
    limits::PLAN_TEXT_BYTES_MAX,
    plan::{
        ACCESSIBLE, ATTRIBUTES, Area, COMPANION, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec, Severity,
        Zone,
    },
    plan_codec::{PlanDecodeError, decode_plan, encode_plan},
};

/// SplitMix64: the core has no dependency for random numbers, and a seed must mean the same forever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn text(&mut self) -> Box<str> {
        let letters = ['a', 'B', '7', '-', ' ', 'é', '席', '🎫', '\u{0}'];
        let length = if self.below(20) == 0 { 200 } else { self.below(9) };
        let mut text = String::new();
        for _ in 0..length {
            let letter = letters[self.below(letters.len() as u64) as usize];
            if text.len() + letter.len_utf8() <= PLAN_TEXT_BYTES_MAX {
                text.push(letter);
            }
        }
        text.into()
    }

    fn point(&mut self) -> Point {
        Point { x: self.next() as i32, y: self.next() as i32 }
    }

    fn point_or_none(&mut self) -> Option<Point> {
        (self.below(2) == 0).then(|| self.point())
    }

    fn zone(&mut self) -> Option<u8> {
        (self.below(2) == 0).then(|| self.below(255) as u8)
    }

    fn list<T>(&mut self, below: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(below);
        (0..count).map(|_| one(self)).collect()
    }

    fn seat(&mut self) -> SeatSpec {
        SeatSpec {
            key: self.text(),
            label: self.text(),
            at: self.point(),
            level: self.next() as u8,
            attributes: self.next() as u8 & ATTRIBUTES,
            aisle_after: self.below(2) == 0,
        }
    }

    fn row(&mut self) -> RowSpec {
        let kind = if self.below(4) == 0 { RowKind::Table } else { RowKind::Row };
        RowSpec { label: self.text(), kind, seats: self.list(9, Self::seat) }
    }

    fn plan(&mut self) -> PlanSpec {
        PlanSpec {
            name: self.text(),
            price_levels: self.list(6, Self::text),
            zones: self.list(4, |r| Zone { key: r.text(), label: r.text(), focal_point: r.point_or_none() }),
            focal_point: self.point_or_none(),
            sections: self.list(5, |r| SectionSpec {
                key: r.text(),
                label: r.text(),
                zone: r.zone(),
                rows: r.list(5, Self::row),
            }),
            areas: self.list(4, |r| Area {
                key: r.text(),
                label: r.text(),
                zone: r.zone(),
                level: r.next() as u8,
                capacity: r.next() as u32,
                centre: r.point(),
            }),
        }
    }
}

/// Every field differs from its default somewhere, and from its neighbours.
fn sample() -> PlanSpec {
    let seat = |key: &str, label: &str, x, level, attributes, aisle_after| SeatSpec {
        key: key.into(),
        label: label.into(),
        at: Point { x, y: -1_500 },
        level,
        attributes,
        aisle_after,
    };
    PlanSpec {
        name: "Little house".into(),
        price_levels: vec!["front".into(), "back".into()],
        zones: vec![
            Zone { key: "main".into(), label: "Main stage".into(), focal_point: Some(Point { x: 1, y: -2 }) },
            Zone { key: "side".into(), label: "Side stage".into(), focal_point: None },
        ],
        focal_point: Some(Point { x: i32::MAX, y: i32::MIN }),
        sections: vec![SectionSpec {
            key: "S".into(),
            label: "Stalls".into(),
            zone: Some(1),
            rows: vec![
                RowSpec {
                    label: "A".into(),
                    kind: RowKind::Row,
                    seats: vec![
                        seat("S-A-1", "1", 0, 0, ACCESSIBLE, false),
                        seat("S-A-2", "2", 500, 0, COMPANION, true),
                        seat("S-A-3", "é", 1_500, 1, 0, false),
                    ],
                },
                RowSpec { label: "T".into(), kind: RowKind::Table, seats: vec![seat("S-T-1", "", 9, 1, 4, false)] },
            ],
        }],
        areas: vec![Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 1,
            capacity: 2_000,
            centre: Point { x: 7, y: 8 },
        }],
    }
}

#[test]
fn what_was_encoded_is_decoded() {
    for seed in 0..2_000 {
        let spec = Random(seed).plan();
        assert_eq!(decode_plan(&encode_plan(&spec)), Ok(spec), "seed {seed}");
    }
}

#[test]
fn the_first_version_keeps_its_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/plan_v1.bin");
    let bytes = encode_plan(&sample());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &bytes).expect("the golden file can be written");
    }
    let golden = std::fs::read(path).expect("the golden file is there");
    assert_eq!(bytes, golden);
    assert_eq!(decode_plan(&golden), Ok(sample()));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = encode_plan(&sample());
    for length in 0..bytes.len() {
        let error = decode_plan(&bytes[..length]).expect_err("a cut plan");
        assert!(error.offset <= length, "{error} in {length} bytes");
    }
}

#[test]
fn a_file_that_goes_on_is_refused() {
    let mut bytes = encode_plan(&sample());
    let offset = bytes.len();
    bytes.push(0);
    assert_eq!(decode_plan(&bytes), Err(PlanDecodeError { offset, what: "bytes after the end" }));
}

#[test]
fn a_changed_byte_gives_another_plan_or_none_and_never_the_same() {
    let bytes = encode_plan(&sample());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            if let Ok(spec) = decode_plan(&changed) {
                assert_ne!(spec, sample(), "byte {at} bit {bit} means nothing");
                assert_eq!(encode_plan(&spec), changed, "byte {at} bit {bit}: two encodings of one plan");
            }
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let mut bytes = encode_plan(&sample());
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        let _ = decode_plan(&bytes);
    }
}

/// The header's bytes at `offset` become `with`: the error that must come of it.
fn refused(offset: usize, with: &[u8]) -> PlanDecodeError {
    let mut bytes = encode_plan(&sample());
    bytes[offset..offset + with.len()].copy_from_slice(with);
    decode_plan(&bytes).expect_err("a changed header")
}

#[test]
fn a_header_that_cannot_be_is_refused_where_it_is_wrong() {
    let error = |offset, what| PlanDecodeError { offset, what };
    assert_eq!(refused(0, b"X"), error(0, "no plan file: wrong magic"));
    assert_eq!(refused(8, &[2]), error(8, "unknown version"));
    assert_eq!(refused(12, &[0xff, 0xff]), error(12, "too many sections"));
    assert_eq!(refused(14, &[0xff, 0xff]), error(14, "too many areas"));
    assert_eq!(refused(16, &[0xff; 4]), error(16, "too many rows"));
    assert_eq!(refused(20, &[0xff; 4]), error(20, "too many seats"));
    assert_eq!(refused(16, &[1]), error(120, "more rows than the header counts"));
    assert_eq!(refused(16, &[3]), error(16, "more rows counted than listed"));
    assert_eq!(refused(20, &[5]), error(20, "more seats counted than listed"));
    assert_eq!(refused(24, &[0]), error(25, "a point that is not given is not zero"));
    assert_eq!(refused(24, &[2]), error(24, "neither 0 nor 1 before a point"));
    assert_eq!(refused(35, &[1]), error(33, "reserved bytes are not zero"));
    assert_eq!(refused(36, &[129]), error(36, "text too long"));
    assert_eq!(refused(37, &[0xff]), error(37, "text is not UTF-8"));
}

#[test]
#[should_panic(expected = "a text of 129 bytes")]
fn a_text_beyond_the_limit_is_never_written() {
    let mut spec = sample();
    spec.sections[0].label = "x".repeat(PLAN_TEXT_BYTES_MAX + 1).into();
    let _ = encode_plan(&spec);
}

#[test]
fn a_label_that_no_plan_file_could_hold_is_a_problem_by_its_path() {
    let long: Box<str> = "x".repeat(129).into();
    let spec = PlanSpec {
        price_levels: vec!["one".into()],
        areas: vec![Area {
            key: "floor".into(),
            label: long,
            zone: None,
            level: 0,
            capacity: 1,
            centre: Point::default(),
        }],
        ..PlanSpec::default()
    };
    let paths: Vec<_> = spec.check().into_iter().filter(|p| p.severity == Severity::Error).map(|p| p.path).collect();
    assert_eq!(paths, ["areas[0].label"]);
}
