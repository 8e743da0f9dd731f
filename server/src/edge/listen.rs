//! Connections: one acceptor hands each to the core that has the fewest, and a core serves it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use super::{
    connection::{self, begun},
    limits::CONNECTIONS_MAX,
    service::Services,
};

/// Pauses after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that may wait for one core to take them.
pub(crate) const HANDOVER_ROOM: usize = 256;

/// The way to one core.
#[derive(Clone)]
pub(crate) struct CoreDoor {
    connections: mpsc::Sender<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

impl CoreDoor {
    /// A door and the inside of it.
    pub(crate) fn new() -> (CoreDoor, CoreInside) {
        let (sender, receiver) = mpsc::channel(HANDOVER_ROOM);
        let open = Arc::new(AtomicUsize::new(0));
        (CoreDoor { connections: sender, open: Arc::clone(&open) }, CoreInside { connections: receiver, open })
    }

    /// Connections handed over and not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// Where a core finds its connections.
pub(crate) struct CoreInside {
    connections: mpsc::Receiver<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

/// Binds the port.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM.nonblocking().cloexec(),
        Some(socket2::Protocol::TCP),
    )?;
    // A restart must not wait for the last connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    Ok(socket.into())
}

/// Accepts until `stop`, and gives each connection to the core with the fewest.
pub(crate) async fn accept(listener: TcpListener, cores: Vec<CoreDoor>, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = begun(&mut stop) => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors or memory: trying at once would spin. What a peer broke off costs a pause
                // that nobody notices.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let open: usize = cores.iter().map(CoreDoor::open).sum();
        if open >= CONNECTIONS_MAX {
            tracing::warn!(limit = CONNECTIONS_MAX, "a connection was closed: there are as many as may be");
            continue;
        }
        let Some(core) = cores.iter().min_by_key(|core| core.open()) else { return };
        let handed = stream.set_nodelay(true).and_then(|()| stream.into_std());
        match handed {
            Ok(stream) => {
                core.open.fetch_add(1, Ordering::Relaxed);
                if core.connections.try_send(stream).is_err() {
                    core.open.fetch_sub(1, Ordering::Relaxed);
                    tracing::warn!("a connection was closed: its core takes none");
                }
            }
            Err(error) => tracing::debug!(%error, "a connection broke before it began"),
        }
    }
}

/// Serves the connections of one core until `drain`, then lets each end what it has begun.
pub(crate) async fn serve(mut inside: CoreInside, services: Services, drain: watch::Receiver<bool>) {
    while let Some(stream) = inside.connections.recv().await {
        let counted = Counted(Arc::clone(&inside.open));
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken up");
                continue;
            }
        };
        let (services, drain) = (services.clone(), drain.clone());
        tokio::spawn(async move {
            if let Err(fault) = connection::serve(stream, &services, drain).await {
                tracing::debug!(%fault, "a connection broke");
            }
            drop(counted);
        });
    }
}

/// One connection counted as open, for as long as this lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
