//! The watermark file.

/// Its name, in the root of the data folder.
pub const WATERMARK_NAME: &str = "WATERMARK";

/// How far the log was durable at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The last durable batch.
    pub durable_seq: u64,
    /// The last durable position.
    pub position: u64,
    /// When, by the log's clock.
    pub time_ms: u64,
    /// The incarnation that wrote it.
    pub incarnation: u64,
}
