//! Backups of a running server, as callers see them: a snapshot over gRPC, the archive, and the other future after a
//! restore.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::path::Path;

use backup::{FolderStore, SealedReader, Store, Wanted, check, open_source, plan_restore, rebuild};
use engine::{FileStorage, ManualClock, TimestampMs, Until, Verdict, in_a_new_folder, state_hash};
use proto::{
    admin::v1::{self as admin, create_snapshot_response::Part},
    inventory::v1 as wire,
};
use support::*;

/// Takes a snapshot: what it says it is, and its bytes.
async fn snapshot(server: &TestServer) -> (admin::SnapshotHead, Vec<u8>) {
    let mut stream = server.admin.clone().create_snapshot(admin::CreateSnapshotRequest {}).await.unwrap().into_inner();
    let (mut head, mut bytes, mut seal, mut done) = (None, Vec::new(), None, 0);
    while let Some(message) = stream.message().await.unwrap() {
        assert!(seal.is_none(), "the seal is the last part");
        assert!(message.body_bytes_done >= done);
        done = message.body_bytes_done;
        match message.part.unwrap() {
            Part::Head(found) => head = Some(found),
            Part::Data(data) => bytes.extend_from_slice(&data),
            Part::Seal(found) => seal = Some(found),
        }
    }
    let (head, seal): (admin::SnapshotHead, admin::SnapshotSeal) = (head.unwrap(), seal.unwrap());
    assert_eq!((seal.bytes, done), (bytes.len() as u64, head.body_bytes));
    let found = SealedReader::open("the stream", bytes.as_slice()).unwrap().finish().unwrap();
    assert_eq!(found.blake3.to_vec(), seal.blake3);
    (head, bytes)
}

/// Restores what is there into a new folder.
fn restore(from: &Path, folder: &Path, until: Until, now: TimestampMs) {
    let source = open_source(from.to_str().unwrap()).unwrap();
    let wanted = Wanted { until, instance: None, incarnation: None };
    let plan = plan_restore(source.store.as_ref(), source.single.as_deref(), &wanted).unwrap();
    let state = rebuild(source.store.as_ref(), &plan, None, &mut |_| {}).unwrap();
    in_a_new_folder(folder, |storage| state.write(storage, now)).unwrap();
}

fn hold(server: &TestServer, seat: u32) -> wire::HoldRequest {
    wire::HoldRequest { event_id: "show".into(), hold_id: server.id(), seats: vec![seat], ..Default::default() }
}

#[tokio::test]
async fn a_snapshot_of_a_running_server_is_what_it_was_and_sales_go_on() {
    let server = TestServer::with_show().await;
    let nothing = TestServer::empty().await;
    let status = nothing.admin.clone().create_snapshot(admin::CreateSnapshotRequest {}).await.unwrap_err();
    assert!(status.message().contains("nothing"), "{status}");

    let held = server.hold(hold(&server, 1)).await.unwrap();
    let (head, bytes) = snapshot(&server).await;
    assert_eq!((head.position, head.incarnation, head.plans), (2, 1, 1));
    server.hold(hold(&server, 2)).await.unwrap();
    let (later, _) = snapshot(&server).await;
    assert_eq!(later.position, 3);
    // Nothing new: the same checkpoint again.
    assert_eq!(snapshot(&server).await.0, later);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("show.snapshot");
    std::fs::write(&file, &bytes).unwrap();
    let data = folder.path().join("data");
    restore(&file, &data, Until::End, TimestampMs(START_MS));
    let found = engine::verify(&FileStorage::open_read_only(&data).unwrap()).unwrap();
    assert_eq!((found.position, format!("{:016x}", found.state_hash)), (2, head.state_hash));

    // A week later in the life of the copy the hold is as far from its end as it was, and can be sold.
    let week_ms = 7 * 24 * 3_600_000;
    let clock = ManualClock::new(TimestampMs(START_MS + week_ms));
    let config = config(&data);
    let copy = TestServer::with(folder, clock, config, |_| {}).await;
    let id = held.hold.unwrap().hold_id;
    let again = copy.get_hold("show", &id).await.unwrap();
    assert_eq!(again.expires_in_ms, 600_000);
    let confirm = wire::ConfirmHoldRequest {
        event_id: "show".into(),
        hold_id: id,
        order_ref: "A-1".into(),
        ..Default::default()
    };
    copy.confirm(confirm).await.unwrap();

    // Whoever names the future that is gone is told so.
    let request = |incarnation| wire::GetEventRequest { event_id: "show".into(), incarnation, ..Default::default() };
    assert_eq!(reason(copy.sale.clone().get_event(request(1)).await), "INSTANCE_CHANGED");
    copy.sale.clone().get_event(request(2)).await.unwrap();
    server.sale.clone().get_event(request(1)).await.unwrap();
    copy.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_names_the_other_future_is_refused() {
    let server = TestServer::with_show().await;
    let (_, bytes) = snapshot(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("show.snapshot");
    std::fs::write(&file, &bytes).unwrap();
    let data = folder.path().join("data");
    restore(&file, &data, Until::End, TimestampMs(START_MS));
    let config = config(&data);
    let copy = TestServer::with(folder, ManualClock::new(TimestampMs(START_MS)), config, |_| {}).await;
    for (incarnation, refused) in [(1, true), (2, false), (0, false)] {
        let open = wire::SessionOpen { incarnation, ..Default::default() };
        let first =
            wire::SessionRequest { command: Some(wire::session_request::Command::Open(open)), ..Default::default() };
        let answer = copy.sale.clone().session(futures_util::stream::iter([first])).await;
        let answer = match answer {
            Ok(stream) => stream.into_inner().message().await,
            Err(status) => Err(status),
        };
        match answer {
            Ok(message) => {
                let message = message.unwrap();
                let changed = message.reason == wire::Reason::InstanceChanged as i32;
                assert_eq!(changed, refused, "incarnation {incarnation}: {message:?}");
            }
            Err(status) => assert!(refused, "incarnation {incarnation}: {status}"),
        }
    }
    copy.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn the_archive_of_a_running_server_has_every_moment() {
    let places = tempfile::tempdir().unwrap();
    let archive = places.path().join("archive");
    let folder = tempfile::tempdir().unwrap();
    let config =
        server::config::Config { archive: Some(archive.to_str().unwrap().to_owned()), ..config(folder.path()) };
    let clock = ManualClock::new(TimestampMs(START_MS));
    let mut server = TestServer::with(folder, clock, config, |_| {}).await;
    server.create("show", no_rules()).await.unwrap();
    for seat in 0..5 {
        server.advance_ms(1_000);
        server.hold(hold(&server, seat)).await.unwrap();
    }
    let status = server.admin.clone().server_status(admin::ServerStatusRequest {}).await.unwrap().into_inner();
    assert!(status.partitions[0].archive.is_some());
    let data = server.folder.path().to_owned();
    // A clean stop archives the end of the log too.
    server.running.take().unwrap().stop().await.unwrap();
    let store = FolderStore::new(&archive);
    let report = check(&store, None, None, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", report.problems);
    assert_eq!(report.futures[0].spans[0].last.position, 6);
    let hash = state_hash(&FileStorage::open_read_only(&data).unwrap(), 1).unwrap();
    assert_eq!(report.futures[0].spans[0].last.state_hash, hash);
    let third = places.path().join("third");
    restore(&archive, &third, Until::Time(TimestampMs(START_MS + 3_999)), TimestampMs(START_MS));
    let found = engine::verify(&FileStorage::open_read_only(&third).unwrap()).unwrap();
    assert_eq!((found.position, found.live_holds), (4, 3));
    assert!(!store.list("").unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_is_not_there_stops_no_sale() {
    let places = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let archive = places.path().join("archive");
    std::fs::write(&archive, b"in the way").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config =
        server::config::Config { archive: Some(archive.to_str().unwrap().to_owned()), ..config(folder.path()) };
    let clock = ManualClock::new(TimestampMs(START_MS));
    let mut server = TestServer::with(folder, clock, config, |_| {}).await;
    server.create("show", no_rules()).await.unwrap();
    server.hold(hold(&server, 1)).await.unwrap();
    let failure = async || {
        let request = admin::ServerStatusRequest {};
        let status = server.admin.clone().server_status(request).await.unwrap().into_inner();
        status.partitions[0].archive.clone().unwrap().failure
    };
    // The thread looks at once; each question gives it a little more time.
    let mut found = String::new();
    for _ in 0..10_000 {
        found = failure().await;
        if !found.is_empty() {
            break;
        }
    }
    assert!(found.contains("archive"), "{found}");
    server.stop().await;
}
