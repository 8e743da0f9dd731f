//! RESP2, the protocol of Redis: commands written, replies read. No more than the driver needs.
//!
//! A reply is read from the front of a buffer, and only when all of it is there. Integers and statuses, nearly all of
//! what a run gets, allocate nothing or next to it.
//!
//! Not here: sockets (`redis.rs`).

use anyhow::{Context, Result, bail};

/// What Redis answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(String),
    /// `-ERR …`
    Error(String),
    /// `:42`
    Integer(i64),
    /// `$3\r\nabc`
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`
    Nil,
    /// `*2 …`
    Array(Vec<Reply>),
}

/// Appends the head of a command of so many words.
pub fn put_head(out: &mut Vec<u8>, words: usize) {
    put_length(out, b'*', words);
}

/// Appends one word.
pub fn put_word(out: &mut Vec<u8>, word: &[u8]) {
    put_length(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number as a word.
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; DIGITS_MAX];
    put_word(out, decimal(number, &mut digits));
}

/// Appends a whole command.
pub fn put_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    put_head(out, words.len());
    words.iter().for_each(|word| put_word(out, word));
}

/// The reply at the front and how many bytes it takes; nothing when more must be read first.
///
/// # Errors
/// When this is not RESP2.
pub fn read_reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let (Some(&kind), line, body) = (bytes.first(), bytes.get(1..end).unwrap_or_default(), end + 2) else {
        return Ok(None);
    };
    match kind {
        b'+' => Ok(Some((Reply::Status(text(line)), body))),
        b'-' => Ok(Some((Reply::Error(text(line)), body))),
        b':' => Ok(Some((Reply::Integer(integer(line)?), body))),
        b'$' => {
            let Ok(length) = usize::try_from(integer(line)?) else { return Ok(Some((Reply::Nil, body))) };
            if bytes.len() < body + length + 2 {
                return Ok(None);
            }
            Ok(Some((Reply::Bulk(bytes[body..body + length].to_vec()), body + length + 2)))
        }
        b'*' => {
            let Ok(count) = usize::try_from(integer(line)?) else { return Ok(Some((Reply::Nil, body))) };
            let (mut items, mut at) = (Vec::new(), body);
            for _ in 0..count {
                let Some((item, length)) = read_reply(&bytes[at..])? else { return Ok(None) };
                items.push(item);
                at += length;
            }
            Ok(Some((Reply::Array(items), at)))
        }
        other => bail!("a reply of Redis begins with byte {other}"),
    }
}

/// Digits of the largest number.
const DIGITS_MAX: usize = 20;

fn put_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    let mut digits = [0; DIGITS_MAX];
    out.push(kind);
    out.extend_from_slice(decimal(length as u64, &mut digits));
    out.extend_from_slice(b"\r\n");
}

/// By hand, as the formatter would be a good part of what the driver does for a command.
fn decimal(mut number: u64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn integer(line: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(line).context("a number in a reply of Redis")?;
    text.parse().with_context(|| format!("a number in a reply of Redis: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_words() {
        let mut out = Vec::new();
        put_command(&mut out, &[b"SET", b"{e1}:taken", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$10\r\n{e1}:taken\r\n$0\r\n\r\n");
        out.clear();
        [0, 7, 10, u64::MAX].into_iter().for_each(|number| put_number(&mut out, number));
        assert_eq!(out, b"$1\r\n0\r\n$1\r\n7\r\n$2\r\n10\r\n$20\r\n18446744073709551615\r\n");
    }

    #[test]
    fn every_kind_of_reply_is_read_and_its_length_told() {
        let cases: [(&[u8], Reply); 8] = [
            (b"+OK\r\n", Reply::Status("OK".to_owned())),
            (b"-ERR no\r\n", Reply::Error("ERR no".to_owned())),
            (b":1764312345678\r\n", Reply::Integer(1_764_312_345_678)),
            (b":-1\r\n", Reply::Integer(-1)),
            (b"$4\r\na\r\nb\r\n", Reply::Bulk(b"a\r\nb".to_vec())),
            (b"$-1\r\n", Reply::Nil),
            (b"*0\r\n", Reply::Array(Vec::new())),
            (
                b"*2\r\n$1\r\n0\r\n*1\r\n:5\r\n",
                Reply::Array(vec![Reply::Bulk(b"0".to_vec()), Reply::Array(vec![Reply::Integer(5)])]),
            ),
        ];
        for (bytes, reply) in cases {
            let more = [bytes, b":9\r\n"].concat();
            assert_eq!(read_reply(&more).expect("RESP2"), Some((reply, bytes.len())));
        }
    }

    #[test]
    fn a_reply_that_is_cut_anywhere_is_not_read() {
        let whole = b"*3\r\n$4\r\na\r\nb\r\n:12\r\n+OK\r\n";
        for cut in 0..whole.len() {
            assert_eq!(read_reply(&whole[..cut]).expect("the begin of RESP2"), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        assert!(read_reply(b"HTTP/1.1 400\r\n").is_err());
        assert!(read_reply(b":many\r\n").is_err());
    }
}
