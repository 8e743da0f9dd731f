//! Commands and answers in words, short enough for a report.

use super::*;

/// A plan by its digest alone.
pub(crate) fn show_command(command: &Command) -> String {
    let plan = |plan: &Arc<Plan>| plan.digest().0[0];
    match command {
        Command::CreateEvent(create) => format!("CreateEvent plan {} {:?}", plan(&create.plan), create.settings),
        Command::UpdateEvent(update) => {
            let number = update.plan.as_ref().map(plan);
            format!("UpdateEvent plan {number:?} {:?}", UpdateEvent { plan: None, ..(**update).clone() })
        }
        Command::SetPriceLevel(set) => {
            let number = set.plan.as_ref().map(plan);
            format!("plan {number:?} {:?}", SetPriceLevel { plan: None, ..(**set).clone() })
        }
        other => show(other),
    }
}

/// Which command got which kind of answer.
pub(crate) fn kind_of(command: &Command, answer: &Result<Answer, Reject>) -> String {
    let first_word = |text: String| text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    let command = match command {
        Command::Hold(hold) if hold.replace.is_some() => "Hold (replace)".to_owned(),
        Command::Confirm(confirm) if !confirm.part.is_whole() => "Confirm (part)".to_owned(),
        Command::Confirm(confirm) if confirm.allow_reclaim => "Confirm (reclaim)".to_owned(),
        Command::Release(release) if !release.part.is_whole() => "Release (part)".to_owned(),
        Command::Release(release) if release.abort_payment => "Release (abort)".to_owned(),
        Command::Kill(kill) if kill.force => "Kill (force)".to_owned(),
        Command::ReturnPlaces(command) if command.places.is_empty() => "ReturnPlaces (all)".to_owned(),
        Command::ReturnPlaces(command) if command.to == ReturnTo::Killed => "ReturnPlaces (killed)".to_owned(),
        Command::Exchange(exchange) if matches!(exchange.take, Take::Hold(_)) => "Exchange (hold)".to_owned(),
        Command::SetPriceLevel(set) if set.validate_only => "SetPriceLevel (validate)".to_owned(),
        Command::UpdateEvent(update) if update.plan.is_some() => "UpdateEvent (plan)".to_owned(),
        Command::Hold(hold) if !hold.allocations.keys.is_empty() => "Hold (keys)".to_owned(),
        Command::RemoveAllocation(remove) if remove.places.is_empty() => "RemoveAllocation (all)".to_owned(),
        Command::Cart(step) => first_word(format!("{step:?}")),
        other => first_word(format!("{other:?}")),
    };
    let answer = match answer {
        Ok(Answer::Hold { replayed, view }) => {
            let arrangement =
                if view.arrangement as u8 > 0 { format!(" {:?}", view.arrangement) } else { String::new() };
            let lost = if view.places_lost > 0 { " with places lost" } else { "" };
            let cause = if view.cause == HoldCause::Killed { " killed" } else { "" };
            format!("{:?}{arrangement}{lost}{cause}{}", view.state, if *replayed { " replayed" } else { "" })
        }
        Ok(Answer::Allocations { .. }) => "told".to_owned(),
        Ok(Answer::Verdict { verdict }) => format!("{verdict:?}"),
        Ok(Answer::Suggested { options }) => {
            let kinds: Vec<String> = options.iter().map(|option| format!("{:?}", option.arrangement)).collect();
            kinds.join(" ")
        }
        Ok(Answer::Explained { outcome, left_alone }) => {
            let outcome = match outcome {
                Ok(grant) => format!("granted {:?}", grant.arrangement),
                Err(reject) => first_word(format!("{reject:?}")),
            };
            format!("{outcome}{}", if left_alone.is_empty() { "" } else { " left alone" })
        }
        Ok(Answer::Event { replayed }) => format!("done{}", if *replayed { " replayed" } else { "" }),
        Ok(Answer::Touched { touched, replayed }) => {
            let holds = if touched.holds.is_empty() { "" } else { " of holds" };
            format!("touched{holds}{}", if *replayed { " replayed" } else { "" })
        }
        Ok(Answer::Order { parts }) => format!("{} parts", parts.len().min(3)),
        Ok(Answer::Page { holds, parts }) => format!("{} listed", (holds.len() + parts.len()).min(4)),
        Err(reject) => {
            let executed = if reject.executed() { " executed" } else { "" };
            let lost = match reject {
                Reject::HoldExpired { places_lost, .. } if !places_lost.is_empty() => " lost",
                Reject::PlacesUnavailable { places } if places.is_empty() => " naming none",
                _ => "",
            };
            format!("{}{executed}{lost}", first_word(format!("{reject:?}")))
        }
    };
    format!("{command}: {answer}")
}

/// Short enough to read.
pub(crate) fn show<T: std::fmt::Debug>(what: &T) -> String {
    let text = format!("{what:?}");
    if text.len() > 1_500 { format!("{} ...", text.chars().take(1_500).collect::<String>()) } else { text }
}
