use std::time::Duration;

use proto::admin::v1 as admin;
use proto::admin::v1::admin_service_client::AdminServiceClient;
use proto::inventory::v1 as inventory;
use proto::inventory::v1::cart_service_client::CartServiceClient;
use proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use proto::inventory::v1::order_service_client::OrderServiceClient;
use tonic::Request;

use crate::client::Client;
use crate::error::Error;

/// Largest answer taken: the seat map of ten million places is 2.5 MB, their plan comes in chunks.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The calls of all services as they are in the proto files, with deadlines, retries and typed errors.
///
/// An empty `hold_id` or `cart_id`, and an empty `request_id` where one makes the call safe to send again, is filled in: a retry
/// must be able to name what it repeats.
#[derive(Clone, Copy, Debug)]
pub struct Unary<'a> {
    client: &'a Client,
}

/// Answers that tell the server's time.
trait TellsTime {
    fn server_time_ms(&self) -> u64;
}

macro_rules! tells_time {
    (milliseconds: $($answer:ty),*; timestamp: $($stamped:ty),*) => {
        $(impl TellsTime for $answer {
            fn server_time_ms(&self) -> u64 {
                self.server_time_ms
            }
        })*
        $(impl TellsTime for $stamped {
            fn server_time_ms(&self) -> u64 {
                self.server_time.as_ref().map_or(0, |time| {
                    let millis = time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000;
                    u64::try_from(millis).unwrap_or(0)
                })
            }
        })*
    };
}

tells_time!(
    milliseconds: inventory::HoldResponse, inventory::ExtendHoldResponse, inventory::ConfirmHoldResponse,
        inventory::BeginPaymentResponse, inventory::EndPaymentResponse,
        inventory::ReleaseHoldResponse, inventory::GetHoldResponse, inventory::GetEventResponse,
        inventory::SuggestResponse, inventory::ExplainResponse,
        inventory::GetAvailabilityResponse, inventory::GetSeatMapResponse,
        inventory::SellDirectResponse, inventory::ReturnPlacesResponse, inventory::ExchangeResponse,
        inventory::GetOrderResponse, inventory::ListOrdersResponse,
        inventory::HoldManyResponse, inventory::ConfirmManyResponse, inventory::ReleaseManyResponse;
    timestamp: admin::CreatePlanResponse, admin::CreateEventResponse, admin::UpdateEventResponse,
        admin::RetireEventResponse, admin::GetHistoryResponse,
        admin::ListEventsResponse, admin::ServerStatusResponse, admin::KillResponse, admin::UnkillResponse,
        admin::SetPriceLevelResponse, admin::SetAllocationResponse, admin::RemoveAllocationResponse,
        admin::ListAllocationsResponse, admin::ListHoldsResponse
);

/// Methods that send one message and get one.
macro_rules! calls {
    ($stub:ident: $($(#[$doc:meta])* $name:ident($request:ty) -> $answer:ty;)*) => {
        impl Unary<'_> {
            $($(#[$doc])*
            pub async fn $name(&self, request: $request) -> Result<$answer, Error> {
                let request = self.with_ids(request);
                self.client
                    .attempts(|timeout| {
                        let mut stub = $stub::new(self.client.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
                        let request = with_timeout(request.clone(), timeout);
                        async move {
                            let answer = stub.$name(request).await.map_err(|status| Error::from_status(&status))?;
                            let answer = answer.into_inner();
                            self.client.clock().learn(answer.server_time_ms());
                            Ok(answer)
                        }
                    })
                    .await
            })*
        }
    };
}

calls!(InventoryServiceClient:
    /// Takes places for a limited time.
    hold(inventory::HoldRequest) -> inventory::HoldResponse;
    /// Moves the deadline of a hold.
    extend_hold(inventory::ExtendHoldRequest) -> inventory::ExtendHoldResponse;
    /// Begins a payment. The attempt id is not filled in: who pays must know it.
    begin_payment(inventory::BeginPaymentRequest) -> inventory::BeginPaymentResponse;
    /// Ends a payment that has come to nothing.
    end_payment(inventory::EndPaymentRequest) -> inventory::EndPaymentResponse;
    /// Sells held places to an order.
    confirm_hold(inventory::ConfirmHoldRequest) -> inventory::ConfirmHoldResponse;
    /// Gives held places back.
    release_hold(inventory::ReleaseHoldRequest) -> inventory::ReleaseHoldResponse;
    /// Ways to seat a party, best first. Takes nothing.
    suggest(inventory::SuggestRequest) -> inventory::SuggestResponse;
    /// What a Hold would be answered. Takes nothing.
    explain(inventory::ExplainRequest) -> inventory::ExplainResponse;
    /// Reads a hold, live or ended.
    get_hold(inventory::GetHoldRequest) -> inventory::GetHoldResponse;
    /// Reads an event.
    get_event(inventory::GetEventRequest) -> inventory::GetEventResponse;
    /// Reads the counts of an event.
    get_availability(inventory::GetAvailabilityRequest) -> inventory::GetAvailabilityResponse;
    /// Reads the public state of every place of an event.
    get_seat_map(inventory::GetSeatMapRequest) -> inventory::GetSeatMapResponse;
);

calls!(OrderServiceClient:
    /// Sells open places at once.
    sell_direct(inventory::SellDirectRequest) -> inventory::SellDirectResponse;
    /// Takes sold places of an order back.
    return_places(inventory::ReturnPlacesRequest) -> inventory::ReturnPlacesResponse;
    /// Gives some sold places of an order for others, in one step.
    exchange(inventory::ExchangeRequest) -> inventory::ExchangeResponse;
    /// Reads what is sold to an order.
    get_order(inventory::GetOrderRequest) -> inventory::GetOrderResponse;
    /// Lists what is sold of an event, one page of it.
    list_orders(inventory::ListOrdersRequest) -> inventory::ListOrdersResponse;
);

calls!(CartServiceClient:
    /// Takes places in several events.
    hold_many(inventory::HoldManyRequest) -> inventory::HoldManyResponse;
    /// Sells all of a cart to an order.
    confirm_many(inventory::ConfirmManyRequest) -> inventory::ConfirmManyResponse;
    /// Gives all of a cart back.
    release_many(inventory::ReleaseManyRequest) -> inventory::ReleaseManyResponse;
);

calls!(AdminServiceClient:
    /// Checks a venue plan and stores it.
    create_plan(admin::CreatePlanRequest) -> admin::CreatePlanResponse;
    /// Makes an event of a plan.
    create_event(admin::CreateEventRequest) -> admin::CreateEventResponse;
    /// Changes an event.
    update_event(admin::UpdateEventRequest) -> admin::UpdateEventResponse;
    /// Archives an event and takes it out of memory.
    retire_event(admin::RetireEventRequest) -> admin::RetireEventResponse;
    /// Lists events by id.
    list_events(admin::ListEventsRequest) -> admin::ListEventsResponse;
    /// Withdraws places from sale.
    kill(admin::KillRequest) -> admin::KillResponse;
    /// Opens withdrawn places again.
    unkill(admin::UnkillRequest) -> admin::UnkillResponse;
    /// Gives places another price level.
    set_price_level(admin::SetPriceLevelRequest) -> admin::SetPriceLevelResponse;
    /// Sets places aside for those who bring a key.
    set_allocation(admin::SetAllocationRequest) -> admin::SetAllocationResponse;
    /// Gives places of an allocation back to general sale, or all of it.
    remove_allocation(admin::RemoveAllocationRequest) -> admin::RemoveAllocationResponse;
    /// Tells all allocations of an event.
    list_allocations(admin::ListAllocationsRequest) -> admin::ListAllocationsResponse;
    /// Lists the live holds of an event, one page of them.
    list_holds(admin::ListHoldsRequest) -> admin::ListHoldsResponse;
    /// What happened to a seat, a hold or an order, one page of it.
    get_history(admin::GetHistoryRequest) -> admin::GetHistoryResponse;
    /// Tells how the server is.
    server_status(admin::ServerStatusRequest) -> admin::ServerStatusResponse;
);

impl<'a> Unary<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Reads the venue plan of an event: its chunks in order.
    pub async fn get_plan(&self, request: inventory::GetPlanRequest) -> Result<Vec<inventory::PlanChunk>, Error> {
        self.client
            .attempts(|timeout| {
                let mut stub =
                    InventoryServiceClient::new(self.client.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
                let request = with_timeout(request.clone(), timeout);
                async move {
                    let failed = |status: tonic::Status| Error::from_status(&status);
                    let mut stream = stub.get_plan(request).await.map_err(failed)?.into_inner();
                    let mut chunks = Vec::new();
                    while let Some(part) = stream.message().await.map_err(failed)? {
                        chunks.extend(part.chunk);
                    }
                    Ok(chunks)
                }
            })
            .await
    }

    /// Takes a snapshot of the server. One attempt, without a limit of time: a large state takes minutes.
    pub async fn create_snapshot(&self) -> Result<SnapshotStream, Error> {
        let mut stub = AdminServiceClient::new(self.client.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let stream = stub.create_snapshot(admin::CreateSnapshotRequest {}).await;
        Ok(SnapshotStream { stream: stream.map_err(|status| Error::from_status(&status))?.into_inner() })
    }

    fn with_ids<R: NeedsIds>(&self, mut request: R) -> R {
        request.fill(self.client);
        request
    }
}

/// A snapshot on its way.
pub struct SnapshotStream {
    stream: tonic::Streaming<admin::CreateSnapshotResponse>,
}

impl SnapshotStream {
    /// The next part; nothing: the stream has ended, well only when the last part was the seal.
    pub async fn next(&mut self) -> Result<Option<admin::CreateSnapshotResponse>, Error> {
        self.stream.message().await.map_err(|status| Error::from_status(&status))
    }
}

fn with_timeout<R>(message: R, timeout: Duration) -> Request<R> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// Requests whose empty ids are filled in before the first attempt.
trait NeedsIds {
    fn fill(&mut self, _client: &Client) {}
}

impl NeedsIds for inventory::HoldRequest {
    fn fill(&mut self, client: &Client) {
        if self.hold_id.is_empty() {
            self.hold_id = client.ids().hold_id().to_string();
        }
    }
}

impl NeedsIds for inventory::HoldManyRequest {
    fn fill(&mut self, client: &Client) {
        if self.cart_id.is_empty() {
            self.cart_id = client.ids().hold_id().to_string();
        }
    }
}

impl NeedsIds for inventory::ConfirmHoldRequest {
    fn fill(&mut self, client: &Client) {
        let partial = !(self.seats.is_empty() && self.seat_keys.is_empty() && self.ga.is_empty());
        if partial && self.request_id.is_empty() {
            self.request_id = client.ids().request_id().to_string();
        }
    }
}

impl NeedsIds for inventory::ReleaseHoldRequest {
    fn fill(&mut self, client: &Client) {
        let partial = !(self.seats.is_empty() && self.seat_keys.is_empty() && self.ga.is_empty());
        if partial && self.request_id.is_empty() {
            self.request_id = client.ids().request_id().to_string();
        }
    }
}

/// Requests that are named by a request id and nothing else.
macro_rules! needs_request_id {
    ($($request:ty),*) => {
        $(impl NeedsIds for $request {
            fn fill(&mut self, client: &Client) {
                if self.request_id.is_empty() {
                    self.request_id = client.ids().request_id().to_string();
                }
            }
        })*
    };
}

needs_request_id!(
    inventory::ExtendHoldRequest,
    inventory::SellDirectRequest,
    inventory::ReturnPlacesRequest,
    inventory::ExchangeRequest,
    admin::UpdateEventRequest,
    admin::RetireEventRequest,
    admin::KillRequest,
    admin::UnkillRequest,
    admin::SetPriceLevelRequest,
    admin::SetAllocationRequest,
    admin::RemoveAllocationRequest
);

impl NeedsIds for inventory::ConfirmManyRequest {}
impl NeedsIds for inventory::ReleaseManyRequest {}
impl NeedsIds for inventory::BeginPaymentRequest {}
impl NeedsIds for inventory::EndPaymentRequest {}
impl NeedsIds for inventory::SuggestRequest {}
impl NeedsIds for inventory::ExplainRequest {}
impl NeedsIds for inventory::GetHoldRequest {}
impl NeedsIds for inventory::GetEventRequest {}
impl NeedsIds for inventory::GetAvailabilityRequest {}
impl NeedsIds for inventory::GetSeatMapRequest {}
impl NeedsIds for inventory::GetOrderRequest {}
impl NeedsIds for inventory::ListOrdersRequest {}
impl NeedsIds for admin::CreatePlanRequest {}
impl NeedsIds for admin::CreateEventRequest {}
impl NeedsIds for admin::ListEventsRequest {}
impl NeedsIds for admin::ListAllocationsRequest {}
impl NeedsIds for admin::ListHoldsRequest {}
impl NeedsIds for admin::GetHistoryRequest {}
impl NeedsIds for admin::ServerStatusRequest {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn what_a_request_id_names_is_given_one_and_keeps_its_own() {
        let client = Client::lazy(Config::new("http://127.0.0.1:1")).expect("an address");
        let unary = client.unary();
        let ids = [
            unary.with_ids(inventory::SellDirectRequest::default()).request_id,
            unary.with_ids(inventory::ReturnPlacesRequest::default()).request_id,
            unary.with_ids(inventory::ExchangeRequest::default()).request_id,
            unary.with_ids(admin::KillRequest::default()).request_id,
            unary.with_ids(admin::UnkillRequest::default()).request_id,
            unary.with_ids(admin::SetPriceLevelRequest::default()).request_id,
            unary.with_ids(admin::SetAllocationRequest::default()).request_id,
            unary.with_ids(admin::RemoveAllocationRequest::default()).request_id,
        ];
        for id in &ids {
            assert!(id.parse::<crate::RequestId>().is_ok(), "{id}");
        }
        assert!(ids.is_sorted() && ids[0] != ids[1], "each is greater than the one before");
        let own = inventory::SellDirectRequest { request_id: ids[0].clone(), ..Default::default() };
        assert_eq!(unary.with_ids(own).request_id, ids[0]);
    }
}
