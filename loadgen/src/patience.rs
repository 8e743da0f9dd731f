use std::future::Future;
use std::time::{Duration, Instant};

use client::Error;
use rand::RngExt;

/// Longest pause between two knocks on a server that is away.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long a buyer keeps asking while the server is away. The client's own retries are over in seconds; a restart
/// may take longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(pub(crate) Duration);

impl Patience {
    /// Asks until there is an answer: a success, or a refusal that asking again would not change. The question must
    /// be the same each time, ids included.
    pub(crate) async fn ask<T, Fut>(self, mut ask: impl FnMut() -> Fut) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        // Whether any answer so far left it open that the command was done.
        let mut unknown = None;
        loop {
            let error = match ask().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !error.is_retryable() && !matches!(error, Error::Deadline { .. }) {
                return Err(error);
            }
            if error.outcome_unknown() {
                unknown = Some(error.clone());
            }
            if started.elapsed() >= self.0 {
                return Err(unknown.unwrap_or(error));
            }
            let pause = rand::rng().random_range(Duration::ZERO..PAUSE_MAX);
            tokio::time::sleep(pause.max(error.retry_after().unwrap_or_default())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::{Executed, Reason};
    use proto::inventory::v1::SessionResponse;

    fn overloaded() -> Error {
        Error::from_session(&SessionResponse {
            reason: Reason::Overloaded as i32,
            executed: Executed::False as i32,
            ..SessionResponse::default()
        })
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn it_asks_again_until_an_answer_comes() {
        let mut asked = 0;
        let answer = run(Patience(Duration::from_secs(60)).ask(|| {
            asked += 1;
            let result = if asked < 2 { Err(overloaded()) } else { Ok(asked) };
            async move { result }
        }));
        assert!(matches!(answer, Ok(2)));
    }

    #[test]
    fn when_patience_ends_an_unknown_outcome_is_told_even_if_the_last_answer_was_no() {
        let mut asked = 0;
        let answer: Result<(), _> = run(Patience(Duration::from_millis(1)).ask(|| {
            asked += 1;
            let error = if asked == 1 { Error::Deadline { executed: Executed::Unknown } } else { overloaded() };
            async move { Err(error) }
        }));
        assert!(answer.is_err_and(|error| error.outcome_unknown()));
    }

    #[test]
    fn a_refusal_is_final() {
        let refused = Error::from_session(&SessionResponse {
            reason: Reason::PlacesUnavailable as i32,
            ..SessionResponse::default()
        });
        let mut asked = 0;
        let answer: Result<(), _> = run(Patience(Duration::from_secs(60)).ask(|| {
            asked += 1;
            let refused = refused.clone();
            async move { Err(refused) }
        }));
        assert!(answer.is_err());
        assert_eq!(asked, 1);
    }
}
