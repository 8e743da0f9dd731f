use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http_body::{Body, Frame};
use parking_lot::Mutex;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use proto::inventory::v1::{SessionOpen, SessionOpened, SessionRequest, SessionResponse, session_request};
use tonic::Status;
use tonic::client::GrpcService;
use tonic::codegen::http;
use tonic::transport::Channel;

use crate::clock::ServerClock;
use crate::error::Error;

const PATH: &str = "/usher.inventory.v1.InventoryService/Session";
/// In front of each message: one byte for compression, four for the length.
const PREFIX_BYTES: usize = 5;
/// Larger answers than the server would ever send mean that we lost step.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Commands are handed to the connection in pieces of at least this size, or when [`RawSender::flush`] is called.
const FLUSH_BYTES: usize = 16 << 10;

/// What the server answered to `open`.
pub type Opened = SessionOpened;

/// A Session without a task, a timer or a slot for each command: what [`Client`](crate::Client)'s session lane is
/// made of, and what a load generator uses directly.
///
/// The caller numbers its commands (`correlation_id`, not 0), keeps no more than `opened().max_in_flight` of them
/// in flight, and finds out by the answers what became of them. When [`RawSession::recv`] fails, everything
/// unanswered has an unknown outcome.
///
/// gRPC's framing is done here by hand: commands are encoded one behind the other into one buffer and answers are
/// decoded into one reused message, which on a stream of small messages costs about a third of a general codec.
#[derive(Debug)]
pub struct RawSession {
    sender: RawSender,
    receiver: RawReceiver,
    opened: Opened,
}

/// The sending half.
#[derive(Debug)]
pub struct RawSender {
    unsent: BytesMut,
    queue: Arc<Queue>,
}

/// The receiving half.
#[derive(Debug)]
pub struct RawReceiver {
    body: tonic::body::Body,
    unread: Unread,
    answer: SessionResponse,
    clock: Arc<ServerClock>,
}

impl RawSession {
    /// Opens a Session on a connection.
    pub(crate) async fn open(mut channel: Channel, client_name: &str, clock: Arc<ServerClock>) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let mut sender = RawSender { unsent: BytesMut::with_capacity(2 * FLUSH_BYTES), queue: Arc::clone(&queue) };
        let open = SessionOpen {
            client: client_name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..SessionOpen::default()
        };
        sender.send(&SessionRequest {
            correlation_id: u64::MAX,
            command: Some(session_request::Command::Open(open)),
            ..SessionRequest::default()
        });
        sender.flush();

        let mut request = http::Request::new(tonic::body::Body::new(Outgoing { queue }));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = http::Uri::from_static(PATH);
        request.headers_mut().insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));

        let broken = |error: tonic::transport::Error| Error::from_status(&Status::from_error(Box::new(error)));
        std::future::poll_fn(|cx| GrpcService::poll_ready(&mut channel, cx)).await.map_err(broken)?;
        let response = GrpcService::call(&mut channel, request).await.map_err(broken)?;
        // A refusal of the whole stream comes in the headers when nothing was sent before it.
        if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != tonic::Code::Ok
        {
            return Err(Error::from_status(&status));
        }
        if response.status() != http::StatusCode::OK {
            return Err(Error::transport(format!("HTTP status {}", response.status())));
        }
        let mut receiver = RawReceiver {
            body: response.into_body(),
            unread: Unread::default(),
            answer: SessionResponse::default(),
            clock,
        };
        let first = receiver.next().await?.ok_or_else(|| Error::transport("the Session ended before it was open"))?;
        if first.reason != 0 {
            return Err(Error::from_session(first));
        }
        let opened = first.opened.take().ok_or_else(|| Error::transport("the Session did not begin with `opened`"))?;
        receiver.clock.learn(opened.server_time_ms);
        Ok(Self { sender, receiver, opened: *opened })
    }

    /// What the server allows on this Session.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Takes a command. It goes out with the next [`RawSession::recv`] or [`RawSession::flush`], or when enough
    /// have come together.
    pub fn send(&mut self, request: &SessionRequest) {
        self.sender.send(request);
    }

    /// Hands what was sent to the connection.
    pub fn flush(&mut self) {
        self.sender.flush();
    }

    /// Flushes, waits for answers and gives every one that is there to `each`: one call, many answers. Returns how
    /// many, or nothing when the server has ended the stream after answering everything. May be cancelled: no
    /// answer is lost.
    pub async fn recv(&mut self, each: impl FnMut(&mut SessionResponse)) -> Result<Option<usize>, Error> {
        self.sender.flush();
        self.receiver.recv(each).await
    }

    /// The two halves, for a task each.
    pub fn split(self) -> (RawSender, RawReceiver) {
        (self.sender, self.receiver)
    }
}

impl RawSender {
    /// Takes a command; see [`RawSession::send`].
    pub fn send(&mut self, request: &SessionRequest) {
        frame(request, &mut self.unsent);
        if self.unsent.len() >= FLUSH_BYTES {
            self.flush();
        }
    }

    /// Hands what was sent to the connection.
    pub fn flush(&mut self) {
        if !self.unsent.is_empty() {
            self.queue.push(self.unsent.split().freeze());
            // The piece just split off keeps its memory until the connection has written it.
            self.unsent.reserve(2 * FLUSH_BYTES);
        }
    }

    /// Says that no more commands come: the server answers what it has and ends the stream.
    pub fn finish(&mut self) {
        self.flush();
        self.queue.close();
    }
}

impl Drop for RawSender {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl RawReceiver {
    /// Waits for answers; see [`RawSession::recv`].
    pub async fn recv(&mut self, mut each: impl FnMut(&mut SessionResponse)) -> Result<Option<usize>, Error> {
        let (mut count, mut server_time_ms) = (0, 0);
        loop {
            while self.unread.decode(&mut self.answer)? {
                count += 1;
                server_time_ms = self.answer.server_time_ms.max(server_time_ms);
                each(&mut self.answer);
            }
            if count > 0 {
                self.clock.learn(server_time_ms);
                return Ok(Some(count));
            }
            if !self.read_frame().await? {
                return Ok(None);
            }
        }
    }

    /// One answer.
    async fn next(&mut self) -> Result<Option<&mut SessionResponse>, Error> {
        while !self.unread.decode(&mut self.answer)? {
            if !self.read_frame().await? {
                return Ok(None);
            }
        }
        Ok(Some(&mut self.answer))
    }

    /// Reads until there is more to decode. False: the stream ended well.
    async fn read_frame(&mut self) -> Result<bool, Error> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            match frame {
                None => return Err(Error::transport("the Session broke off")),
                Some(Err(status)) => return Err(Error::from_status(&status)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.unread.push(data);
                        return Ok(true);
                    }
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        return match Status::from_header_map(&trailers) {
                            Some(status) if status.code() != tonic::Code::Ok => Err(Error::from_status(&status)),
                            Some(_) => Ok(false),
                            None => Err(Error::transport("trailers without a status")),
                        };
                    }
                },
            }
        }
    }
}

/// Encodes a message behind its prefix.
fn frame(message: &impl Message, into: &mut BytesMut) {
    let length = message.encoded_len();
    into.reserve(PREFIX_BYTES + length);
    into.put_u8(0);
    #[expect(clippy::cast_possible_truncation, reason = "a command is far below 4 GiB")]
    into.put_u32(length as u32);
    // `reserve` above made the room, so this cannot fail.
    let _ = message.encode(into);
}

/// Bytes that came and are not decoded yet.
#[derive(Debug, Default)]
struct Unread {
    /// Straight from the connection when the last piece ended with a message, else joined with what was left.
    bytes: Bytes,
}

impl Unread {
    fn push(&mut self, data: Bytes) {
        if self.bytes.is_empty() {
            self.bytes = data;
            return;
        }
        // A message lies across the border: joining the two pieces, 16 KiB for some 300 answers, is cheaper than
        // decoding every answer from a rope.
        let mut joined = BytesMut::with_capacity(self.bytes.len() + data.len());
        joined.extend_from_slice(&self.bytes);
        joined.extend_from_slice(&data);
        self.bytes = joined.freeze();
    }

    /// Decodes the next message into `answer`. False: more bytes are needed.
    fn decode(&mut self, answer: &mut SessionResponse) -> Result<bool, Error> {
        let bytes = &mut self.bytes;
        if bytes.len() < PREFIX_BYTES {
            return Ok(false);
        }
        if bytes[0] != 0 {
            return Err(Error::transport("a compressed answer, and none was asked for"));
        }
        let length = (&bytes[1..PREFIX_BYTES]).get_u32() as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(Error::transport(format!("an answer of {length} bytes")));
        }
        if bytes.len() < PREFIX_BYTES + length {
            return Ok(false);
        }
        answer.clear();
        let mut message = &bytes[PREFIX_BYTES..PREFIX_BYTES + length];
        let merged = answer.merge(&mut message);
        bytes.advance(PREFIX_BYTES + length);
        merged.map_err(|error| Error::transport(format!("an answer that does not decode: {error}")))?;
        Ok(true)
    }
}

/// What goes out, between the sender and the connection's task.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    pieces: VecDeque<Bytes>,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn push(&self, piece: Bytes) {
        let mut state = self.state.lock();
        state.pieces.push_back(piece);
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }
}

/// The request body: the queue as HTTP frames.
struct Outgoing {
    queue: Arc<Queue>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut state = self.queue.state.lock();
        if let Some(piece) = state.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(count: u64) -> (BytesMut, Vec<SessionResponse>) {
        let mut bytes = BytesMut::new();
        let list: Vec<_> = (1..=count)
            .map(|id| SessionResponse {
                correlation_id: id,
                position: id * 3,
                seats: (0..id as u32 % 5).collect(),
                ..SessionResponse::default()
            })
            .collect();
        list.iter().for_each(|answer| frame(answer, &mut bytes));
        (bytes, list)
    }

    #[test]
    fn answers_are_found_however_the_bytes_are_cut() {
        let (bytes, expected) = answers(40);
        for piece in [1, 2, 3, 5, 7, 64, 100, bytes.len()] {
            let mut unread = Unread::default();
            let mut found = Vec::new();
            let mut answer = SessionResponse::default();
            for part in bytes.chunks(piece) {
                unread.push(Bytes::copy_from_slice(part));
                while unread.decode(&mut answer).expect("well formed") {
                    found.push(answer.clone());
                }
            }
            assert_eq!(found, expected, "cut every {piece} bytes");
        }
    }

    #[test]
    fn a_reused_message_keeps_nothing_of_the_one_before() {
        let mut bytes = BytesMut::new();
        frame(
            &SessionResponse { correlation_id: 1, seats: vec![1, 2], replayed: true, ..Default::default() },
            &mut bytes,
        );
        frame(&SessionResponse { correlation_id: 2, ..Default::default() }, &mut bytes);
        let mut unread = Unread::default();
        unread.push(bytes.freeze());
        let mut answer = SessionResponse::default();
        assert!(unread.decode(&mut answer).expect("first"));
        assert!(unread.decode(&mut answer).expect("second"));
        assert_eq!(answer, SessionResponse { correlation_id: 2, ..Default::default() });
    }

    #[test]
    fn compressed_and_oversized_answers_are_errors_not_panics() {
        let mut answer = SessionResponse::default();
        let mut unread = Unread::default();
        unread.push(Bytes::from_static(&[1, 0, 0, 0, 0]));
        assert!(unread.decode(&mut answer).is_err());
        let mut unread = Unread::default();
        unread.push(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]));
        assert!(unread.decode(&mut answer).is_err());
    }
}
