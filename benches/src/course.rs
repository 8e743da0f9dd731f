//! The way through a sale: pair after pair in an order without a pattern, the clock running only while commands are
//! carried out. Making commands is the edge's work and not in the time; dropping them is the shard's and is.
//!
//! Invariant: when the pairs are used up, the sale begins again, off the clock. So however long a measurement takes,
//! it sees the same states equally often.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use inventory_core::command::Command;
use smallvec::SmallVec;

use crate::{
    sale::{Pair, Sale},
    seeded::shuffled,
};

/// Commands that are made before the first of them is carried out: few enough to stay in the second-level cache.
const COMMANDS_AHEAD: usize = 512;
/// Holds and confirms that are looked ahead at together: 16 commands, as in a shard.
const PAIRS_AHEAD: usize = 8;
/// Holds that are live before theirs is confirmed, as if each buyer took so long to pay.
const HOLDS_BEFORE_CONFIRM: u32 = 512;

/// One way through the pairs.
pub struct Course {
    order: Vec<u32>,
    next: usize,
}

impl Course {
    /// Through so many pairs; the first step begins the sale again.
    #[must_use]
    pub fn new(pairs: u32, seed: u64) -> Course {
        Course { order: shuffled(pairs, seed), next: pairs as usize }
    }

    /// Begins again when the pairs are used up. Call it before a measurement, for which it would be a long first
    /// step.
    pub fn prepare(&mut self, sale: &mut Sale) {
        if self.next == self.order.len() {
            sale.begin_again();
            self.next = 0;
        }
    }

    /// The time of so many commands, each of which changes the sale.
    pub fn change(&mut self, sale: &mut Sale, count: u64, make: impl Fn(&Sale, u32) -> (Pair, Command)) -> Duration {
        let mut elapsed = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            self.prepare(sale);
            let commands = self.take(sale, left, &make);
            left -= commands.len() as u64;
            let began = Instant::now();
            for (pair, command) in commands {
                sale.run(pair.event, &command);
            }
            elapsed += began.elapsed();
        }
        elapsed
    }

    /// The time of so many commands that change nothing. They may come round as often as they like.
    pub fn read(&mut self, sale: &Sale, count: u64, make: impl Fn(&Sale, u32) -> (Pair, Command)) -> Duration {
        let mut elapsed = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            if self.next == self.order.len() {
                self.next = 0;
            }
            let commands = self.take(sale, left, &make);
            left -= commands.len() as u64;
            let began = Instant::now();
            for (pair, command) in commands {
                drop(std::hint::black_box(sale.decide(pair.event, &command)));
            }
            elapsed += began.elapsed();
        }
        elapsed
    }

    /// The time of so many sales, a hold and a confirm each: decided, applied, encoded, digested, in turns. A pair
    /// is confirmed some hundred holds after it was held.
    pub fn sell(&mut self, sale: &mut Sale, count: u64) -> Duration {
        let lag = HOLDS_BEFORE_CONFIRM.min(self.order.len() as u32 / 2) as usize;
        let mut elapsed = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            self.prepare_sale(sale, lag);
            let from = self.next;
            let holds = self.take(sale, left, |sale, nth| {
                let pair = sale.open_pair(nth);
                (pair, sale.hold(pair))
            });
            let paid = &self.order[from - lag..][..holds.len()];
            let confirms: Vec<_> = paid
                .iter()
                .map(|&nth| {
                    let pair = sale.open_pair(nth);
                    (pair, sale.confirm(pair))
                })
                .collect();
            left -= holds.len() as u64;
            let mut pairs: VecDeque<_> = holds.into_iter().zip(confirms).collect();
            let began = Instant::now();
            let mut looked_at = 0;
            loop {
                if looked_at == 0 {
                    let next = pairs.iter().take(PAIRS_AHEAD);
                    looked_at = next.len();
                    let next: SmallVec<[_; 16]> = next
                        .flat_map(|((held, hold), (sold, confirm))| [(held.event, hold), (sold.event, confirm)])
                        .collect();
                    sale.look_ahead(&next);
                }
                looked_at = looked_at.saturating_sub(1);
                let Some(((held, hold), (sold, confirm))) = pairs.pop_front() else { break };
                sale.run_and_encode(held.event, &hold);
                sale.run_and_encode(sold.event, &confirm);
            }
            std::hint::black_box(sale.end_turn());
            elapsed += began.elapsed();
        }
        elapsed
    }

    /// As [`Course::prepare`], with the first holds made.
    pub fn prepare_to_sell(&mut self, sale: &mut Sale) {
        let lag = HOLDS_BEFORE_CONFIRM.min(self.order.len() as u32 / 2) as usize;
        self.prepare_sale(sale, lag);
    }

    fn prepare_sale(&mut self, sale: &mut Sale, lag: usize) {
        if self.next < self.order.len() {
            return;
        }
        self.prepare(sale);
        for &nth in &self.order[..lag] {
            let pair = sale.open_pair(nth);
            let hold = sale.hold(pair);
            sale.run(pair.event, &hold);
        }
        self.next = lag;
    }

    fn take(&mut self, sale: &Sale, most: u64, make: impl Fn(&Sale, u32) -> (Pair, Command)) -> Vec<(Pair, Command)> {
        let count = COMMANDS_AHEAD.min(self.order.len() - self.next).min(usize::try_from(most).unwrap_or(usize::MAX));
        let taken = &self.order[self.next..][..count];
        self.next += count;
        taken.iter().map(|&nth| make(sale, nth)).collect()
    }
}
