//! What best available chooses in plans that nobody here drew, by the state machine itself: the choices that hosted seat
//! services make in the same charts, and those of the ladder's lower rungs.

mod documents;

use std::sync::Arc;

use documents::{imported, third_party};
use inventory_core::{
    best_available::Arrangement,
    change::{Change, EventCreated, HoldView},
    command::{AdmissionWanted, AreaName, BestAvailable, Command, Hold},
    ids::{CustomerKey, EventId, EventKey, EventNumber, HoldId, PlanDigest, TimestampMs},
    plan::Plan,
    policy::{OrphanRule, Settings},
    reject::Reject,
    slot::{Decision, Plans, Slot, SlotConfig},
};
use venue::Format;

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const KEY: EventKey = EventKey(0x100);

/// One event that sells a chart.
struct Sale {
    slot: Slot,
    event: EventNumber,
    plan: Arc<Plan>,
    holds: u128,
}

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

impl Sale {
    fn of(chart: &str, rule: OrphanRule) -> Option<Sale> {
        let document = third_party(&format!("seatsio/{chart}.json"))?;
        let spec = imported(Format::Seatsio, &document).spec;
        let plan = Arc::new(Plan::build(&spec, PlanDigest([0; 32])).expect("no errors"));
        let mut slot = Slot::new(KEY.slot(), SlotConfig { seed: 1, tombstones_max: 1_000 });
        let mut settings = Settings::default();
        settings.policies.orphan_rule = rule;
        let id = EventId::parse("exam").expect("an id");
        let created = EventCreated { id, key: KEY, plan: plan.digest(), fingerprint: 0, settings };
        let event = slot.next_event_number();
        let created = Change::EventCreated(Box::new(created));
        slot.apply(NOW, event, &created, &OnePlan(Arc::clone(&plan)), None);
        Some(Sale { slot, event, plan, holds: 0 })
    }

    fn hold(&mut self, change: impl FnOnce(&mut Hold)) -> Result<HoldView, Reject> {
        self.holds += 1;
        let hold_id = HoldId(u128::from(NOW.0) << 80 | 7 << 76 | 1 << 63 | self.holds);
        let mut hold = Hold {
            allocations: Default::default(),
            hold_id,
            seats: [].into_iter().collect(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: 0,
        };
        change(&mut hold);
        match self.slot.decide(NOW, KEY, &Command::Hold(Box::new(hold)))? {
            Decision::Change(event, change) => {
                self.slot.apply(NOW, event, &change, &OnePlan(Arc::clone(&self.plan)), None);
                Ok(self.slot.hold_view(self.event, hold_id).expect("it was just made"))
            }
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, keys: &[&str]) -> Result<HoldView, Reject> {
        self.hold(|hold| hold.seat_keys = keys.iter().map(|&key| key.into()).collect())
    }

    fn best(&mut self, quantity: u8, change: impl FnOnce(&mut BestAvailable)) -> Result<HoldView, Reject> {
        let mut best = BestAvailable { quantity, ..BestAvailable::default() };
        change(&mut best);
        self.hold(|hold| hold.best = Some(best))
    }

    fn keys(&self, hold: &HoldView) -> Vec<&str> {
        hold.seats.iter().map(|seat| self.plan.seat_key(seat.index)).collect()
    }

    /// Keys of the best seats, and how they lie.
    fn best_keys(&mut self, quantity: u8) -> (Vec<String>, Arrangement) {
        let hold = self.best(quantity, |_| {}).expect("there is room");
        (self.keys(&hold).into_iter().map(str::to_owned).collect(), hold.arrangement)
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[test]
fn three_best_seats_are_the_middle_of_the_first_row() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Lenient) else { return };
    assert_eq!(sale.best_keys(3), (keys(&["A-4", "A-5", "A-6"]), Arrangement::Contiguous));
}

#[test]
fn two_go_to_the_second_row_rather_than_leave_a_seat_alone() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Lenient) else { return };
    sale.take(&["A-4", "A-5"]).expect("they are open");
    // would leave A-1 alone; A-7 is accessible and was not asked for.
    assert_eq!(sale.best_keys(2), (keys(&["B-4", "B-5"]), Arrangement::Contiguous));
}

#[test]
fn two_stay_in_the_first_row_where_single_seats_do_not_matter() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Off) else { return };
    sale.take(&["A-4", "A-5"]).expect("they are open");
    assert_eq!(sale.best_keys(2), (keys(&["A-2", "A-3"]), Arrangement::Contiguous));
}

#[test]
fn a_zone_has_its_own_focal_point() {
    let Some(mut sale) = Sale::of("sampleChartWithZones", OrphanRule::Lenient) else { return };
    let hold = sale.best(2, |best| best.zone = Some("midtrack".into())).expect("there is room");
    assert_eq!(sale.keys(&hold), ["MT3-A-138", "MT3-A-139"]);
}

#[test]
fn a_pick_that_strands_is_refused_where_another_would_not() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Lenient) else { return };
    assert_eq!(sale.take(&["A-2", "A-3"]), Err(Reject::WouldStrand), "A-1 would be left alone");
    sale.take(&["A-1", "A-2"]).expect("nobody is left alone");
    // Of the six that are left, A-3 to A-8.
    assert_eq!(sale.take(&["A-4", "A-5", "A-6"]), Err(Reject::WouldStrand), "A-3 would be left alone");
    sale.take(&["A-3", "A-4", "A-5", "A-6", "A-7"]).expect("five of six leave one, wherever they are");
    sale.take(&["A-8"]).expect("it is alone already");
}

#[test]
fn when_the_seats_are_gone_general_admission_serves_the_party() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Lenient) else { return };
    let all: Vec<u32> = (0..sale.plan.seat_count()).collect();
    for seats in all.chunks(8) {
        sale.hold(|hold| hold.seats = seats.iter().copied().collect()).expect("they are open");
    }
    let types = [1, 2, 1];
    let hold = sale
        .hold(|hold| {
            hold.best = Some(BestAvailable { quantity: 3, ..BestAvailable::default() });
            hold.ticket_types = types.to_vec();
        })
        .expect("there is room in the areas");
    assert_eq!((hold.seats.len(), hold.arrangement), (0, Arrangement::General));
    let admitted: Vec<(u8, u8)> = hold.admissions.iter().map(|a| (a.ticket_type, a.quantity)).collect();
    assert_eq!(admitted, [(1, 2), (2, 1)]);
    let area = hold.admissions[0].area;
    let others = sale.plan.area_distances(false).iter();
    assert!(others.clone().all(|other| *other >= sale.plan.area_distances(false)[usize::from(area)]));
    for refuse in [
        |best: &mut BestAvailable| best.seats_only = true,
        |best: &mut BestAvailable| best.contiguous_only = true,
        |best: &mut BestAvailable| best.sections = vec!["main".into()],
        |best: &mut BestAvailable| best.accessible_count = 1,
    ] {
        assert_eq!(sale.best(2, refuse), Err(Reject::NotEnoughPlaces { held_unpaid: 32, quota: None }));
    }
    // What the command takes of the area itself counts: 97 are left there, and 10 a hold is the most.
    let key = sale.plan.areas()[usize::from(area)].key.clone();
    let some = |quantity| {
        let area = AreaName::Key(key.clone());
        vec![AdmissionWanted { area, quantity, quantity_min: 0, ticket_type: 0 }]
    };
    for _ in 0..9 {
        sale.hold(|hold| hold.admissions = some(10)).expect("there is room");
    }
    let hold = sale.hold(|hold| {
        hold.admissions = some(6);
        hold.best = Some(BestAvailable { quantity: 2, ..BestAvailable::default() });
    });
    let hold = hold.expect("the other area has room");
    assert!(hold.admissions.iter().any(|admission| admission.area != area), "{:?}", hold.admissions);
}

#[test]
fn a_party_is_split_into_large_pieces_that_leave_nobody_alone() {
    let Some(mut sale) = Sale::of("sampleChart", OrphanRule::Lenient) else { return };
    let longest = sale.plan.rows().iter().map(|row| row.count).max().expect("rows");
    let party = u8::try_from(longest + 1).expect("few").min(10);
    let hold = sale.best(party, |_| {}).expect("32 seats are open");
    assert_eq!((hold.arrangement, hold.seats.len()), (Arrangement::Split, usize::from(party)));
    let mut pieces: Vec<usize> = Vec::new();
    for (at, seat) in hold.seats.iter().enumerate() {
        let is_next = at > 0
            && hold.seats[at - 1].index + 1 == seat.index
            && sale.plan.row_of(seat.index) == sale.plan.row_of(seat.index - 1)
            && !sale.plan.aisle_after(seat.index - 1);
        if is_next { *pieces.last_mut().expect("a piece") += 1 } else { pieces.push(1) }
    }
    assert!(pieces.len() > 1 && pieces.iter().all(|&piece| piece > 1), "{:?}: {pieces:?}", sale.keys(&hold));
    assert!(matches!(sale.best(party, |best| best.contiguous_only = true), Err(Reject::NotEnoughPlaces { .. })));
}

#[test]
fn a_table_serves_a_party_around_its_end() {
    let Some(mut sale) = Sale::of("sampleChartWithTables", OrphanRule::Strict) else { return };
    let table = sale.plan.rows()[0].clone();
    let hold = sale.best(3, |_| {}).expect("tables are open");
    assert_eq!(hold.arrangement, Arrangement::Split);
    let seats: Vec<u32> = hold.seats.iter().map(|seat| seat.index).collect();
    assert!(seats.iter().all(|&seat| sale.plan.row_of(seat) == sale.plan.row_of(seats[0])), "one table: {seats:?}");
    // A single seat at a table is nobody's loss.
    let other: Vec<u32> =
        sale.plan.rows()[1].seats().chain(table.seats()).filter(|seat| !seats.contains(seat)).collect();
    let every_other: Vec<u32> = other.into_iter().step_by(2).collect();
    sale.hold(|hold| hold.seats = every_other.into_iter().collect()).expect("no orphan rule at tables");
}
