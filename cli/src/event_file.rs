//! `usherctl inspect` of the file of a retired event, as JSON lines.
//!
//! Not here: its bytes (crate `engine`), data folders (`inspect.rs`).

use std::io::{self, BufWriter, Write};
use std::path::Path;

use client::HoldId;
use engine::EventFile;
use inventory_core::place::PlaceState;
use inventory_core::policy::EventState;
use inventory_core::slot::SoldPart;
use serde_json::{Value, json};
use wal::{FileStorage, Storage};

use crate::event_card::moment_json;
use crate::inspect::UNREADABLE_EXIT;

/// Shows a file, writing lines to `data` and remarks to `beside`. Gives what to end with.
pub(crate) fn inspect(path: &Path, ids: bool, data: &mut dyn Write, beside: &mut dyn Write) -> io::Result<u8> {
    let file = match read(path) {
        Ok(file) => file,
        Err(what) => {
            writeln!(beside, "error: {}: {what}", path.display())?;
            return Ok(UNREADABLE_EXIT);
        }
    };
    let mut data = BufWriter::new(data);
    writeln!(data, "{}", event_json(&file))?;
    for part in file.sales() {
        writeln!(data, "{}", sale_json(&file, &part, ids))?;
    }
    for line in killed(&file) {
        writeln!(data, "{line}")?;
    }
    data.flush()?;
    Ok(0)
}

fn read(path: &Path) -> Result<EventFile, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("it has no name that can be read")?;
    let storage = FileStorage::open_read_only(folder).map_err(|error| error.to_string())?;
    let file = storage.open_read(name).map_err(|error| error.to_string())?;
    EventFile::read(file.as_ref()).map_err(|error| error.to_string())
}

fn event_json(file: &EventFile) -> Value {
    let event = file.event();
    let (settings, counts) = (event.settings(), event.counts());
    json!({
        "line": "event",
        "event": event.id().as_str(),
        // A number of 64 bits does not survive every JSON reader.
        "event_key": event.key().0.to_string(),
        "name": settings.display_name,
        "state": match settings.state {
            EventState::Draft => "draft",
            EventState::OnSale => "on_sale",
            EventState::Paused => "paused",
            EventState::OffSale => "off_sale",
            EventState::Cancelled => "cancelled",
        },
        "counts": { "open": counts.open, "held": counts.held, "sold": counts.sold, "killed": counts.killed },
        "plan_digest": event.plan().digest().to_string(),
        "plan_revision": event.plan_revision(),
        "starts_at": moment_json(settings.starts_at.0),
        "event_seq": file.event_seq,
        "position": file.position,
        "incarnation": file.incarnation,
        "instance": file.instance.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "time": moment_json(file.time().0),
    })
}

fn sale_json(file: &EventFile, part: &SoldPart, ids: bool) -> Value {
    let plan = file.event().plan();
    let hold_id = HoldId::from_halves((part.hold_id.0 >> 64) as u64, part.hold_id.0 as u64);
    let seats: Vec<&str> = part.seats.iter().map(|seat| plan.seat_key(seat.index)).collect();
    let ticket_types: Vec<u8> = part.seats.iter().map(|seat| seat.ticket_type).collect();
    let admission = |a: &inventory_core::place::Admission| {
        let key = plan.areas().get(usize::from(a.area)).map(|area| &*area.key);
        json!({ "key": key, "quantity": a.quantity, "ticket_type": a.ticket_type })
    };
    let mut json = json!({
        "line": "sale",
        "order_ref": part.order.as_str(),
        "hold_ref": hold_id.hold_ref().to_string(),
        "seats": seats,
        "ticket_types": ticket_types,
        "ga": part.admissions.iter().map(admission).collect::<Value>(),
    });
    if ids {
        json["hold_id"] = hold_id.to_string().into();
    }
    json
}

fn killed(file: &EventFile) -> impl Iterator<Item = Value> {
    let (event, plan) = (file.event(), file.plan());
    let seats = (0..plan.seat_count()).filter(|&seat| event.seat_state(seat) == PlaceState::Killed);
    let seats =
        seats.map(|seat| json!({ "line": "killed", "seat": plan.seat_key(seat), "reason": event.kill_reason(seat) }));
    let areas = (0_u16..).zip(plan.areas()).filter(|&(at, _)| event.area_counts(at).killed > 0);
    let areas = areas
        .map(|(at, area)| json!({ "line": "killed", "area": &*area.key, "quantity": event.area_counts(at).killed }));
    seats.chain(areas)
}
