//! What a batch of holds may look like on the wire, compared: columns with ids as two fixed64 (what a Session takes),
//! the same with ids as `bytes`, all ids in one `bytes`, and one message a hold.
//!
//! Each is decoded and walked until every id is a number and every seat was looked at, as the edge does before it makes
//! commands.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use prost::Message;
use proto::inventory::v1::{SessionHold, SessionHoldBatch};

const HOLDS: u64 = 512;
const SEATS_PER_HOLD: u32 = 2;

/// Ids as `bytes`, the rest in columns.
#[derive(Clone, PartialEq, Message)]
struct BytesIds {
    #[prost(fixed64, tag = "1")]
    event_key: u64,
    #[prost(bytes = "vec", repeated, tag = "2")]
    hold_ids: Vec<Vec<u8>>,
    #[prost(uint32, repeated, tag = "3")]
    seat_counts: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    seats: Vec<u32>,
    #[prost(fixed64, repeated, tag = "5")]
    customer_keys: Vec<u64>,
}

/// All ids in one piece, sixteen bytes each.
#[derive(Clone, PartialEq, Message)]
struct OneBlob {
    #[prost(fixed64, tag = "1")]
    event_key: u64,
    #[prost(bytes = "bytes", tag = "2")]
    hold_ids: bytes::Bytes,
    #[prost(uint32, repeated, tag = "3")]
    seat_counts: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    seats: Vec<u32>,
    #[prost(fixed64, repeated, tag = "5")]
    customer_keys: Vec<u64>,
}

/// A message a hold: the one that a Session takes by itself.
#[derive(Clone, PartialEq, Message)]
struct Nested {
    #[prost(message, repeated, tag = "1")]
    holds: Vec<SessionHold>,
}

/// A number without a pattern.
fn scattered(nth: u64) -> u64 {
    let mixed = nth.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn id(nth: u64) -> (u64, u64) {
    (scattered(nth), scattered(nth | 1 << 40))
}

fn columns() -> SessionHoldBatch {
    SessionHoldBatch {
        event_key: 7,
        hold_ids: (0..HOLDS).flat_map(|nth| [id(nth).0, id(nth).1]).collect(),
        seat_counts: vec![SEATS_PER_HOLD; HOLDS as usize],
        seats: (0..HOLDS as u32 * SEATS_PER_HOLD).collect(),
        customer_keys: (0..HOLDS).map(scattered).collect(),
        ..Default::default()
    }
}

fn bytes_ids() -> BytesIds {
    let columns = columns();
    let ids = columns.hold_ids.chunks(2);
    BytesIds {
        event_key: columns.event_key,
        hold_ids: ids.map(|id| [id[0].to_le_bytes(), id[1].to_le_bytes()].concat()).collect(),
        seat_counts: columns.seat_counts,
        seats: columns.seats,
        customer_keys: columns.customer_keys,
    }
}

fn one_blob() -> OneBlob {
    let columns = columns();
    OneBlob {
        event_key: columns.event_key,
        hold_ids: columns.hold_ids.iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>().into(),
        seat_counts: columns.seat_counts,
        seats: columns.seats,
        customer_keys: columns.customer_keys,
    }
}

fn nested() -> Nested {
    let hold = |nth: u64| SessionHold {
        event_key: 7,
        hold_id_hi: id(nth).0,
        hold_id_lo: id(nth).1,
        seats: (0..SEATS_PER_HOLD).map(|seat| nth as u32 * SEATS_PER_HOLD + seat).collect(),
        customer_key: scattered(nth),
        ..Default::default()
    };
    Nested { holds: (0..HOLDS).map(hold).collect() }
}

/// Looks at every seat and takes every id together, so that nothing is left out.
fn walk(ids: impl Iterator<Item = u128>, counts: &[u32], seats: &[u32], customers: &[u64]) -> u128 {
    let mut rest = seats;
    ids.zip(counts).zip(customers).fold(0, |sum, ((id, &count), &customer)| {
        let (own, others) = rest.split_at(count as usize);
        rest = others;
        sum ^ id ^ u128::from(customer) ^ own.iter().fold(0, |sum, &seat| sum ^ u128::from(seat))
    })
}

fn wide(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn id_of_bytes(bytes: &[u8]) -> Option<u128> {
    let (halves, rest) = bytes.as_chunks::<8>();
    let [high, low] = halves else { return None };
    rest.is_empty().then(|| wide(u64::from_le_bytes(*high), u64::from_le_bytes(*low)))
}

fn of_columns(bytes: &[u8]) -> Option<u128> {
    let batch = SessionHoldBatch::decode(bytes).ok()?;
    let ids = batch.hold_ids.chunks_exact(2).map(|id| wide(id[0], id[1]));
    Some(walk(ids, &batch.seat_counts, &batch.seats, &batch.customer_keys))
}

fn of_bytes_ids(bytes: &[u8]) -> Option<u128> {
    let batch = BytesIds::decode(bytes).ok()?;
    let ids = batch.hold_ids.iter().filter_map(|id| id_of_bytes(id));
    Some(walk(ids, &batch.seat_counts, &batch.seats, &batch.customer_keys))
}

fn of_one_blob(bytes: &[u8]) -> Option<u128> {
    let batch = OneBlob::decode(bytes).ok()?;
    let ids = batch.hold_ids.chunks_exact(16).filter_map(id_of_bytes);
    Some(walk(ids, &batch.seat_counts, &batch.seats, &batch.customer_keys))
}

fn of_nested(bytes: &[u8]) -> Option<u128> {
    let batch = Nested::decode(bytes).ok()?;
    Some(batch.holds.iter().fold(0, |sum, hold| {
        let seats = hold.seats.iter().fold(0, |sum, &seat| sum ^ u128::from(seat));
        sum ^ wide(hold.hold_id_hi, hold.hold_id_lo) ^ u128::from(hold.customer_key) ^ seats
    }))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    type Read = fn(&[u8]) -> Option<u128>;
    let shapes: [(&str, Vec<u8>, Read); 4] = [
        ("columns, ids as two fixed64", columns().encode_to_vec(), of_columns),
        ("columns, ids as bytes", bytes_ids().encode_to_vec(), of_bytes_ids),
        ("columns, all ids in one bytes", one_blob().encode_to_vec(), of_one_blob),
        ("a message a hold", nested().encode_to_vec(), of_nested),
    ];
    let expected = of_columns(&shapes[0].1);
    let mut group = criterion.benchmark_group("batch of 512 holds, decoded");
    group.throughput(Throughput::Elements(HOLDS));
    for (name, bytes, read) in shapes {
        assert!(expected.is_some() && read(&bytes) == expected, "{name} says the same");
        println!("{name}: {:.1} bytes a hold", bytes.len() as f64 / HOLDS as f64);
        group.bench_function(name, |bencher| bencher.iter(|| read(black_box(&bytes))));
    }
    group.finish();
    criterion.final_summary();
}
