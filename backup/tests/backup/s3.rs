//! An archive behind a network: a local server that speaks S3, installed by `.ci/install-s3`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use backup::{Archiver, Store, check, open_store};
use engine::{Until, Verdict, state_hash};
use wal::{MemoryStorage, Storage};

use crate::archived::*;
use crate::workload::{Ledger, run};
use crate::world::*;

const BUCKET: &str = "usher-test";
const URL: &str = "s3://usher-test/some/prefix";

/// The server, ended with the test.
struct S3 {
    child: Child,
    address: String,
}

impl S3 {
    /// Nothing when it is not installed.
    fn start() -> Option<S3> {
        let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/s3/bin/moto_server"));
        if !program.exists() {
            // Past the capture of the test harness: a test that did not run must not look like one that passed.
            let words = format!("SKIPPED: no server that speaks S3 at {}: .ci/install-s3\n", program.display());
            let _ = std::io::stderr().write_all(words.as_bytes());
            return None;
        }
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
        let address = lines.find_map(|line| Some(line.ok()?.split_once("http://")?.1.trim().to_owned()));
        // A full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        let s3 = S3 { child, address: address.expect("it says where it listens") };
        s3.make_bucket();
        Some(s3)
    }

    fn make_bucket(&self) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings of a store are variables, and a process cannot safely change its own.
#[test]
fn an_archive_can_be_in_an_object_store() {
    let Some(s3) = S3::start() else { return };
    let ended = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "s3::inside_the_settings_of_a_store", "--ignored", "--nocapture"])
        .env("AWS_ENDPOINT_URL", format!("http://{}", s3.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}{words}", String::from_utf8_lossy(&ended.stdout));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"), "it did not run");
}

#[test]
#[ignore = "run by the test above, with the settings of a store"]
fn inside_the_settings_of_a_store() {
    let store = open_store(URL).expect("the settings are there");
    objects_are_whole(store.as_ref());
    let mut world = World::open(&MemoryStorage::new(), START, tiny()).expect("opens");
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    let mut archiver = Archiver::new(Arc::clone(&world.engine), storage, Arc::clone(&store));
    let mut ledger = Ledger { traces: true, ..Ledger::default() };
    for round in 0..4 {
        run(&mut world, 7_000 + round, 12, &mut ledger).unwrap_or_else(|_| panic!("the disk works"));
        archive(&mut archiver).expect("the store works");
    }
    snapshot(&mut world, store.as_ref());
    archive(&mut archiver).expect("the store works");
    let report = check(store.as_ref(), None, None, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", report.problems);
    for (position, hash) in ledger.hash_at.iter().filter(|(position, _)| **position > 0) {
        let state = restore(store.as_ref(), Until::Position(*position)).expect("it is in the archive").state();
        assert_eq!(state.state_hash, *hash, "at position {position}");
    }
    let all = restore(store.as_ref(), Until::End).expect("it is whole").state();
    assert_eq!(all.state_hash, state_hash(&world.disk.duplicate(), 1).expect("it is whole"));
    let error = store.get("nothing").err().expect("not there").to_string();
    assert!(error.starts_with("s3://usher-test/some/prefix/nothing"), "{error}");
}

/// One in a single call, one in parts, one that fails on the way.
fn objects_are_whole(store: &dyn Store) {
    let mut rng = crate::workload::Rng(1);
    let large: Vec<u8> = (0..20 << 17).flat_map(|_| rng.next().to_le_bytes()).collect();
    for (name, content) in [("one/small", &large[..1_000]), ("one/large", &large[..]), ("other", &large[..1])] {
        store
            .put(name, &mut |out| content.chunks(100_000).try_for_each(|part| out.write_all(part)))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut read = Vec::new();
        store.get(name).expect("there").read_to_end(&mut read).expect("it reads");
        assert!(read == content, "{name}");
    }
    let failed = store.put("one/half", &mut |out| {
        out.write_all(&large)?;
        Err(std::io::Error::other("the source is gone"))
    });
    assert!(failed.is_err_and(|error| error.to_string().contains("the source is gone")));
    let names = |prefix: &str| -> Vec<(String, u64)> {
        store.list(prefix).expect("lists").into_iter().map(|listed| (listed.name, listed.bytes)).collect()
    };
    assert_eq!(names("one/"), [("one/large".to_owned(), large.len() as u64), ("one/small".to_owned(), 1_000)]);
    assert_eq!(names("one/s"), [("one/small".to_owned(), 1_000)]);
    assert_eq!(names("").len(), 3);
    for name in ["one/small", "one/large", "other", "other"] {
        store.remove(name).expect("there or not");
    }
    assert_eq!(names(""), []);
}
