//! What the engine says to a command.
//!
//! Not here: texts and codes of the wire (the edge), delivering an answer (`reply.rs`).

use inventory_core::{
    allocation::AllocationView,
    cart::Verdict,
    change::{Held, HoldView},
    ids::{EventKey, TimestampMs},
    reject::Reject,
    retire::Image,
    slot::{Page, SoldPart, Suggestion, Touched},
};

/// The one answer to one command. Everything it says is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What came of it.
    pub result: Result<Done, Refused>,
    /// The position it is true at: that of the command's own change, or of the last change it looked at.
    pub position: u64,
    /// The time it was judged at.
    pub time: TimestampMs,
}

/// What a command did or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A hold, as it was right after the command.
    Hold {
        /// The hold.
        view: HoldView,
        /// The command had taken effect before.
        replayed: bool,
    },
    /// Ways to seat a party, best first.
    Suggested {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// At least one.
        options: Vec<Suggestion>,
    },
    /// What a hold would do.
    Explained {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// What it would take, or the refusal.
        outcome: Box<Result<Held, Reject>>,
        /// Seats that the pick would leave alone.
        left_alone: Vec<u32>,
    },
    /// What is sold to an order.
    Order {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// By hold, in order of their ids; at least one.
        parts: Vec<SoldPart>,
    },
    /// The last state of an event, to be archived before it is retired.
    Image(Image),
    /// The event is retired.
    Retired,
    /// A page of a list.
    Page {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// The page.
        page: Page,
    },
    /// All allocations of an event.
    Allocations {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// In the order of their numbers.
        allocations: Vec<AllocationView>,
    },
    /// What a command of the house touched, or would touch.
    Touched {
        /// The plan that indexes belong to.
        plan_revision: u32,
        /// Nothing, when it had taken effect before: that is not remembered.
        touched: Touched,
        /// The command had taken effect before.
        replayed: bool,
    },
    /// All parts of a cart, the first event's first.
    Cart {
        /// Each part with its event.
        parts: Vec<CartPart>,
        /// The command had taken effect before.
        replayed: bool,
    },
    /// What the first part of a cart has decided. Told to other shards only.
    Verdict(Option<Verdict>),
    /// An event.
    Event {
        /// Its key: its view is in the directory.
        key: EventKey,
        /// The command had taken effect before.
        replayed: bool,
    },
}

/// A part of a cart, as it was right after the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartPart {
    /// Its event.
    pub event: EventKey,
    /// The hold.
    pub view: HoldView,
}

/// Why there is no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The state machine says no.
    Reject(Reject),
    /// The state machine of another event of the cart says no.
    InEvent {
        /// Which event.
        event: EventKey,
        /// Why.
        reject: Reject,
    },
    /// The caller's deadline passed.
    DeadlinePassed {
        /// Whether the command may have taken effect. The engine drops such commands before it judges
        /// them and says false; an edge that stops waiting says true.
        executed_unknown: bool,
    },
    /// Too much waits already.
    Overloaded {
        /// When to ask again.
        retry_after_ms: u32,
    },
    /// The server is going away and takes nothing new.
    Draining,
    /// The disk is nearly full: only what ends holds is taken.
    StorageLow,
    /// The command met a defect of the server. It had no effect and is not tried again.
    Internal,
}
