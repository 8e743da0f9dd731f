//! Ten thousand buyers who ask for the best places at once. What they were told is replayed in the order of the log and
//! held against a search of its own that looks at every window of every row.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::{
    fmt::Write as _,
    ops::Range,
    sync::{Arc, Barrier},
};

use client::{Client, Config, HoldRequest, Reason};
use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, Arrangement},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use support::{TestServer, document, new_event};

const CALLERS: usize = 10_000;
const CONNECTIONS: usize = 4;
const PARTY_MAX: u32 = 5;
const SEED: u64 = 0x5eed_0030;

/// Rows cut at their aisles, tables, and one area, as the test itself draws them.
#[derive(Debug, Default)]
struct Hall {
    stretches: Vec<Range<usize>>,
    tables: Vec<Range<usize>>,
    seats: usize,
    area: u32,
}

impl Hall {
    /// A row of these stretches with aisles between them.
    fn row(&mut self, stretches: &[usize]) {
        for &count in stretches {
            self.stretches.push(self.seats..self.seats + count);
            self.seats += count;
        }
    }

    fn table(&mut self, count: usize) {
        self.tables.push(self.seats..self.seats + count);
        self.seats += count;
    }

    fn capacity(&self) -> u32 {
        u32::try_from(self.seats).unwrap() + self.area
    }
}

/// Stalls with wide middles, a balcony of odd stretches down to a single seat, boxes of two, where one who comes alone
/// leaves another alone, two tables, and a floor: the hall and its document.
fn hall() -> (Hall, String) {
    let mut hall = Hall { area: 60, ..Hall::default() };
    let mut sections = Vec::new();
    let rows: [(&str, usize, f64, &[usize]); 3] =
        [("Stalls", 45, 3.0, &[7, 10, 7]), ("Balcony", 30, 60.0, &[2, 1, 5, 7]), ("Boxes", 20, 100.0, &[2, 2, 2])];
    for (key, count, depth, stretches) in rows {
        let seats: usize = stretches.iter().sum();
        let ends = stretches.iter().scan(0, |end, &count| {
            *end += count;
            Some(*end)
        });
        let aisles: Vec<String> = ends.filter(|&end| end < seats).map(|end| end.to_string()).collect();
        let mut text = String::new();
        for row in 0..count {
            hall.row(stretches);
            let comma = if row > 0 { "," } else { "" };
            let y = depth + row as f64;
            let x = seats as f64 / -2.0;
            write!(
                text,
                r#"{comma}{{"label": "{row}", "count": {seats}, "start": [{x:?}, {y:?}], "step": [1, 0], "aisles_after": [{}]}}"#,
                aisles.join(", ")
            )
            .unwrap();
        }
        sections.push(format!(r#"{{"key": "{key}", "level": "All", "rows": [{text}]}}"#));
    }
    hall.table(8);
    hall.table(5);
    sections.push(
        r#"{"key": "Tables", "level": "All", "rows": [
            {"label": "T1", "kind": "table", "count": 8, "centre": [-20, 8], "radius": 1},
            {"label": "T2", "kind": "table", "count": 5, "centre": [20, 8], "radius": 1}
        ]}"#
        .to_owned(),
    );
    let area = hall.area;
    let json = format!(
        r#"{{"usher_plan": 1, "name": "Crowd", "price_levels": ["All"], "focal_point": [0, 0], "sections": [{}],
            "areas": [{{"key": "Floor", "level": "All", "capacity": {area}, "centre": [0, 150]}}]}}"#,
        sections.join(", ")
    );
    (hall, json)
}

/// What one caller was told.
#[derive(Clone, Debug)]
struct Told {
    party: u32,
    /// The position it is true at.
    position: u64,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Answer {
    Granted { seats: Vec<u32>, ga: Vec<u32>, arrangement: Arrangement },
    Refused { reason: Reason, held_unpaid: u32 },
}

/// How often each came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    contiguous: u32,
    stranding: u32,
    split: u32,
    general: u32,
    refused: u32,
    /// Places held after all of them.
    held: u32,
}

/// The hall in the course of the replay.
struct Replay<'a> {
    hall: &'a Hall,
    open: Vec<bool>,
    area_open: u32,
}

impl Replay<'_> {
    /// Goes through the answers in the order of the log. The first contradiction is an error.
    fn run(hall: &Hall, told: &[Told]) -> Result<Tally, String> {
        let mut replay = Replay { hall, open: vec![true; hall.seats], area_open: hall.area };
        let mut told: Vec<&Told> = told.iter().collect();
        // A refusal is true after the change at its position.
        told.sort_by_key(|told| (told.position, matches!(told.answer, Answer::Refused { .. })));
        let mut tally = Tally::default();
        let mut changed_at = 0;
        for one in told {
            let wrong = |what: &str| Err(format!("{what}: {one:?}"));
            match &one.answer {
                Answer::Granted { seats, ga, arrangement } => {
                    if one.position <= changed_at {
                        return wrong("two grants at one position");
                    }
                    changed_at = one.position;
                    if let Err(what) = replay.grant(one.party, seats, ga, *arrangement, &mut tally) {
                        return wrong(what);
                    }
                    tally.held += one.party;
                }
                Answer::Refused { reason, held_unpaid } => {
                    if replay.seats_open() >= one.party || replay.area_open >= one.party {
                        return wrong("refused, and there is room");
                    }
                    if (*reason, *held_unpaid) != (Reason::NotEnoughPlaces, tally.held) {
                        return wrong("refused for another reason than that all is held");
                    }
                    tally.refused += 1;
                }
            }
        }
        Ok(tally)
    }

    fn grant(
        &mut self,
        party: u32,
        seats: &[u32],
        ga: &[u32],
        arrangement: Arrangement,
        tally: &mut Tally,
    ) -> Result<(), &'static str> {
        let mut picked: Vec<usize> = seats.iter().map(|&seat| seat as usize).collect();
        picked.sort_unstable();
        let size = party as usize;
        match arrangement {
            Arrangement::General => {
                if !picked.is_empty() || ga != [party] || party > self.area_open {
                    return Err("general admission of another number, or that is not there");
                }
                if self.seats_open() >= party {
                    return Err("general admission, and there are seats");
                }
                self.area_open -= party;
                tally.general += 1;
                return Ok(());
            }
            Arrangement::Contiguous | Arrangement::Stranding | Arrangement::Split => {}
            Arrangement::Unspecified => return Err("no arrangement"),
        }
        if picked.len() != size || !ga.is_empty() {
            return Err("another number of seats");
        }
        if picked.windows(2).any(|pair| pair[0] == pair[1]) || picked.iter().any(|&seat| !self.open[seat]) {
            return Err("a seat twice");
        }
        let window = self.window_of(&picked);
        match arrangement {
            Arrangement::Contiguous => {
                let Some((row, window)) = window else { return Err("contiguous, and not in one row") };
                if self.strands(&row, &window) {
                    return Err("contiguous, and somebody is left alone");
                }
                tally.contiguous += 1;
            }
            Arrangement::Stranding => {
                let Some((row, window)) = window else { return Err("stranding, and not in one row") };
                if !self.strands(&row, &window) {
                    return Err("stranding, and nobody is left alone");
                }
                if self.windows(size).any(|(row, window)| !self.strands(&row, &window)) {
                    return Err("somebody is left alone who need not be");
                }
                tally.stranding += 1;
            }
            _ => {
                if self.windows(size).next().is_some() {
                    return Err("split, and a row has room for all");
                }
                tally.split += 1;
            }
        }
        picked.iter().for_each(|&seat| self.open[seat] = false);
        Ok(())
    }

    fn seats_open(&self) -> u32 {
        u32::try_from(self.open.iter().filter(|&&open| open).count()).unwrap()
    }

    /// The stretch of a row that has all of these next to each other.
    fn window_of(&self, picked: &[usize]) -> Option<(Range<usize>, Range<usize>)> {
        let window = picked[0]..picked[0] + picked.len();
        if !picked.iter().copied().eq(window.clone()) {
            return None;
        }
        let row = self.hall.stretches.iter().find(|row| row.start <= window.start && window.end <= row.end)?;
        Some((row.clone(), window))
    }

    /// Every window of so many open seats, in every stretch of every row.
    fn windows(&self, size: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        self.hall.stretches.iter().flat_map(move |row| {
            let starts = row.start..(row.end + 1).saturating_sub(size).max(row.start);
            let windows = starts.map(move |start| start..start + size);
            windows
                .filter(|window| self.open[window.clone()].iter().all(|&open| open))
                .map(|window| (row.clone(), window))
        })
    }

    /// Somebody beside the window is left alone who had a neighbour.
    fn strands(&self, row: &Range<usize>, window: &Range<usize>) -> bool {
        let is_open = |seat: Option<usize>| seat.is_some_and(|seat| row.contains(&seat) && self.open[seat]);
        let before = window.start.checked_sub(1);
        let after = Some(window.end);
        (is_open(before) && !is_open(before.and_then(|seat| seat.checked_sub(1))))
            || (is_open(after) && !is_open(after.map(|seat| seat + 1)))
    }
}

/// Callers on a connection and a thread of their own, all of them there before the first is answered.
fn crowd(address: String, parties: &[u32], start: &Barrier) -> Vec<Told> {
    // Generous: that it ends is the claim, not when.
    let patience = std::time::Duration::from_secs(600);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(Config::new(address).timeouts(patience, patience)).await.unwrap();
        start.wait();
        let callers: Vec<_> = parties.iter().map(|&party| tokio::spawn(ask(client.clone(), party))).collect();
        let mut told = Vec::new();
        for caller in callers {
            told.push(caller.await.unwrap());
        }
        told
    })
}

async fn ask(client: Client, party: u32) -> Told {
    match client.hold(HoldRequest::new("crowd").best_available(party)).await {
        Ok(held) => {
            assert!(!held.replayed, "each was asked for once");
            let ga = held.ga.iter().map(|item| item.quantity).collect();
            let answer = Answer::Granted { seats: held.seats, ga, arrangement: held.arrangement };
            Told { party, position: held.position, answer }
        }
        Err(client::Error::Refused(refusal)) => {
            let answer = Answer::Refused { reason: refusal.reason, held_unpaid: refusal.held_unpaid() };
            Told { party, position: refusal.position, answer }
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn of_ten_thousand_who_ask_at_once_nobody_shares_a_seat_and_no_single_is_left_that_need_not_be() {
    let mut server = TestServer::empty().await;
    let (hall, json) = hall();
    let policies = admin::EventPolicies { orphan_rule: wire::OrphanRule::Strict as i32, ..Default::default() };
    let event = admin::CreateEventRequest {
        plan: Some(admin::create_event_request::Plan::PlanDocument(document(&json))),
        ..new_event("crowd", policies)
    };
    server.admin.create_event(event).await.unwrap();

    let mut rng = SmallRng::seed_from_u64(SEED);
    let parties: Vec<u32> = (0..CALLERS).map(|_| rng.random_range(1..=PARTY_MAX)).collect();
    // Whatever the order is, singles alone could fill the hall: so it is full when all are answered.
    assert!(parties.iter().filter(|&&party| party == 1).count() >= hall.capacity() as usize);
    assert!(parties.iter().sum::<u32>() > 10 * hall.capacity());

    let address = format!("http://{}", server.running.as_ref().unwrap().address());
    let start = Arc::new(Barrier::new(CONNECTIONS));
    let crowds: Vec<_> = parties
        .chunks(CALLERS / CONNECTIONS)
        .map(|parties| {
            tokio::task::spawn_blocking({
                let (address, parties, start) = (address.clone(), parties.to_vec(), Arc::clone(&start));
                move || crowd(address, &parties, &start)
            })
        })
        .collect();
    let mut told = Vec::new();
    for crowd in crowds {
        told.extend(crowd.await.unwrap());
    }
    assert_eq!(told.len(), CALLERS);

    let tally = Replay::run(&hall, &told).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(tally.held, hall.capacity());
    assert!(tally.contiguous > 0 && tally.split > 0 && tally.general > 0, "{tally:?}");

    let request = wire::GetAvailabilityRequest { event_id: "crowd".into(), ..Default::default() };
    let counts = server.sale.get_availability(request).await.unwrap().into_inner();
    let totals = counts.totals.unwrap();
    assert_eq!((totals.held, totals.open, totals.sold, totals.killed), (hall.capacity(), 0, 0, 0));
    let sections: u32 = counts.sections.iter().map(|section| section.counts.unwrap().held).sum();
    let areas: u32 = counts.ga_areas.iter().map(|area| area.counts.unwrap().held).sum();
    assert_eq!((sections as usize, areas), (hall.seats, hall.area));
    server.stop().await;
}

/// A grant of seats.
fn granted(position: u64, seats: &[u32], arrangement: Arrangement) -> Told {
    let party = u32::try_from(seats.len()).unwrap();
    Told { party, position, answer: Answer::Granted { seats: seats.to_vec(), ga: Vec::new(), arrangement } }
}

#[test]
fn the_replay_finds_what_a_wrong_ladder_would_tell() {
    let mut hall = Hall { area: 2, ..Hall::default() };
    hall.row(&[5, 2]);
    hall.table(3);
    let problem = |told: &[Told]| Replay::run(&hall, told).expect_err("a contradiction");
    use Arrangement::{Contiguous, General, Split, Stranding};

    let fine = [
        granted(1, &[0, 1], Contiguous),
        granted(2, &[2, 3, 4], Contiguous),
        granted(3, &[6], Stranding),
        granted(4, &[7, 8], Split),
        granted(5, &[5], Contiguous),
        granted(6, &[9], Split),
        Told { party: 2, position: 7, answer: Answer::Granted { seats: vec![], ga: vec![2], arrangement: General } },
        Told { party: 1, position: 7, answer: Answer::Refused { reason: Reason::NotEnoughPlaces, held_unpaid: 12 } },
    ];
    let tally = Replay::run(&hall, &fine).expect("no contradiction");
    assert_eq!(tally, Tally { contiguous: 3, stranding: 1, split: 2, general: 1, refused: 1, held: 12 });

    assert!(problem(&[granted(1, &[0, 1], Contiguous), granted(2, &[1, 2], Contiguous)]).starts_with("a seat twice"));
    assert!(problem(&[granted(1, &[0], Contiguous), granted(1, &[6], Stranding)]).starts_with("two grants"));
    assert!(problem(&[granted(1, &[1, 2], Contiguous)]).starts_with("contiguous, and somebody is left alone"));
    assert!(problem(&[granted(1, &[1, 2], Stranding)]).starts_with("somebody is left alone who need not be"));
    assert!(problem(&[granted(1, &[0, 1], Stranding)]).starts_with("stranding, and nobody is left alone"));
    assert!(problem(&[granted(1, &[4, 5], Contiguous)]).starts_with("contiguous, and not in one row"), "an aisle");
    assert!(problem(&[granted(1, &[7, 8], Contiguous)]).starts_with("contiguous, and not in one row"), "a table");
    assert!(problem(&[granted(1, &[0, 5, 6], Split)]).starts_with("split, and a row has room for all"));
    let general =
        Told { party: 1, position: 1, answer: Answer::Granted { seats: vec![], ga: vec![1], arrangement: General } };
    assert!(problem(&[general]).starts_with("general admission, and there are seats"));
    let refused = Answer::Refused { reason: Reason::NotEnoughPlaces, held_unpaid: 0 };
    let refused = Told { party: 10, position: 1, answer: refused };
    assert!(problem(std::slice::from_ref(&refused)).starts_with("refused, and there is room"));
    assert!(Replay::run(&hall, &[Told { party: 11, ..refused }]).is_ok());
}
