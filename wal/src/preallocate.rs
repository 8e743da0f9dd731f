//! Segments made ready before they are needed.

/// Who prepares the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preallocate {
    /// The writer itself, at the moment it rotates: every operation happens in a known order.
    Inline,
    /// A thread of its own, ahead of time.
    Background,
}
