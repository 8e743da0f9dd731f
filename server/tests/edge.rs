//! What does not look like a call of ours: bytes, sizes, times, headers; health, reflection, stopping.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use bytes::Bytes;
use engine::ManualClock;
use inventory_core::ids::TimestampMs;
use proto::{admin::v1 as admin, inventory::v1 as wire};
use support::{START_MS, TestServer, hold_of, said};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// Sends these bytes as the message, whatever they are.
async fn send_bytes(channel: &Channel, path: &'static str, message: &[u8]) -> Result<(), Status> {
    let mut body = vec![0];
    body.extend((u32::try_from(message.len()).unwrap()).swap_bytes().to_le_bytes());
    body.extend(message);
    send_body(channel, path, body).await
}

/// Sends a whole body over a connection of its own.
async fn send_body(channel: &Channel, path: &'static str, body: Vec<u8>) -> Result<(), Status> {
    use tower::ServiceExt as _;
    let stream = futures_util::stream::once(async move { Ok::<_, Status>(Bytes::from(body)) });
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(http_body_of(stream)))
        .unwrap();
    let response = channel.clone().oneshot(request).await.map_err(|error| Status::unknown(error.to_string()))?;
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

fn http_body_of(
    stream: impl futures_core::Stream<Item = Result<Bytes, Status>> + Send + 'static,
) -> impl http_body::Body<Data = Bytes, Error = Status> + Send + 'static {
    use futures_util::StreamExt as _;
    http_body_util::StreamBody::new(stream.map(|bytes| bytes.map(http_body::Frame::data)))
}

const HOLD: &str = "/usher.inventory.v1.InventoryService/Hold";

#[tokio::test]
async fn bytes_that_are_no_message() {
    let server = TestServer::with_show().await;
    // Truncated, a wrong wire type, a group tag, an overlong varint, text that is no UTF-8.
    for message in
        [&b"\x0a\xff"[..], b"\x08\x01", b"\x0b", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x01\xff"]
    {
        let status = send_bytes(&server.channel, HOLD, message).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
    }
    // Fields that a newer client may send are passed over.
    let mut newer = prost::Message::encode_to_vec(&hold_of("show", &server.id(), &[1]));
    newer.extend(b"\xa2\x1f\x03abc");
    send_bytes(&server.channel, HOLD, &newer).await.unwrap();
    assert_eq!(server.event("show").await.counts.unwrap().held, 1);
    server.stop().await;
}

#[tokio::test]
async fn messages_that_are_too_long() {
    let mut server = TestServer::with_show().await;
    let long = hold_of("show", &server.id(), &vec![u32::MAX; 20_000]);
    let status = server.hold(long).await.unwrap_err();
    let refused = said(&status);
    assert_eq!((status.code(), refused.reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert_eq!((refused.metadata["limitBytes"].as_str(), refused.executed.as_str()), ("65536", "false"));
    // Four gigabytes announced, nothing sent: refused before anything is set aside for it.
    let status = send_body(&server.channel, HOLD, vec![0, 0xff, 0xff, 0xff, 0xff]).await.unwrap_err();
    assert_eq!(said(&status).reason, "MESSAGE_TOO_LARGE");
    // A plan may be longer than a sale message.
    let document = vec![b' '; 1 << 20];
    let plan = admin::CreatePlanRequest { document: document.into(), format: 1, ..Default::default() };
    assert_eq!(said(&server.admin.create_plan(plan).await.unwrap_err()).reason, "VALIDATION_FAILED");
    server.stop().await;
}

/// One call of a connection waits for the rest of its message; the others go on, and it is served when that comes.
#[tokio::test]
async fn a_message_in_pieces_holds_up_nobody() {
    let server = TestServer::with_show().await;
    let address = server.running.as_ref().unwrap().address();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let call = async |seat: u32, pieces: usize| {
        let request = http::Request::post(format!("http://{address}{HOLD}"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let mut client = client.clone().ready().await.unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        let message = prost::Message::encode_to_vec(&hold_of("show", &server.id(), &[seat]));
        let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        frame.extend(message);
        let first = frame.len() / pieces;
        body.send_data(frame[..first].to_vec().into(), pieces == 1).unwrap();
        (response, body, frame[first..].to_vec())
    };
    let status_of = async |response: h2::client::ResponseFuture| {
        let mut response = support::soon(response).await.unwrap();
        while response.body_mut().data().await.is_some() {}
        let trailers = response.body_mut().trailers().await.unwrap().unwrap();
        Status::from_header_map(&trailers).unwrap().code()
    };
    let (waits, mut body, rest) = call(1, 2).await;
    let (other, _, _) = call(2, 1).await;
    assert_eq!(status_of(other).await, Code::Ok);
    assert_eq!(server.event("show").await.counts.unwrap().held, 1);
    body.send_data(rest.into(), true).unwrap();
    assert_eq!(status_of(waits).await, Code::Ok);
    assert_eq!(server.event("show").await.counts.unwrap().held, 2);
    // A peer that breaks off inside its message has held nothing, and the connection serves on.
    let (broken, mut body, _) = call(3, 2).await;
    body.send_reset(h2::Reason::CANCEL);
    assert!(support::soon(broken).await.is_err());
    let (other, _, _) = call(4, 1).await;
    assert_eq!(status_of(other).await, Code::Ok);
    assert_eq!(server.event("show").await.counts.unwrap().held, 3);
    server.stop().await;
}

/// Holds a seat over a connection that knows no timeouts of its own: client libraries give up by themselves.
async fn hold_with_timeout(server: &TestServer, seat: u32, timeout: &str) -> Status {
    let address = server.running.as_ref().unwrap().address();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}{HOLD}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    let message = prost::Message::encode_to_vec(&hold_of("show", &server.id(), &[seat]));
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    body.send_data(frame.into(), true).unwrap();
    let mut response = support::soon(response).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => status,
        None => {
            while response.body_mut().data().await.is_some() {}
            let trailers = response.body_mut().trailers().await.unwrap().unwrap();
            Status::from_header_map(&trailers).unwrap()
        }
    }
}

#[tokio::test]
async fn a_call_has_its_time() {
    let server = TestServer::with_show().await;
    for over in ["0m", "1n", "999u"] {
        let status = hold_with_timeout(&server, 1, over).await;
        let refused = said(&status);
        assert_eq!((status.code(), refused.reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        assert_eq!(refused.executed, "false");
    }
    assert_eq!(server.event("show").await.counts.unwrap().held, 0);
    // What is no timeout counts as absent.
    assert_eq!(hold_with_timeout(&server, 1, "9S9").await.code(), Code::Ok);
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_stalls_is_given_up_at_the_servers_own_limit() {
    let server = TestServer::with_show().await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let stalled = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context).map(|bytes| bytes.map(Ok)));
    sender.send(Bytes::from_static(&[0, 0, 0, 0, 9, 1])).unwrap();
    let request = http::Request::post(HOLD)
        .header("content-type", "application/grpc")
        .body(tonic::body::Body::new(http_body_of(stalled)))
        .unwrap();
    let response = tower::ServiceExt::oneshot(server.channel.clone(), request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), said(&status).executed.as_str()), (Code::DeadlineExceeded, "false"));
    drop(sender);
    server.stop().await;
}

#[tokio::test]
async fn unknown_methods_and_services() {
    let server = TestServer::empty().await;
    for path in [
        "/usher.inventory.v1.InventoryService/Steal",
        "/usher.inventory.v1.CartService/Steal",
        "/usher.inventory.v1.OrderService/Steal",
        "/usher.admin.v1.AdminService/Steal",
        "/other.Service/Hold",
        "/",
    ] {
        let status = send_bytes(&server.channel, path, b"").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let server = TestServer::empty().await;
    let mut health = HealthClient::new(server.channel.clone());
    for service in [
        "",
        "usher.inventory.v1.InventoryService",
        "usher.inventory.v1.CartService",
        "usher.inventory.v1.OrderService",
        "usher.admin.v1.AdminService",
    ] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut reflection = ServerReflectionClient::new(server.channel.clone());
    let asked = futures_util::stream::iter([ask]);
    let mut answers = reflection.server_reflection_info(asked).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for service in [
        "usher.inventory.v1.InventoryService",
        "usher.inventory.v1.CartService",
        "usher.inventory.v1.OrderService",
        "usher.admin.v1.AdminService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.iter().any(|name| name == service), "{names:?}");
    }
    server.stop().await;
}

/// While the log is read: the port answers, health says no, everything else is refused.
#[test]
fn a_server_that_recovers_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(TimestampMs(START_MS));
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen_there = std::sync::Arc::clone(&seen);
    let mut options = support::options(&clock);
    options.before_recovery = Box::new(move |address| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let channel = support::channel(address).await;
            let mut sale = wire::inventory_service_client::InventoryServiceClient::new(channel.clone());
            let refused = said(&sale.hold(hold_of("show", "", &[1])).await.unwrap_err());
            assert!(refused.retry_ms.unwrap() > 0);
            let mut said_there = vec![refused.reason];
            let mut health = HealthClient::new(channel.clone());
            let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
            said_there.push(answer.status().as_str_name().to_owned());
            let mut admin = admin::admin_service_client::AdminServiceClient::new(channel);
            let status = admin.server_status(admin::ServerStatusRequest {}).await.unwrap().into_inner();
            said_there.push(status.state().as_str_name().to_owned());
            *seen_there.lock().unwrap() = said_there;
        });
    });
    let running = server::boot::boot(&support::config(folder.path()), options).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["RECOVERING", "NOT_SERVING", "SERVER_STATE_RECOVERING"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(running.stop()).unwrap();
}

/// The numbers of the first SETTINGS frame and the connection window, as the other side is told.
#[tokio::test]
async fn the_limits_are_on_the_wire() {
    let server = TestServer::empty().await;
    let address = server.running.as_ref().unwrap().address();
    let told = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let mut header = [0; 9];
        stream.read_exact(&mut header).unwrap();
        assert_eq!(header[3], 4, "the first frame is SETTINGS");
        let mut payload = vec![0; usize::from(header[2])];
        stream.read_exact(&mut payload).unwrap();
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        payload.chunks(6).map(|setting| (number(&setting[..2]), number(&setting[2..]))).collect::<Vec<_>>()
    })
    .await
    .unwrap();
    for setting in [(3, 1_024), (4, 262_144), (5, 16_384), (6, 8_192)] {
        assert!(told.contains(&setting), "{setting:?} in {told:?}");
    }
    server.stop().await;
}

/// A client that does what it likes with its streams.
struct Rough {
    client: h2::client::SendRequest<Bytes>,
    address: std::net::SocketAddr,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

type Sent = (h2::client::ResponseFuture, h2::SendStream<Bytes>);

impl Rough {
    async fn connect(server: &TestServer, builder: &h2::client::Builder) -> Rough {
        let address = server.running.as_ref().unwrap().address();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = builder.handshake(stream).await.unwrap();
        Rough { client, address, connection: tokio::spawn(connection) }
    }

    async fn begin(&mut self, method: &str, headers: &[(&str, &str)], is_over: bool) -> Sent {
        let mut request = http::Request::builder().method(method).uri(format!("http://{}{HOLD}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut client = support::soon(self.client.clone().ready()).await.unwrap();
        client.send_request(request.body(()).unwrap(), is_over).unwrap()
    }

    /// A whole Hold in one piece.
    async fn hold(&mut self, server: &TestServer, seat: u32, headers: &[(&str, &str)]) -> Code {
        let (response, mut body) = self.begin("POST", headers, false).await;
        body.send_data(hold_frame(server, seat), true).unwrap();
        code_of(response).await.unwrap()
    }
}

fn hold_frame(server: &TestServer, seat: u32) -> Bytes {
    let message = prost::Message::encode_to_vec(&hold_of("show", &server.id(), &[seat]));
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    frame.into()
}

/// What an answer says, in its headers or its trailers.
async fn code_of(response: h2::client::ResponseFuture) -> Result<Code, h2::Error> {
    let mut response = support::soon(response).await?;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Ok(status.code());
    }
    while let Some(data) = support::soon(response.body_mut().data()).await {
        response.body_mut().flow_control().release_capacity(data?.len())?;
    }
    let trailers = support::soon(response.body_mut().trailers()).await?;
    Ok(trailers.and_then(|trailers| Status::from_header_map(&trailers)).map_or(Code::Unknown, |status| status.code()))
}

#[tokio::test]
async fn odd_requests_for_a_hold_are_answered_and_harm_no_other() {
    let server = TestServer::with_show().await;
    let mut rough = Rough::connect(&server, &h2::client::Builder::new()).await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
        let (response, _) = rough.begin(method, &[], true).await;
        assert!(code_of(response).await.is_ok(), "{method}");
    }
    // A peer that has not begun its message is told so, and may end its side or not.
    let (response, _) = rough.begin("POST", &[], true).await;
    assert_eq!(code_of(response).await.unwrap(), Code::Internal);
    let (response, _body) = rough.begin("POST", &[("grpc-timeout", "0m")], false).await;
    assert_eq!(code_of(response).await.unwrap(), Code::DeadlineExceeded);
    // Too much, before the end of the body.
    let (response, mut body) = rough.begin("POST", &[], false).await;
    body.send_data([hold_frame(&server, 0), Bytes::from_static(&[0])].concat().into(), false).unwrap();
    assert_eq!(code_of(response).await.unwrap(), Code::InvalidArgument);
    // Compressed without a word, and with one.
    let mut compressed = hold_frame(&server, 0).to_vec();
    compressed[0] = 1;
    for (headers, code) in [(&[][..], Code::Internal), (&[("grpc-encoding", "gzip")], Code::Unimplemented)] {
        let (response, mut body) = rough.begin("POST", headers, false).await;
        body.send_data(compressed.clone().into(), true).unwrap();
        assert_eq!(code_of(response).await.unwrap(), code);
    }
    assert_eq!(rough.hold(&server, 1, &[("grpc-encoding", "identity")]).await, Code::Ok);
    assert_eq!(rough.hold(&server, 2, &[("content-type", "text/html"), ("grpc-timeout", "99999999H")]).await, Code::Ok);
    // Headers that are too long.
    let (response, _) = rough.begin("POST", &[("x", &"x".repeat(9_000))], true).await;
    assert_eq!(support::soon(response).await.unwrap().status(), 431);
    // Trailers at the end, an empty end, and byte after byte.
    let (response, mut body) = rough.begin("POST", &[], false).await;
    body.send_data(hold_frame(&server, 3), false).unwrap();
    body.send_trailers(http::HeaderMap::new()).unwrap();
    assert_eq!(code_of(response).await.unwrap(), Code::Ok);
    let (response, mut body) = rough.begin("POST", &[], false).await;
    for byte in hold_frame(&server, 4) {
        body.send_data(vec![byte].into(), false).unwrap();
    }
    body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(code_of(response).await.unwrap(), Code::Ok);
    assert_eq!(server.event("show").await.counts.unwrap().held, 4);
    server.stop().await;
}

/// A stop waits for all that counts as in flight, up to the ten seconds of the configuration: a count that leaked.
async fn stops_early(server: TestServer) {
    tokio::time::timeout(Duration::from_secs(8), server.stop()).await.expect("a count of what is in flight leaked");
}

/// Calls that were handed over and reset are judged; the connection and its counts live on.
#[tokio::test]
async fn calls_that_are_reset_leave_nothing_behind() {
    let server = TestServer::with_show().await;
    let mut rough = Rough::connect(&server, &h2::client::Builder::new()).await;
    for round in 0..300 {
        let mut sent = Vec::new();
        for _ in 0..10 {
            let (response, mut body) = rough.begin("POST", &[], false).await;
            let frame = hold_frame(&server, round % 20);
            body.send_data(if round % 2 == 0 { frame } else { frame.slice(..9) }, round % 2 == 0).unwrap();
            sent.push((response, body));
        }
        // Told once: all of them were taken in.
        assert_ne!(rough.hold(&server, 0, &[]).await, Code::Unknown);
        sent.iter_mut().for_each(|(_, body)| body.send_reset(h2::Reason::CANCEL));
    }
    assert!(!rough.connection.is_finished());
    stops_early(server).await;
}

/// Many messages that never end, each given up and told; the connection serves on meanwhile and after.
#[tokio::test]
async fn a_thousand_messages_that_stall() {
    let server = TestServer::with_show().await;
    let mut rough = Rough::connect(&server, h2::client::Builder::new().initial_max_send_streams(1_023)).await;
    let mut stalled = Vec::new();
    for index in 0..1_000_u32 {
        let timeout = format!("{}m", 300 + index % 7 * 100);
        let (response, mut body) = rough.begin("POST", &[("grpc-timeout", &timeout)], false).await;
        body.send_data(Bytes::from_static(&[0, 0, 0, 0, 50]), false).unwrap();
        stalled.push((response, body));
    }
    assert_eq!(rough.hold(&server, 1, &[]).await, Code::Ok);
    for (response, _body) in stalled {
        assert_eq!(code_of(response).await.unwrap(), Code::DeadlineExceeded);
    }
    assert_eq!(rough.hold(&server, 2, &[]).await, Code::Ok);
    stops_early(server).await;
}

/// A peer that gives no window gets its answers when it does; nothing else waits for it, a stop least of all.
#[tokio::test]
async fn answers_wait_for_a_window() {
    let server = TestServer::with_show().await;
    let mut shut = Rough::connect(&server, h2::client::Builder::new().initial_window_size(0)).await;
    let mut waiting = Vec::new();
    for seat in 0..500 {
        let (response, mut body) = shut.begin("POST", &[], false).await;
        body.send_data(hold_frame(&server, seat % 20), true).unwrap();
        waiting.push(support::soon(response).await.unwrap());
    }
    let mut other = Rough::connect(&server, &h2::client::Builder::new()).await;
    assert_ne!(other.hold(&server, 1, &[]).await, Code::Ok);
    stops_early(server).await;
}

/// A client that goes away in the middle of everything.
#[tokio::test]
async fn a_socket_that_closes_in_the_middle() {
    let server = TestServer::with_show().await;
    for round in 0..50 {
        let mut rough = Rough::connect(&server, &h2::client::Builder::new()).await;
        let (_response, mut body) = rough.begin("POST", &[], false).await;
        body.send_data(hold_frame(&server, round % 20), round % 2 == 0).unwrap();
        let (_relayed, mut body) = rough.begin("POST", &[("grpc-encoding", "identity")], false).await;
        body.send_data(hold_frame(&server, round % 20).slice(..9), false).unwrap();
        tokio::task::yield_now().await;
        rough.connection.abort();
    }
    stops_early(server).await;
}

/// Sessions of a peer that reads nothing end with a reset and are counted no more.
#[tokio::test]
async fn sessions_that_nobody_reads_end_with_a_reset() {
    let server = TestServer::with_show().await;
    let rough = Rough::connect(&server, h2::client::Builder::new().initial_window_size(0)).await;
    let opens = wire::SessionRequest {
        correlation_id: 1,
        command: Some(wire::session_request::Command::Open(wire::SessionOpen::default())),
        ..Default::default()
    };
    let message = prost::Message::encode_to_vec(&opens);
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    let wait = async |sessions: u32| {
        let mut admin = server.admin.clone();
        while admin.server_status(admin::ServerStatusRequest {}).await.unwrap().into_inner().sessions != sessions {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..20 {
        let mut open = Vec::new();
        for _ in 0..3 {
            let uri = format!("http://{}/usher.inventory.v1.InventoryService/Session", rough.address);
            let mut client = support::soon(rough.client.clone().ready()).await.unwrap();
            let (response, mut body) = client.send_request(http::Request::post(uri).body(()).unwrap(), false).unwrap();
            body.send_data(frame.clone().into(), false).unwrap();
            // What is no message at all, behind an answer that nobody takes.
            body.send_data(frame.repeat(9).into(), false).unwrap();
            open.push((support::soon(response).await.unwrap(), body));
        }
        support::soon(wait(3)).await;
        open.iter_mut().for_each(|(_, body)| body.send_reset(h2::Reason::CANCEL));
        support::soon(wait(0)).await;
    }
    drop(rough);
    stops_early(server).await;
}
