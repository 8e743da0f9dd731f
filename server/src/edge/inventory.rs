//! The sale, one call at a time: convert, admit, hand over, wait, convert.
//!
//! Not here: many commands on one stream (`session.rs`).

use std::{pin::Pin, sync::Arc};

use engine::{Answer, Engine, EventView, Lost, Reply, reply_slot};
use futures_core::Stream;
use inventory_core::{
    command::Command,
    ids::{EventKey, HoldId},
};
use proto::inventory::v1::{self as wire, Reason, inventory_service_server::InventoryService};
use tonic::{Request, Response, Status, Streaming};

use super::{
    admission::Permit,
    advice, convert,
    deadline::CallTime,
    holds::{self, Begun, COMMAND_BYTES, HoldDone},
    plan_chunks,
    refusal::{Asked, Refusable, Refusal},
    service::Connection,
    session::SessionStream,
    state::Edge,
};

/// The service of the sale.
pub(crate) struct Inventory {
    edge: Arc<Edge>,
}

impl Inventory {
    /// The service over the state of the edge.
    pub(crate) fn new(edge: Arc<Edge>) -> Inventory {
        Inventory { edge }
    }

    async fn get_event(
        &self,
        time: Option<CallTime>,
        request: wire::GetEventRequest,
    ) -> Refusable<wire::GetEventResponse> {
        let engine = self.edge.engine()?;
        let event = self.view(engine, time, &request.event_id, request.min_position, request.incarnation).await?;
        let position = event.position().max(request.min_position);
        Ok(wire::GetEventResponse {
            event: Some(convert::event_message(&event, position, engine.incarnation())),
            server_time_ms: engine.clock().now().0,
        })
    }

    async fn get_availability(
        &self,
        time: Option<CallTime>,
        request: wire::GetAvailabilityRequest,
    ) -> Refusable<wire::GetAvailabilityResponse> {
        let engine = self.edge.engine()?;
        let event = self.view(engine, time, &request.event_id, request.min_position, request.incarnation).await?;
        let (info, counts) = consistent(&event, EventView::availability, |counts| counts.plan_revision);
        let plan = &info.plan;
        let sections = plan.sections().iter().zip(&counts.sections).enumerate();
        let levels = plan.price_levels().iter().zip(&counts.levels).enumerate();
        Ok(wire::GetAvailabilityResponse {
            totals: Some(convert::place_counts(counts.totals)),
            sections: sections
                .map(|(index, (section, counts))| wire::SectionAvailability {
                    section: number(index),
                    key: section.key.to_string(),
                    counts: Some(convert::place_counts(*counts)),
                })
                .collect(),
            price_levels: levels
                .map(|(index, (level, counts))| wire::PriceLevelAvailability {
                    price_level: number(index),
                    key: level.to_string(),
                    counts: Some(convert::place_counts(*counts)),
                })
                .collect(),
            ga_areas: areas(&info.plan, &counts.areas),
            plan_revision: counts.plan_revision,
            position: counts.position.max(request.min_position),
            incarnation: engine.incarnation(),
            server_time_ms: engine.clock().now().0,
        })
    }

    async fn get_seat_map(
        &self,
        time: Option<CallTime>,
        request: wire::GetSeatMapRequest,
    ) -> Refusable<wire::GetSeatMapResponse> {
        let engine = self.edge.engine()?;
        let event = self.view(engine, time, &request.event_id, request.min_position, request.incarnation).await?;
        let (info, map) = consistent(&event, EventView::snapshot, |map| map.plan_revision);
        Ok(wire::GetSeatMapResponse {
            seat_map: Some(wire::SeatMap {
                plan_revision: map.plan_revision,
                position: map.position.max(request.min_position),
                ga: areas(&info.plan, &map.areas),
                states: map.states.into(),
                seat_count: info.plan.seat_count(),
            }),
            incarnation: engine.incarnation(),
            server_time_ms: engine.clock().now().0,
        })
    }

    /// Hands over a call on a hold, waits for what comes of it and tells that. Connections serve these calls
    /// themselves (`calls.rs`), but for the rare ones that are compressed.
    async fn on_hold<R, A>(
        &self,
        request: Request<R>,
        begin: impl FnOnce(&Engine, R) -> Refusable<Begun>,
        tell: impl FnOnce(&Engine, &HoldDone) -> A,
    ) -> Refusable<A> {
        let engine = self.edge.engine()?;
        let time = time_of(&request);
        let Begun { key, command, bytes, question } = begin(engine, request.into_inner())?;
        let answer = submit(&self.edge, engine, time, key, command, question.asked(), bytes).await?;
        Ok(tell(engine, &question.answered(Ok(answer))?))
    }

    async fn suggest(&self, time: Option<CallTime>, request: wire::SuggestRequest) -> Refusable<wire::SuggestResponse> {
        let engine = self.edge.engine()?;
        convert::event_id(&request.event_id)?;
        let event = find(engine, &request.event_id, Asked::default())?;
        let best = request.best_available.clone().unwrap_or_default();
        let command = advice::suggest(request)?;
        let answer = submit(&self.edge, engine, time, event.key(), command, Asked::default(), COMMAND_BYTES).await?;
        advice::suggested(engine, &event, best, answer)
    }

    async fn explain(&self, time: Option<CallTime>, request: wire::ExplainRequest) -> Refusable<wire::ExplainResponse> {
        let engine = self.edge.engine()?;
        let hold = request.hold.ok_or_else(|| Refusal::invalid("hold", "is required"))?;
        convert::event_id(&hold.event_id)?;
        let event = find(engine, &hold.event_id, Asked::default())?;
        let (command, asked) = advice::explain(engine, hold)?;
        let answer = submit(&self.edge, engine, time, event.key(), command, asked, COMMAND_BYTES).await?;
        advice::explained(engine, &event, asked, answer)
    }

    /// The view of an event, at least as new as the caller asks.
    async fn view(
        &self,
        engine: &Arc<Engine>,
        time: Option<CallTime>,
        event_id: &str,
        min_position: u64,
        incarnation: u64,
    ) -> Refusable<Arc<EventView>> {
        convert::event_id(event_id)?;
        refuse_other_future(engine, incarnation, min_position)?;
        if min_position > 0 && engine.directory().find(event_id).is_none_or(|event| event.position() < min_position) {
            // The position is durable, but the event's shard may not have refreshed its views yet. It does so
            // before it answers anything: any answer of it will do.
            let event_id = convert::event_id(event_id)?;
            let (key, command) = (convert::event_key(&event_id), Command::GetHold(HoldId(0)));
            submit(&self.edge, engine, time, key, command, Asked::default(), COMMAND_BYTES).await?;
        }
        find(engine, event_id, Asked::default())
    }
}

/// Hands a command over and waits for the answer.
pub(crate) async fn submit(
    edge: &Arc<Edge>,
    engine: &Engine,
    time: Option<CallTime>,
    key: EventKey,
    command: Command,
    asked: Asked,
    bytes: usize,
) -> Refusable<Answer> {
    let permit = Permit::take(edge, bytes)?;
    let deadline = time.as_ref().map(|time| {
        let allowed_ms = u64::try_from(time.allowed.as_millis()).unwrap_or(u64::MAX);
        engine.clock().now().plus_ms(allowed_ms)
    });
    let (sender, receiver) = reply_slot();
    engine.submit(key, command, deadline, Reply::One(sender)).map_err(|refused| Refusal::of_refused(refused, asked))?;
    if let Some(time) = time {
        time.hand_over();
    }
    let answer = receiver.await;
    drop(permit);
    answer.map_err(|Lost| Refusal::storage_failed())
}

/// The event with this name. The name has the right shape.
pub(crate) fn find(engine: &Engine, event_id: &str, asked: Asked) -> Refusable<Arc<EventView>> {
    engine.directory().find(event_id).ok_or_else(|| Refusal::event_not_found(asked))
}

/// The incarnation is ours and the position can be.
pub(crate) fn refuse_other_future(engine: &Engine, incarnation: u64, min_position: u64) -> Refusable<()> {
    if incarnation != 0 && incarnation != engine.incarnation() {
        let what = "the server was restored to another future than the request expects; read again";
        return Err(Refusal::new(Reason::InstanceChanged, what).with("incarnation", engine.incarnation()));
    }
    if min_position > 0 {
        let latest = engine.status().position;
        if min_position > latest {
            let what = "the position asked for lies ahead of what is durable";
            return Err(Refusal::new(Reason::PositionOutOfRange, what).with("latestPosition", latest));
        }
    }
    Ok(())
}

/// What the event is and a reading of its places, both of one plan revision: a revision may come between.
fn consistent<T>(
    event: &EventView,
    read: impl Fn(&EventView) -> T,
    revision: impl Fn(&T) -> u32,
) -> (Arc<engine::EventInfo>, T) {
    loop {
        let info = event.info();
        let reading = read(event);
        if revision(&reading) == info.plan_revision {
            return (info, reading);
        }
    }
}

fn areas(plan: &inventory_core::plan::Plan, counts: &[engine::AreaCounts]) -> Vec<wire::GaAreaAvailability> {
    let areas = plan.areas().iter().zip(counts).enumerate();
    areas
        .map(|(index, (area, counts))| wire::GaAreaAvailability {
            area: number(index),
            key: area.key.to_string(),
            counts: Some(convert::place_counts(*counts)),
        })
        .collect()
}

/// An index of a plan: all are under 2^20.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn said<T>(result: Refusable<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Refusal::into_status)
}

fn time_of<T>(request: &Request<T>) -> Option<CallTime> {
    request.extensions().get::<CallTime>().cloned()
}

#[tonic::async_trait]
impl InventoryService for Inventory {
    async fn hold(&self, request: Request<wire::HoldRequest>) -> Result<Response<wire::HoldResponse>, Status> {
        said(self.on_hold(request, holds::hold, holds::held).await)
    }

    async fn extend_hold(
        &self,
        request: Request<wire::ExtendHoldRequest>,
    ) -> Result<Response<wire::ExtendHoldResponse>, Status> {
        said(self.on_hold(request, |engine, request| holds::extend(engine, &request), holds::extended).await)
    }

    async fn begin_payment(
        &self,
        request: Request<wire::BeginPaymentRequest>,
    ) -> Result<Response<wire::BeginPaymentResponse>, Status> {
        let begin = |engine: &Engine, request| holds::begin_payment(engine, &request);
        said(self.on_hold(request, begin, holds::payment_begun).await)
    }

    async fn end_payment(
        &self,
        request: Request<wire::EndPaymentRequest>,
    ) -> Result<Response<wire::EndPaymentResponse>, Status> {
        said(self.on_hold(request, |engine, request| holds::end_payment(engine, &request), holds::payment_ended).await)
    }

    async fn confirm_hold(
        &self,
        request: Request<wire::ConfirmHoldRequest>,
    ) -> Result<Response<wire::ConfirmHoldResponse>, Status> {
        said(self.on_hold(request, holds::confirm, holds::confirmed).await)
    }

    async fn release_hold(
        &self,
        request: Request<wire::ReleaseHoldRequest>,
    ) -> Result<Response<wire::ReleaseHoldResponse>, Status> {
        said(self.on_hold(request, holds::release, holds::released).await)
    }

    async fn get_hold(
        &self,
        request: Request<wire::GetHoldRequest>,
    ) -> Result<Response<wire::GetHoldResponse>, Status> {
        said(self.on_hold(request, |engine, request| holds::get(engine, &request), holds::got).await)
    }

    async fn suggest(&self, request: Request<wire::SuggestRequest>) -> Result<Response<wire::SuggestResponse>, Status> {
        said(self.suggest(time_of(&request), request.into_inner()).await)
    }

    async fn explain(&self, request: Request<wire::ExplainRequest>) -> Result<Response<wire::ExplainResponse>, Status> {
        said(self.explain(time_of(&request), request.into_inner()).await)
    }

    async fn get_event(
        &self,
        request: Request<wire::GetEventRequest>,
    ) -> Result<Response<wire::GetEventResponse>, Status> {
        said(self.get_event(time_of(&request), request.into_inner()).await)
    }

    type GetPlanStream = Pin<Box<dyn Stream<Item = Result<wire::GetPlanResponse, Status>> + Send>>;

    async fn get_plan(&self, request: Request<wire::GetPlanRequest>) -> Result<Response<Self::GetPlanStream>, Status> {
        let time = time_of(&request);
        let request = request.into_inner();
        let engine = self.edge.engine().map_err(Refusal::into_status)?;
        let event = self
            .view(engine, time, &request.event_id, request.min_position, request.incarnation)
            .await
            .map_err(Refusal::into_status)?;
        let info = event.info();
        let chunks = plan_chunks::chunks(Arc::clone(&info.plan), info.plan_revision);
        let answers = chunks.map(|chunk| Ok(wire::GetPlanResponse { chunk: Some(chunk) }));
        Ok(Response::new(Box::pin(futures_util::stream::iter(answers))))
    }

    async fn get_availability(
        &self,
        request: Request<wire::GetAvailabilityRequest>,
    ) -> Result<Response<wire::GetAvailabilityResponse>, Status> {
        said(self.get_availability(time_of(&request), request.into_inner()).await)
    }

    async fn get_seat_map(
        &self,
        request: Request<wire::GetSeatMapRequest>,
    ) -> Result<Response<wire::GetSeatMapResponse>, Status> {
        said(self.get_seat_map(time_of(&request), request.into_inner()).await)
    }

    type SessionStream = SessionStream;

    async fn session(
        &self,
        request: Request<Streaming<wire::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let stream = SessionStream::open(&self.edge, connection, request.into_inner());
        stream.map(Response::new).map_err(Refusal::into_status)
    }
}
