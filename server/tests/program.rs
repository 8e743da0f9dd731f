//! The program itself: signals, and a disk that refuses.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

use proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    inventory::v1::inventory_service_client::InventoryServiceClient,
};
use support::{hold_of, id_at, new_event, no_rules, release_of, soon};
use tonic::transport::Channel;

struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Program {
    /// Starts the program; its first lines say where it listens. `limits` is shell text that runs before it.
    fn start(folder: &Path, limits: &str) -> Program {
        let script = format!("{limits} exec \"$0\" --listen 127.0.0.1:0 --data-dir \"$1\" --segment-bytes 4MiB");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_usherd")])
            .arg(folder)
            .env_clear()
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the program ended: {seen}");
            seen.push_str(&line);
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        Program { child, stderr, address }
    }

    fn terminate(&self) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end: how it ended and what else it said.
    fn wait(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    async fn clients(&self) -> (InventoryServiceClient<Channel>, AdminServiceClient<Channel>) {
        let channel = support::channel(self.address).await;
        (InventoryServiceClient::new(channel.clone()), AdminServiceClient::new(channel))
    }
}

impl Drop for Program {
    /// A test that fails leaves nothing behind. One that has ended is not killed again.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn a_signal_stops_it_well_and_the_next_start_knows_everything() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), "");
    let (mut sale, mut admin) = program.clients().await;
    admin.create_event(new_event("show", no_rules())).await.unwrap();
    let id = id_at(now_ms());
    sale.hold(hold_of("show", &id, &[1])).await.unwrap();
    program.terminate();
    let (status, said) = tokio::task::spawn_blocking(move || program.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("make a first hold") && said.contains("stopped"), "{said}");

    let program = Program::start(folder.path(), "");
    let (mut sale, _) = program.clients().await;
    assert!(sale.hold(hold_of("show", &id, &[1])).await.unwrap().into_inner().replayed);
    program.terminate();
    tokio::task::spawn_blocking(move || program.wait()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_it_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // No file may grow over 1 MiB: the first segment of the log just may, the second may not.
    let program = Program::start(folder.path(), "trap '' XFSZ; ulimit -f 2048;");
    let (mut sale, mut admin) = program.clients().await;
    admin.create_event(new_event("show", no_rules())).await.unwrap();
    let (mut acknowledged, mut failed) = (Vec::new(), None);
    soon(async {
        // A batch takes a page, a segment has 256 of them.
        for _ in 0..2_000 {
            let id = id_at(now_ms());
            match sale.hold(hold_of("show", &id, &[1])).await {
                Ok(_) => acknowledged.push((id.clone(), false)),
                Err(status) => return failed = Some(status),
            }
            match sale.release_hold(release_of("show", &id)).await {
                Ok(_) => acknowledged.last_mut().unwrap().1 = true,
                Err(status) => return failed = Some(status),
            }
        }
    })
    .await;
    assert!(failed.is_some(), "the log never failed");
    let (status, said) = tokio::task::spawn_blocking(move || program.wait()).await.unwrap();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("the log cannot be written"), "{said}");

    let program = Program::start(folder.path(), "");
    let (mut sale, _) = program.clients().await;
    for (id, released) in acknowledged {
        let request =
            proto::inventory::v1::GetHoldRequest { event_id: "show".into(), hold_id: id, ..Default::default() };
        let hold = sale.get_hold(request).await.unwrap().into_inner().hold.unwrap();
        if released {
            assert_eq!(hold.state(), proto::inventory::v1::HoldState::Released);
        }
    }
    program.terminate();
    let (status, said) = tokio::task::spawn_blocking(move || program.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
}
