//! `usherctl snapshot`: a backup of a running server, and what a place for backups holds.

use std::io;
use std::sync::Arc;
use std::thread;

use backup::{Catalog, Head, Kind, Location, Store, check, instance_text, read_head, snapshot_name};
use clap::{Args, Subcommand};
use client::Client;
use proto::admin::v1::create_snapshot_response::Part;
use proto::admin::v1::{SnapshotHead, SnapshotSeal};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::event_card::moment_json;
use crate::failure::Failure;
use crate::instant;
use crate::progress;
use crate::report::Report;
use crate::table::{Side, columns, counted, fields, grouped};

/// Parts of the stream that wait for the disk.
const PARTS_AHEAD: usize = 64;

/// Back up a running server
#[derive(Subcommand, Debug)]
pub(crate) enum SnapshotCommand {
    Create(CreateOptions),
    List(ListOptions),
}

/// Take a snapshot of a running server: everything acknowledged so far, checked after it was written
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  usherctl snapshot create --out /backup/usher/
  usherctl snapshot create --out before-the-onsale.snapshot
  usherctl snapshot create --out s3://backups/usher --endpoint http://10.0.0.7:7700

Exit codes: 0 done, 1 refused, 65 what was written does not check, 69 server unavailable, 74 it cannot be written.")]
pub(crate) struct CreateOptions {
    /// A folder (existing, or with a / at its end), a file, or a URL of an object store
    #[arg(long, value_name = "FOLDER|FILE|URL")]
    out: String,
}

/// List the snapshots and the archived log of a place for backups
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  usherctl snapshot list --from /backup/usher
  usherctl snapshot list --from s3://backups/usher --output json")]
pub(crate) struct ListOptions {
    /// A folder, a snapshot file, or a URL of an object store
    #[arg(long, value_name = "FOLDER|FILE|URL")]
    from: String,
}

/// What ended the thread that writes.
type Written = Result<(), Failure>;

/// Runs `snapshot create`.
pub(crate) async fn create(client: &Client, options: &CreateOptions) -> Result<Report, Failure> {
    let target = backup::open_target(&options.out).map_err(|error| Failure::usage(error.to_string()))?;
    // It may run beside the server, and sales go before backups.
    engine::step_back();
    let mut stream = client.unary().create_snapshot().await?;
    let Some(Part::Head(head)) = stream.next().await?.and_then(|message| message.part) else {
        return Err(Failure::Unusable { problem: "the snapshot does not begin with what it is".to_owned() });
    };
    let name = name_of(&target, &head)?;
    let bar = progress::bytes("snapshot", head.body_bytes);
    let (parts, writer) = start_writer(Arc::clone(&target.store), name.clone());
    let mut seal: Option<SnapshotSeal> = None;
    let mut broken = None;
    while seal.is_none() {
        match stream.next().await {
            Ok(Some(message)) => {
                bar.set_position(message.body_bytes_done);
                match message.part {
                    Some(Part::Data(data)) => {
                        if parts.send(Some(data.to_vec())).await.is_err() {
                            break;
                        }
                    }
                    Some(Part::Seal(found)) => seal = Some(found),
                    Some(Part::Head(_)) | None => {}
                }
            }
            Ok(None) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    if seal.is_some() {
        // The writer that is gone says why below.
        let _ = parts.send(None).await;
    }
    drop(parts);
    let written = join(writer);
    bar.finish_and_clear();
    if let Some(error) = broken {
        return Err(error.into());
    }
    written?;
    let Some(seal) = seal else {
        return Err(Failure::Unusable {
            problem: "the stream ended before the snapshot did; nothing is kept".to_owned(),
        });
    };
    verify(&target, &name, &head, &seal)
}

/// Where it goes to within its place.
fn name_of(target: &Location, head: &SnapshotHead) -> Result<String, Failure> {
    if let Some(name) = &target.single {
        return Ok(name.clone());
    }
    let instance = head.instance_id.as_bytes().as_chunks::<2>().0;
    let instance: Vec<u8> =
        instance.iter().filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let instance = <[u8; 16]>::try_from(instance)
        .map_err(|_| Failure::Unusable { problem: "the server's instance id cannot be read".to_owned() })?;
    let time_ms = head.time.map_or(0, instant::ms_of);
    let identity = wal::LogIdentity { instance, partition: 0, incarnation: head.incarnation };
    let chain = wal::Chain::START;
    Ok(snapshot_name(&Head {
        kind: Kind::Snapshot,
        identity,
        first_batch: head.batch + 1,
        last_batch: head.batch,
        first_position: head.position + 1,
        next_position: head.position + 1,
        first_time_ms: time_ms,
        last_time_ms: time_ms,
        chain_before: chain,
        chain,
        body_bytes: head.body_bytes,
    }))
}

/// Writes on a thread of its own what comes in parts; the last one is nothing.
fn start_writer(store: Arc<dyn Store>, name: String) -> (mpsc::Sender<Option<Vec<u8>>>, thread::JoinHandle<Written>) {
    let (sender, mut receiver) = mpsc::channel::<Option<Vec<u8>>>(PARTS_AHEAD);
    let write = move || {
        let put = store.put(&name, &mut |out| {
            loop {
                match receiver.blocking_recv() {
                    Some(Some(part)) => out.write_all(&part)?,
                    Some(None) => return Ok(()),
                    None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                }
            }
        });
        put.map_err(|error| Failure::backup_unwritten(error.to_string()))
    };
    (sender, thread::spawn(write))
}

fn join(writer: thread::JoinHandle<Written>) -> Written {
    writer.join().unwrap_or_else(|_| Err(Failure::backup_unwritten("the writer met a fault".to_owned())))
}

/// Reads back what was written, all of it.
fn verify(target: &Location, name: &str, head: &SnapshotHead, seal: &SnapshotSeal) -> Result<Report, Failure> {
    let store = target.store.as_ref();
    let found = check(store, Some(name), None, &mut |_, _| {});
    let place = store.full_name(name);
    if let Some(problem) = found.problems.first() {
        return Err(Failure::backup_damaged(problem.clone()));
    }
    let blake3: String = seal.blake3.iter().map(|byte| format!("{byte:02x}")).collect();
    let span = found.futures.first().and_then(|future| future.spans.first());
    let state_hash = span.map(|span| format!("{:016x}", span.last.state_hash));
    if found.seal.map(|seal| seal.hex()) != Some(blake3.clone()) || state_hash.as_ref() != Some(&head.state_hash) {
        return Err(Failure::backup_damaged(format!("{place} reads differently from what was sent")));
    }
    let time_ms = head.time.map_or(0, instant::ms_of);
    let (events, live_holds) = span.map_or((0, 0), |span| (span.last.events as u64, span.last.live_holds));
    let text = fields(&[
        ("snapshot", place.clone()),
        ("position", grouped(head.position)),
        ("time", instant::text_of_ms(time_ms)),
        ("events", grouped(events)),
        ("live holds", grouped(live_holds)),
        ("bytes", grouped(seal.bytes)),
        ("of", grouped(head.body_bytes)),
        ("blake3", blake3.clone()),
        ("instance", head.instance_id.clone()),
        ("incarnation", head.incarnation.to_string()),
        ("verified", "every byte was read back".to_owned()),
    ]);
    let json = json!({
        "snapshot": place,
        "position": head.position,
        "time": moment_json(time_ms),
        "events": events,
        "live_holds": live_holds,
        "bytes": seal.bytes,
        "body_bytes": head.body_bytes,
        "blake3": blake3,
        "state_hash": head.state_hash,
        "instance_id": head.instance_id,
        "incarnation": head.incarnation,
    });
    Ok(Report::new(text, json).next(format!("usherctl restore --from {place} --data-dir NEW --dry-run")))
}

/// Runs `snapshot list`.
pub(crate) fn list(options: &ListOptions) -> Result<Report, Failure> {
    let source = backup::open_source(&options.from).map_err(|error| Failure::usage(error.to_string()))?;
    let store = source.store.as_ref();
    if let Some(name) = &source.single {
        let head = read_head(store, name).map_err(Failure::of_restore)?;
        let row = Row {
            name: store.full_name(name),
            instance: instance_text(&head.identity.instance),
            incarnation: head.identity.incarnation,
            position: head.next_position - 1,
            time_ms: head.last_time_ms,
            bytes: std::fs::metadata(&options.from).map_or(0, |meta| meta.len()),
        };
        return Ok(listed(&options.from, &[row], &[]));
    }
    let catalog = Catalog::read(store).map_err(|error| Failure::of_restore(error.into()))?;
    if catalog.futures.is_empty() {
        return Err(Failure::of_restore(backup::RestoreError::Nothing { place: store.place() }));
    }
    let (mut rows, mut logs) = (Vec::new(), Vec::new());
    for ((instance, _, incarnation), future) in &catalog.futures {
        for entry in &future.snapshots {
            rows.push(Row {
                name: entry.name.clone(),
                instance: instance_text(instance),
                incarnation: *incarnation,
                position: entry.position,
                time_ms: entry.time_ms,
                bytes: entry.bytes,
            });
        }
        let newest = future.logs.iter().max_by_key(|log| log.last_batch);
        let head = newest.map(|log| read_head(store, &log.name)).transpose().map_err(Failure::of_restore)?;
        logs.push(LogRow {
            instance: instance_text(instance),
            incarnation: *incarnation,
            parts: future.logs.len() as u64,
            bytes: future.logs.iter().map(|log| log.bytes).sum(),
            position: head.map_or(0, |head| head.next_position.saturating_sub(1)),
            time_ms: head.map_or(0, |head| head.last_time_ms),
        });
    }
    Ok(listed(&options.from, &rows, &logs))
}

struct Row {
    name: String,
    instance: String,
    incarnation: u64,
    position: u64,
    time_ms: u64,
    bytes: u64,
}

struct LogRow {
    instance: String,
    incarnation: u64,
    parts: u64,
    bytes: u64,
    position: u64,
    time_ms: u64,
}

fn listed(from: &str, rows: &[Row], logs: &[LogRow]) -> Report {
    let header = [
        ("INCARNATION", Side::Right),
        ("POSITION", Side::Right),
        ("TIME", Side::Left),
        ("BYTES", Side::Right),
        ("SNAPSHOT", Side::Left),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.incarnation.to_string(),
            grouped(row.position),
            instant::text_of_ms(row.time_ms),
            grouped(row.bytes),
            row.name.clone(),
        ]
    });
    let mut text = columns(&header, &cells.collect::<Vec<_>>());
    for log in logs.iter().filter(|log| log.parts > 0) {
        text.push_str(&format!(
            "log of incarnation {} up to position {} at {}: {}, {} bytes\n",
            log.incarnation,
            grouped(log.position),
            instant::text_of_ms(log.time_ms),
            counted(log.parts, "part", "parts"),
            grouped(log.bytes)
        ));
    }
    let snapshots: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "instance_id": row.instance,
                "incarnation": row.incarnation,
                "position": row.position,
                "time": moment_json(row.time_ms),
                "bytes": row.bytes,
            })
        })
        .collect();
    let logs: Vec<Value> = logs
        .iter()
        .map(|log| {
            json!({
                "instance_id": log.instance,
                "incarnation": log.incarnation,
                "parts": log.parts,
                "bytes": log.bytes,
                "position": log.position,
                "time": moment_json(log.time_ms),
            })
        })
        .collect();
    Report::new(text, json!({ "from": from, "snapshots": snapshots, "logs": logs }))
}
