//! Connections: one acceptor hands each to the core that has the fewest, and a core serves it.
//!
//! Every limit of HTTP/2 is set here and nowhere else; `limits_check.rs` reads them back.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use super::{
    limits::{
        CONNECTION_WINDOW_BYTES, CONNECTIONS_MAX, FRAME_BYTES_MAX, HEADER_LIST_BYTES_MAX, KEEPALIVE_INTERVAL,
        KEEPALIVE_TIMEOUT, LOCAL_RESETS_MAX, PENDING_RESETS_MAX, PREFACE_BYTES, PREFACE_TIMEOUT, SEND_BUFFER_BYTES,
        STREAM_WINDOW_BYTES, STREAMS_PER_CONNECTION_MAX,
    },
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
        tokio::spawn(connection(stream, services.clone(), drain.clone(), counted));
    }
}

/// One connection counted as open, for as long as this lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(stream: TcpStream, services: Services, mut drain: watch::Receiver<bool>, counted: Counted) {
    let read_bytes = Arc::new(AtomicU64::new(0));
    let io = TokioIo::new(CountingIo { stream, read_bytes: Arc::clone(&read_bytes) });
    let mut connection = pin!(builder().serve_connection(io, services.connection()));
    let preface = async {
        tokio::time::sleep(PREFACE_TIMEOUT).await;
        if read_bytes.load(Ordering::Relaxed) >= PREFACE_BYTES {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = preface => return,
        () = begun(&mut drain) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    drop(counted);
}

/// Waits until the drain begins. What is read is dropped at once: it is a lock.
async fn begun(drain: &mut watch::Receiver<bool>) {
    drop(drain.wait_for(|drain| *drain).await);
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        // Nobody reads it, and it is sent with every answer.
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

/// A socket that counts what was read, to tell a peer that never says anything.
struct CountingIo {
    stream: TcpStream,
    read_bytes: Arc<AtomicU64>,
}

impl AsyncRead for CountingIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.read_bytes.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for CountingIo {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
