//! Which processors servers and clients get: the first half and the second, so that neither takes the other's.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Processors of the two sides.
#[derive(Clone, Debug)]
pub struct Cores {
    server: Vec<usize>,
    client: Vec<usize>,
    /// Whether this machine allows it.
    pub pinned: bool,
}

impl Cores {
    /// The processors this process may use, shared out. With one processor, or where pinning is not allowed, nothing
    /// is pinned.
    #[must_use]
    pub fn find() -> Cores {
        let all: Vec<usize> = sched_getaffinity(None)
            .map(|set| (0..CpuSet::MAX_CPU).filter(|&at| set.is_set(at)).collect())
            .unwrap_or_default();
        let (server, client) = all.split_at(all.len() / 2);
        let cores = Cores { server: server.to_vec(), client: client.to_vec(), pinned: false };
        let pinned = !server.is_empty() && cores.on(&cores.client.clone(), || ()).is_ok();
        Cores { pinned, ..cores }
    }

    /// All processors for the server and nothing pinned: what a machine does with everything on it.
    #[must_use]
    pub fn shared(&self) -> Cores {
        let server = self.server.iter().chain(&self.client).copied().collect();
        Cores { server, client: self.client.clone(), pinned: false }
    }

    /// Whether servers and clients share processors by intent.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.client.iter().any(|at| self.server.contains(at))
    }

    /// How many the servers have.
    #[must_use]
    pub fn server_count(&self) -> usize {
        self.server.len().max(1)
    }

    /// How many the clients have.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.client.len().max(1)
    }

    /// Does something, such as starting a process, with this thread on the servers' processors: a child inherits.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn as_server<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        if self.pinned { self.on(&self.server, work) } else { Ok(work()) }
    }

    /// The same on the clients' processors.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn as_client<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        if self.pinned { self.on(&self.client, work) } else { Ok(work()) }
    }

    fn on<T>(&self, processors: &[usize], work: impl FnOnce() -> T) -> Result<T> {
        let before = sched_getaffinity(None).context("the processors of this thread")?;
        let mut set = CpuSet::new();
        processors.iter().for_each(|&at| set.set(at));
        sched_setaffinity(None, &set).context("pin this thread")?;
        let result = work();
        sched_setaffinity(None, &before).context("unpin this thread")?;
        Ok(result)
    }
}
