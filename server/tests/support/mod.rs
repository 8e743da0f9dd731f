//! A server of this process on a free port, and what tests say to it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "every test file uses a part of this; what fails in a test should panic"
)]

use std::{path::Path, sync::Arc, time::Duration};

use engine::{ClockSource, ManualClock};
use inventory_core::ids::TimestampMs;
use prost::Message as _;
use proto::{
    admin::v1::{self as admin, admin_service_client::AdminServiceClient},
    inventory::v1::{
        self as wire, inventory_service_client::InventoryServiceClient, order_service_client::OrderServiceClient,
    },
};
use server::{
    StartFault,
    boot::{Options, Running, boot},
    config::{Config, LogFormat},
};
use tempfile::TempDir;
use tonic::{Status, transport::Channel};
use tonic_types::pb;

/// Twenty seats in two rows (A is 0 to 9, B is 10 to 19) and an area of five.
pub const HOUSE: &str = r#"{
    "usher_plan": 1, "name": "House", "price_levels": ["Front", "Back"], "focal_point": [0, 0],
    "sections": [{"key": "S", "rows": [
        {"label": "A", "level": "Front", "count": 10, "start": [-4.5, 1], "step": [1, 0]},
        {"label": "B", "level": "Back", "count": 10, "start": [-4.5, 2], "step": [1, 0]}
    ]}],
    "areas": [{"key": "Floor", "level": "Back", "capacity": 5, "centre": [0, 9]}]
}"#;

/// The same with a third row at the end.
pub const LARGER_HOUSE: &str = r#"{
    "usher_plan": 1, "name": "Larger house", "price_levels": ["Front", "Back"], "focal_point": [0, 0],
    "sections": [{"key": "S", "rows": [
        {"label": "A", "level": "Front", "count": 10, "start": [-4.5, 1], "step": [1, 0]},
        {"label": "B", "level": "Back", "count": 10, "start": [-4.5, 2], "step": [1, 0]},
        {"label": "C", "level": "Back", "count": 10, "start": [-4.5, 3], "step": [1, 0]}
    ]}],
    "areas": [{"key": "Floor", "level": "Back", "capacity": 5, "centre": [0, 9]}]
}"#;

/// The same with its rows in the other order.
pub const TURNED_HOUSE: &str = r#"{
    "usher_plan": 1, "name": "Turned house", "price_levels": ["Front", "Back"], "focal_point": [0, 0],
    "sections": [{"key": "S", "rows": [
        {"label": "B", "level": "Back", "count": 10, "start": [-4.5, 2], "step": [1, 0]},
        {"label": "A", "level": "Front", "count": 10, "start": [-4.5, 1], "step": [1, 0]}
    ]}],
    "areas": [{"key": "Floor", "level": "Back", "capacity": 5, "centre": [0, 9]}]
}"#;

/// The same without its second row.
pub const SMALLER_HOUSE: &str = r#"{
    "usher_plan": 1, "name": "Smaller house", "price_levels": ["Front", "Back"], "focal_point": [0, 0],
    "sections": [{"key": "S", "rows": [
        {"label": "B", "level": "Front", "count": 10, "start": [-4.5, 1], "step": [1, 0]}
    ]}],
    "areas": [{"key": "Floor", "level": "Back", "capacity": 5, "centre": [0, 9]}]
}"#;

/// What the clocks of tests begin with.
pub const START_MS: u64 = 1_800_000_000_000;

pub struct TestServer {
    pub running: Option<Running>,
    pub clock: Arc<ManualClock>,
    pub folder: TempDir,
    pub sale: InventoryServiceClient<Channel>,
    pub admin: AdminServiceClient<Channel>,
    pub orders: OrderServiceClient<Channel>,
    pub channel: Channel,
}

pub fn config(folder: &Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.to_owned(),
        io_cores: 2,
        shards: 2,
        segment_bytes: 4 << 20,
        checkpoint_segments: 32,
        memory_budget_bytes: 256 << 20,
        memory_ready_bytes: 0,
        log_format: LogFormat::Text,
        log_level: "warn".to_owned(),
        insecure_no_auth: false,
        accept_clock_jump: false,
        drain_seconds: 10,
        reflection: true,
        archive: None,
        archive_seconds: 1,
        history: false,
    }
}

pub fn options(clock: &Arc<ManualClock>) -> Options {
    Options {
        clock: ClockSource::Manual(Arc::clone(clock)),
        on_log_fault: Box::new(|error| panic!("the log failed: {error}")),
        announce: false,
        ..Options::default()
    }
}

/// Boots on a thread that may wait.
pub async fn start(config: Config, clock: &Arc<ManualClock>) -> Result<Running, StartFault> {
    let clock = Arc::clone(clock);
    tokio::task::spawn_blocking(move || boot(&config, options(&clock))).await.unwrap()
}

pub async fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

impl TestServer {
    /// A new server without events.
    pub async fn empty() -> TestServer {
        let folder = tempfile::tempdir().unwrap();
        TestServer::over(folder, ManualClock::new(TimestampMs(START_MS))).await
    }

    /// A server over a folder.
    pub async fn over(folder: TempDir, clock: Arc<ManualClock>) -> TestServer {
        let config = config(folder.path());
        TestServer::with(folder, clock, config, |_| {}).await
    }

    /// A server over a folder with other settings and options.
    pub async fn with(
        folder: TempDir,
        clock: Arc<ManualClock>,
        config: Config,
        change: impl FnOnce(&mut Options) + Send + 'static,
    ) -> TestServer {
        let manual = Arc::clone(&clock);
        let boot = move || {
            let mut options = options(&manual);
            change(&mut options);
            boot(&config, options)
        };
        let running = tokio::task::spawn_blocking(boot).await.unwrap().unwrap();
        let channel = channel(running.address()).await;
        TestServer {
            running: Some(running),
            clock,
            folder,
            sale: InventoryServiceClient::new(channel.clone()),
            admin: AdminServiceClient::new(channel.clone()),
            orders: OrderServiceClient::new(channel.clone()),
            channel,
        }
    }

    /// A new server with the event `show` in [`HOUSE`].
    pub async fn with_show() -> TestServer {
        let mut server = TestServer::empty().await;
        server.create("show", no_rules()).await.unwrap();
        server
    }

    pub async fn create(
        &mut self,
        event_id: &str,
        policies: admin::EventPolicies,
    ) -> Result<admin::CreateEventResponse, Status> {
        let request = new_event(event_id, policies);
        self.admin.create_event(request).await.map(tonic::Response::into_inner)
    }

    pub async fn hold(&self, request: wire::HoldRequest) -> Result<wire::HoldResponse, Status> {
        self.sale.clone().hold(request).await.map(tonic::Response::into_inner)
    }

    pub async fn confirm(&self, request: wire::ConfirmHoldRequest) -> Result<wire::ConfirmHoldResponse, Status> {
        self.sale.clone().confirm_hold(request).await.map(tonic::Response::into_inner)
    }

    pub async fn release(&self, request: wire::ReleaseHoldRequest) -> Result<wire::ReleaseHoldResponse, Status> {
        self.sale.clone().release_hold(request).await.map(tonic::Response::into_inner)
    }

    pub async fn extend(&self, request: wire::ExtendHoldRequest) -> Result<wire::ExtendHoldResponse, Status> {
        self.sale.clone().extend_hold(request).await.map(tonic::Response::into_inner)
    }

    pub async fn begin_payment(
        &self,
        request: wire::BeginPaymentRequest,
    ) -> Result<wire::BeginPaymentResponse, Status> {
        self.sale.clone().begin_payment(request).await.map(tonic::Response::into_inner)
    }

    pub async fn end_payment(&self, request: wire::EndPaymentRequest) -> Result<wire::EndPaymentResponse, Status> {
        self.sale.clone().end_payment(request).await.map(tonic::Response::into_inner)
    }

    pub async fn get_hold(&self, event_id: &str, hold_id: &str) -> Result<wire::Hold, Status> {
        let request = wire::GetHoldRequest { event_id: event_id.into(), hold_id: hold_id.into(), ..Default::default() };
        self.sale.clone().get_hold(request).await.map(|answer| answer.into_inner().hold.unwrap())
    }

    pub async fn sell_direct(&self, request: wire::SellDirectRequest) -> Result<wire::SellDirectResponse, Status> {
        self.orders.clone().sell_direct(request).await.map(tonic::Response::into_inner)
    }

    pub async fn return_places(
        &self,
        request: wire::ReturnPlacesRequest,
    ) -> Result<wire::ReturnPlacesResponse, Status> {
        self.orders.clone().return_places(request).await.map(tonic::Response::into_inner)
    }

    pub async fn exchange(&self, request: wire::ExchangeRequest) -> Result<wire::ExchangeResponse, Status> {
        self.orders.clone().exchange(request).await.map(tonic::Response::into_inner)
    }

    pub async fn get_order(&self, event_id: &str, order_ref: &str) -> Result<wire::GetOrderResponse, Status> {
        let (event_id, order_ref) = (event_id.into(), order_ref.into());
        let request = wire::GetOrderRequest { event_id, order_ref, ..Default::default() };
        self.orders.clone().get_order(request).await.map(tonic::Response::into_inner)
    }

    pub async fn list_orders(&self, request: wire::ListOrdersRequest) -> Result<wire::ListOrdersResponse, Status> {
        self.orders.clone().list_orders(request).await.map(tonic::Response::into_inner)
    }

    pub async fn kill(&self, request: admin::KillRequest) -> Result<admin::KillResponse, Status> {
        self.admin.clone().kill(request).await.map(tonic::Response::into_inner)
    }

    pub async fn unkill(&self, request: admin::UnkillRequest) -> Result<admin::UnkillResponse, Status> {
        self.admin.clone().unkill(request).await.map(tonic::Response::into_inner)
    }

    pub async fn set_price_level(
        &self,
        request: admin::SetPriceLevelRequest,
    ) -> Result<admin::SetPriceLevelResponse, Status> {
        self.admin.clone().set_price_level(request).await.map(tonic::Response::into_inner)
    }

    pub async fn set_allocation(
        &self,
        request: admin::SetAllocationRequest,
    ) -> Result<admin::SetAllocationResponse, Status> {
        self.admin.clone().set_allocation(request).await.map(tonic::Response::into_inner)
    }

    pub async fn remove_allocation(
        &self,
        request: admin::RemoveAllocationRequest,
    ) -> Result<admin::RemoveAllocationResponse, Status> {
        self.admin.clone().remove_allocation(request).await.map(tonic::Response::into_inner)
    }

    /// All of the event `show`.
    pub async fn allocations(&self) -> Vec<admin::Allocation> {
        let request = admin::ListAllocationsRequest { event_id: "show".into() };
        self.admin.clone().list_allocations(request).await.unwrap().into_inner().allocations
    }

    pub async fn list_holds(&self, request: admin::ListHoldsRequest) -> Result<admin::ListHoldsResponse, Status> {
        self.admin.clone().list_holds(request).await.map(tonic::Response::into_inner)
    }

    pub async fn event(&self, event_id: &str) -> wire::Event {
        let request = wire::GetEventRequest { event_id: event_id.into(), ..Default::default() };
        self.sale.clone().get_event(request).await.unwrap().into_inner().event.unwrap()
    }

    /// Updates the fields that `paths` name.
    pub async fn update(&self, event: admin::Event, paths: &[&str]) -> Result<admin::UpdateEventResponse, Status> {
        let request =
            admin::UpdateEventRequest { event: Some(event), update_mask: Some(mask(paths)), ..Default::default() };
        self.admin.clone().update_event(request).await.map(tonic::Response::into_inner)
    }

    pub async fn set_state(&self, event_id: &str, state: wire::EventState) {
        let event = admin::Event { event_id: event_id.into(), state: state as i32, ..Default::default() };
        self.update(event, &["state"]).await.unwrap();
    }

    /// Moves the clock and lets the shards see it.
    pub fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
        self.running.as_ref().unwrap().wake_shards();
    }

    /// A new id at the server's time.
    pub fn id(&self) -> String {
        id_at(engine::Clock::now(self.clock.as_ref()).0)
    }

    /// Stops and starts again over the same folder and clock.
    /// Stops, and starts again with other settings and options.
    pub async fn restart_with(
        mut self,
        change_config: impl FnOnce(&mut Config),
        change: impl FnOnce(&mut Options) + Send + 'static,
    ) -> TestServer {
        self.running.take().unwrap().stop().await.unwrap();
        let mut config = config(self.folder.path());
        change_config(&mut config);
        TestServer::with(self.folder, self.clock, config, change).await
    }

    pub async fn restart(self) -> TestServer {
        self.restart_with(|_| {}, |_| {}).await
    }

    pub async fn stop(mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }
}

pub fn id_at(ms: u64) -> String {
    let mut random = [0; 10];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid().to_string()
}

/// High and low half of an id.
pub fn halves(id: &str) -> (u64, u64) {
    uuid::Uuid::parse_str(id).unwrap().as_u64_pair()
}

/// Single seats may be left.
pub fn no_rules() -> admin::EventPolicies {
    admin::EventPolicies { orphan_rule: wire::OrphanRule::Off as i32, ..Default::default() }
}

pub fn document(json: &str) -> admin::PlanDocument {
    admin::PlanDocument {
        content: json.as_bytes().to_vec().into(),
        format: admin::PlanFormat::Usher as i32,
        options: None,
    }
}

pub fn new_event(event_id: &str, policies: admin::EventPolicies) -> admin::CreateEventRequest {
    admin::CreateEventRequest {
        event_id: event_id.into(),
        plan: Some(admin::create_event_request::Plan::PlanDocument(document(HOUSE))),
        display_name: "Show".into(),
        policies: Some(policies),
        ..Default::default()
    }
}

pub fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

pub fn hold_of(event_id: &str, hold_id: &str, seats: &[u32]) -> wire::HoldRequest {
    wire::HoldRequest {
        event_id: event_id.into(),
        hold_id: hold_id.into(),
        seats: seats.to_vec(),
        ..Default::default()
    }
}

pub fn confirm_of(event_id: &str, hold_id: &str, order_ref: &str) -> wire::ConfirmHoldRequest {
    wire::ConfirmHoldRequest {
        event_id: event_id.into(),
        hold_id: hold_id.into(),
        order_ref: order_ref.into(),
        ..Default::default()
    }
}

pub fn release_of(event_id: &str, hold_id: &str) -> wire::ReleaseHoldRequest {
    wire::ReleaseHoldRequest { event_id: event_id.into(), hold_id: hold_id.into(), ..Default::default() }
}

pub fn extend_of(event_id: &str, hold_id: &str, request_id: &str, ttl_ms: u64) -> wire::ExtendHoldRequest {
    wire::ExtendHoldRequest {
        event_id: event_id.into(),
        hold_id: hold_id.into(),
        request_id: request_id.into(),
        ttl_ms,
    }
}

pub fn begin_of(event_id: &str, hold_id: &str, attempt_id: &str) -> wire::BeginPaymentRequest {
    wire::BeginPaymentRequest { event_id: event_id.into(), hold_id: hold_id.into(), attempt_id: attempt_id.into() }
}

/// A failed one.
pub fn end_of(event_id: &str, hold_id: &str, attempt_id: &str) -> wire::EndPaymentRequest {
    wire::EndPaymentRequest {
        event_id: event_id.into(),
        hold_id: hold_id.into(),
        attempt_id: attempt_id.into(),
        outcome: wire::PaymentOutcome::Failed as i32,
    }
}

pub fn sell_of(event_id: &str, request_id: &str, order_ref: &str, seats: &[u32]) -> wire::SellDirectRequest {
    wire::SellDirectRequest {
        event_id: event_id.into(),
        request_id: request_id.into(),
        order_ref: order_ref.into(),
        seats: seats.to_vec(),
        ..Default::default()
    }
}

/// Seats by what they are called together.
pub fn selected(selectors: &[&str]) -> Option<wire::PlaceSet> {
    let selectors = selectors.iter().map(|&text| text.to_owned()).collect();
    Some(wire::PlaceSet { selectors, ..Default::default() })
}

/// Sets places aside under a key.
pub fn set_of(request_id: &str, key: &str, places: Option<wire::PlaceSet>) -> admin::SetAllocationRequest {
    admin::SetAllocationRequest {
        event_id: "show".into(),
        request_id: request_id.into(),
        allocation_key: key.into(),
        places,
        ..Default::default()
    }
}

/// So many admissions to the floor.
pub fn floor(quantity: u32) -> wire::GaItem {
    wire::GaItem { area_key: "Floor".into(), quantity, ..Default::default() }
}

/// What a status says of itself.
#[derive(Debug, Default)]
pub struct Said {
    pub code: Option<tonic::Code>,
    pub reason: String,
    pub domain: String,
    pub executed: String,
    pub metadata: std::collections::HashMap<String, String>,
    pub fields: Vec<String>,
    pub retry_ms: Option<i64>,
    pub quota: bool,
    pub places: Option<wire::PlacesUnavailable>,
}

/// Reads the details of a status.
pub fn said(status: &Status) -> Said {
    let mut said = Said { code: Some(status.code()), ..Said::default() };
    let details = pb::Status::decode(status.details()).unwrap().details;
    for detail in details {
        let value = detail.value.as_slice();
        match detail.type_url.rsplit('/').next().unwrap() {
            "google.rpc.ErrorInfo" => {
                let info = pb::ErrorInfo::decode(value).unwrap();
                (said.reason, said.domain, said.metadata) = (info.reason, info.domain, info.metadata);
                said.executed = said.metadata.get("executed").cloned().unwrap_or_default();
            }
            "google.rpc.BadRequest" => {
                let bad = pb::BadRequest::decode(value).unwrap();
                said.fields = bad.field_violations.into_iter().map(|violation| violation.field).collect();
            }
            "google.rpc.RetryInfo" => {
                let delay = pb::RetryInfo::decode(value).unwrap().retry_delay.unwrap();
                said.retry_ms = Some(delay.seconds * 1_000 + i64::from(delay.nanos) / 1_000_000);
            }
            "google.rpc.QuotaFailure" => said.quota = true,
            "usher.inventory.v1.PlacesUnavailable" => {
                said.places = Some(wire::PlacesUnavailable::decode(value).unwrap());
            }
            other => panic!("an unknown detail: {other}"),
        }
    }
    said
}

/// The reason alone.
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    said(&answer.expect_err("a refusal")).reason
}

/// A test must end: what it waits for comes within this or never.
pub async fn soon<T>(future: impl std::future::Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing came for 20 s")
}
