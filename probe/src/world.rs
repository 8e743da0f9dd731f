//! What the macros ask in a simulation.

use std::{cell::RefCell, collections::BTreeMap};

use crate::Bug;

/// How often each marked place was reached.
pub type Coverage = BTreeMap<&'static str, u64>;

/// What the code told: its name and two numbers.
pub type Told = (&'static str, u64, u64);

/// A site is on in a quarter of the worlds, and then taken one time in four (FoundationDB's figures).
const SITE_ON_IN: u64 = 4;
const SITE_TAKEN_IN: u64 = 4;

#[derive(Default)]
struct State {
    armed: bool,
    seed: u64,
    draws: u64,
    bug: Option<Bug>,
    coverage: Coverage,
    told: Vec<Told>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Begins a world on this thread: rare paths are drawn from `seed`, `bug` is planted. Coverage starts empty.
pub fn arm(seed: u64, bug: Option<Bug>) {
    STATE.with_borrow_mut(|state| *state = State { armed: true, seed, bug, ..State::default() });
}

/// Ends the world of this thread: no rare path and no bug from here on.
pub fn disarm() {
    STATE.with_borrow_mut(|state| {
        state.armed = false;
        state.bug = None;
    });
}

/// What was reached since [`arm`].
#[must_use]
pub fn coverage() -> Coverage {
    STATE.with_borrow(|state| state.coverage.clone())
}

/// Counts a marked place.
pub fn reached(name: &'static str) {
    STATE.with_borrow_mut(|state| *state.coverage.entry(name).or_default() += u64::from(state.armed));
}

/// Whether the rare path with this name is taken now.
#[must_use]
pub fn buggify(name: &'static str) -> bool {
    STATE.with_borrow_mut(|state| {
        if !state.armed {
            return false;
        }
        let site = name.bytes().fold(state.seed, |hash, byte| mix(hash ^ u64::from(byte)));
        if !site.is_multiple_of(SITE_ON_IN) {
            return false;
        }
        state.draws += 1;
        let taken = mix(site ^ mix(state.draws)).is_multiple_of(SITE_TAKEN_IN);
        if taken {
            *state.coverage.entry(name).or_default() += 1;
        }
        taken
    })
}

/// Whether this bug is the planted one.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    STATE.with_borrow(|state| state.bug == Some(bug))
}

/// Remembers what the code tells.
pub fn tell(what: &'static str, first: u64, second: u64) {
    STATE.with_borrow_mut(|state| {
        if state.armed {
            state.told.push((what, first, second));
        }
    });
}

/// Takes what was told since the last call.
#[must_use]
pub fn told() -> Vec<Told> {
    STATE.with_borrow_mut(|state| std::mem::take(&mut state.told))
}

/// Sebastiano Vigna's splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
