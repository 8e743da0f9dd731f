//! Tokens of the pages of lists: where the next page begins, for one list of one event of this process alone.
//!
//! A token is the place and a check over it with a secret of this process. One that was made up, or by another process,
//! or for another list, does not check. It tells its holder nothing and gives no right.
//!
//! Not here: the list of events, whose tokens are names (`convert_admin.rs`).

use inventory_core::{ids::EventKey, order::Listed};
use proto::inventory::v1::Reason;
use rand::Rng as _;
use sha2::{Digest, Sha256};

use super::{
    convert_admin::from_hex,
    refusal::{Refusable, Refusal},
};

/// Bytes of the check.
const CHECK_BYTES: usize = 12;

/// Makes tokens and reads them.
#[derive(Debug)]
pub(crate) struct PageTokens {
    secret: [u8; 16],
}

impl PageTokens {
    /// With a new secret.
    pub(crate) fn new() -> PageTokens {
        let mut secret = [0; 16];
        rand::rng().fill_bytes(&mut secret);
        PageTokens { secret }
    }

    /// With a secret that is known.
    pub(crate) fn with_secret(secret: [u8; 16]) -> PageTokens {
        PageTokens { secret }
    }

    /// The token of the page that begins at `next`; empty for 0: there is none.
    pub(crate) fn token(&self, what: Listed, event: EventKey, next: u32) -> String {
        if next == 0 {
            return String::new();
        }
        let bytes = next.to_le_bytes().into_iter().chain(self.check(what, event, next));
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where the page of a token begins; 0 for none.
    pub(crate) fn from(&self, what: Listed, event: EventKey, token: &str) -> Refusable<u32> {
        if token.is_empty() {
            return Ok(0);
        }
        let invalid = || {
            let problem = "must be the next_page_token of the page before, of the same list, event and server process";
            Refusal::field(Reason::PageTokenInvalid, "page_token", problem)
        };
        let bytes = from_hex(token).ok_or_else(invalid)?;
        let (next, check) = bytes.split_first_chunk::<4>().ok_or_else(invalid)?;
        let next = u32::from_le_bytes(*next);
        if check == self.check(what, event, next) { Ok(next) } else { Err(invalid()) }
    }

    fn check(&self, what: Listed, event: EventKey, next: u32) -> [u8; CHECK_BYTES] {
        let list = match what {
            Listed::Holds => b"holds\0\0\0",
            Listed::Orders => b"orders\0\0",
        };
        let digest = Sha256::new()
            .chain_update(self.secret)
            .chain_update(list)
            .chain_update(event.0.to_le_bytes())
            .chain_update(next.to_le_bytes())
            .finalize();
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&digest[..CHECK_BYTES]);
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_list_its_event_and_its_process() {
        let (tokens, others) = (PageTokens::with_secret([1; 16]), PageTokens::with_secret([2; 16]));
        let (event, other) = (EventKey(7), EventKey(8));
        let token = tokens.token(Listed::Holds, event, 300);
        assert_eq!(tokens.from(Listed::Holds, event, &token).expect("our own"), 300);
        assert_eq!(tokens.from(Listed::Holds, event, "").expect("the first page"), 0);
        assert_eq!(tokens.token(Listed::Holds, event, 0), "");
        assert!(tokens.from(Listed::Orders, event, &token).is_err());
        assert!(tokens.from(Listed::Holds, other, &token).is_err());
        assert!(others.from(Listed::Holds, event, &token).is_err());
        let mut forged = token.clone();
        forged.replace_range(0..2, "2d");
        for wrong in ["x", "00", forged.as_str(), &token[2..], &token[..8], "\u{e9}\u{e9}"] {
            assert!(tokens.from(Listed::Holds, event, wrong).is_err(), "{wrong}");
        }
    }
}
