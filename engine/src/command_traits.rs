//! What a shard must know of a command, or of a change, without judging it.
//!
//! Not here: judging (`inventory-core`).

use std::hash::{DefaultHasher, Hash, Hasher};

use inventory_core::{
    cart::CartStep,
    change::{Change, Taken},
    command::Command,
    ids::{EventKey, HoldId},
};

/// Whether a command may wait until there is space: it makes the state grow.
pub(crate) fn needs_room(command: &Command) -> bool {
    if let Command::Cart(step) = command {
        return matches!(step, CartStep::Prepare(_));
    }
    !matches!(
        command,
        Command::Confirm(_)
            | Command::Release(_)
            | Command::EndPayment(_)
            | Command::ReturnPlaces(_)
            | Command::ConfirmMany(_)
            | Command::ReleaseMany(_)
            | Command::RetireEvent(_)
            | Command::GetOrder(_)
            | Command::List(_)
            | Command::ListAllocations
            | Command::GetHold(_)
            | Command::Suggest(_)
            | Command::Explain(_)
    )
}

/// The hold a change answers with; none: it answers with its event.
pub(crate) fn hold_of(change: &Change) -> Option<HoldId> {
    match change {
        Change::Held(held) => Some(held.hold_id),
        Change::Extended(extended) => Some(extended.hold_id),
        Change::Confirmed(confirmed) => Some(confirmed.hold_id),
        Change::Released(released) => Some(released.hold_id),
        Change::PaymentBegan(began) => Some(began.hold_id),
        Change::PaymentEnded(ended) => Some(ended.hold_id),
        Change::SoldDirect(sold) => Some(sold.hold_id),
        Change::Exchanged(exchanged) => Some(match &exchanged.taken {
            Taken::Sale(sold) => sold.hold_id,
            Taken::Hold(confirmed) => confirmed.hold_id,
        }),
        Change::CartHeld(part) => Some(part.held.hold_id),
        Change::CartConfirmed(part) => Some(part.cart_id),
        Change::CartReleased(part) => Some(part.cart_id),
        Change::CartSettled(_)
        | Change::EventCreated(_)
        | Change::EventUpdated(_)
        | Change::EventRetired(_)
        | Change::Returned(_)
        | Change::Killed(_)
        | Change::Unkilled(_)
        | Change::AllocationSet(_)
        | Change::AllocationRemoved(_)
        | Change::PriceLevelSet(_)
        | Change::Rested(_)
        | Change::Expired(_)
        | Change::Resumed(_)
        | Change::FloorRaised(_)
        | Change::PaidForgotten(_)
        | Change::PaymentsLapsed(_) => None,
    }
}

/// Tells a command from others, for the memory of those that made the judge panic.
pub(crate) fn fingerprint(key: EventKey, command: &Command) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, std::mem::discriminant(command)).hash(&mut hasher);
    match command {
        Command::Hold(hold) | Command::Explain(hold) => (hold.hold_id, hold.fingerprint()).hash(&mut hasher),
        Command::Suggest(suggest) => suggest.fingerprint().hash(&mut hasher),
        Command::Extend(extend) => (extend.hold_id, extend.request_id, extend.fingerprint()).hash(&mut hasher),
        Command::Confirm(confirm) => (confirm.hold_id, confirm.request_id, confirm.fingerprint()).hash(&mut hasher),
        Command::Release(release) => (release.hold_id, release.request_id, release.fingerprint()).hash(&mut hasher),
        Command::BeginPayment(begin) => (begin.hold_id, begin.attempt_id).hash(&mut hasher),
        Command::EndPayment(end) => (end.hold_id, end.attempt_id, end.outcome).hash(&mut hasher),
        Command::GetHold(hold_id) => hold_id.hash(&mut hasher),
        Command::SellDirect(sell) => (sell.request_id, sell.fingerprint()).hash(&mut hasher),
        Command::ReturnPlaces(command) => (command.request_id, command.fingerprint()).hash(&mut hasher),
        Command::Exchange(exchange) => (exchange.request_id, exchange.fingerprint()).hash(&mut hasher),
        Command::Kill(kill) => (kill.request_id, kill.fingerprint()).hash(&mut hasher),
        Command::Unkill(unkill) => (unkill.request_id, unkill.fingerprint()).hash(&mut hasher),
        Command::SetAllocation(set) => (set.request_id, set.fingerprint()).hash(&mut hasher),
        Command::RemoveAllocation(remove) => (remove.request_id, remove.fingerprint()).hash(&mut hasher),
        Command::SetPriceLevel(set) => (set.request_id, set.fingerprint()).hash(&mut hasher),
        Command::ListAllocations => {}
        Command::GetOrder(order) => order.hash(&mut hasher),
        Command::List(list) => (list.what, list.from, list.count_max).hash(&mut hasher),
        Command::HoldMany(many) => (many.cart_id, many.fingerprint()).hash(&mut hasher),
        Command::ConfirmMany(confirm) => (confirm.cart_id, &confirm.order).hash(&mut hasher),
        Command::ReleaseMany(cart_id) => cart_id.hash(&mut hasher),
        Command::Cart(step) => step.fingerprint().hash(&mut hasher),
        Command::CreateEvent(create) => create.fingerprint().hash(&mut hasher),
        Command::UpdateEvent(update) => (update.request_id, update.fingerprint()).hash(&mut hasher),
        Command::RetireEvent(retire) => (retire.request_id, retire.archived_seq).hash(&mut hasher),
    }
    hasher.finish()
}
