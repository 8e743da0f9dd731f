//! What Ctrl-C does: the first ends the run early, and it is audited all the same; the second leaves at once.

/// Exit status of a program ended by an interrupt, by the custom of shells.
const EXIT_INTERRUPTED: i32 = 130;

/// Watches for interrupts on the current runtime. The first one calls `end`.
pub(crate) fn end_early(end: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("loadgen: ending early; interrupt again to leave without an audit");
            end();
            leave().await;
        }
    });
}

/// Watches for interrupts on the current runtime: the next one leaves.
pub(crate) fn leave_at_once() {
    tokio::spawn(leave());
}

async fn leave() {
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(EXIT_INTERRUPTED);
    }
}
