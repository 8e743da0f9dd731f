//! The engine on one thread, over a disk and a clock in memory: no sleeping, no real time.

mod carts;
mod corpus;
mod crash;
mod damage;
mod follow;
mod inspect;
mod price_level;
mod repair;
mod restart;
mod retired;
mod restore;
#[cfg(shuttle)]
mod schedules;
#[cfg(not(any(loom, shuttle)))]
mod threads;
mod turns;
mod verdicts;
mod workload;
mod world;
