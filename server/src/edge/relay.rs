//! Every request that a connection does not serve itself, between HTTP/2 and the services: one task for each.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};

use super::service::ConnectionService;

/// Calls the service and sends its answer. Ends early when the peer does not want it any more.
pub(crate) async fn relay(
    service: Arc<ConnectionService>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let answer = tokio::select! {
        biased;
        answer = service.call(request.map(Incoming::new)) => answer,
        _reset = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    let (head, body) = answer.into_parts();
    let is_over = body.is_end_stream();
    let sent = match respond.send_response(http::Response::from_parts(head, ()), is_over) {
        Ok(_) if is_over => Ok(()),
        Ok(stream) => send(body, stream).await,
        Err(error) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Err(error)
        }
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "an answer found nobody");
    }
}

/// Sends a body to its end. A frame is asked for when the one before it is with the connection, so a peer that does
/// not read holds up whoever makes them.
async fn send(mut body: tonic::body::Body, mut stream: SendStream<Bytes>) -> Result<(), h2::Error> {
    loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(reset) = stream.poll_reset(context) {
                return Poll::Ready(Err(reset.map_or_else(|error| error, h2::Error::from)));
            }
            Pin::new(&mut body).poll_frame(context).map(Ok)
        });
        match next.await? {
            None => return stream.send_data(Bytes::new(), true),
            Some(Err(status)) => {
                tracing::debug!(%status, "an answer broke off");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let is_over = body.is_end_stream();
                    if !data.is_empty() {
                        room(&mut stream).await?;
                    }
                    stream.send_data(data, is_over)?;
                    if is_over {
                        return Ok(());
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return stream.send_trailers(trailers);
                    }
                }
            },
        }
    }
}

/// Waits until the peer takes at least a byte. More is not asked for: what is asked for is kept from other streams.
async fn room(stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    stream.reserve_capacity(1);
    poll_fn(|context| {
        while stream.capacity() == 0 {
            match stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Err(Reason::CANCEL.into())),
                Poll::Pending => {
                    // A reset must wake us as well.
                    if let Poll::Ready(reset) = stream.poll_reset(context) {
                        return Poll::Ready(Err(reset.map_or_else(|error| error, h2::Error::from)));
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// The body of a request.
pub(crate) struct Incoming {
    stream: RecvStream,
    data_is_over: bool,
}

impl Incoming {
    fn new(stream: RecvStream) -> Incoming {
        Incoming { stream, data_is_over: false }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_is_over {
            match self.stream.poll_data(context) {
                Poll::Ready(Some(Ok(data))) => {
                    // Read is read: the peer may send as much again. A stream that ended does not need to.
                    let _ended = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.data_is_over = true;
                    // Ended without an error by the peer, who has all it wants.
                    let is_well = error.reason() == Some(Reason::NO_ERROR);
                    return Poll::Ready(if is_well { None } else { Some(Err(error)) });
                }
                Poll::Ready(None) => self.data_is_over = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        let trailers = self.stream.poll_trailers(context);
        trailers.map(|trailers| trailers.map(|trailers: Option<HeaderMap>| trailers.map(Frame::trailers)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
