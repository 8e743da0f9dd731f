//! Coordinates: decimal numbers, sums of them, and thousandths of a plan unit in the end.
//!
//! Invariants:
//!
//! - D1. A number is taken as the decimal its author wrote, so 1.0005 is a tie and rounds away from
//!   zero, though the nearest binary fraction lies below it.
//! - D2. Offsets are summed before rounding, which happens once.
//! - D3. No function of the platform's mathematics library: its last bit differs between machines,
//!   and with it a plan's digest. Mirrored angles give mirrored points.

use std::ops::{Add, AddAssign, Mul};

use serde_json::Number;

/// Units in 10^-15.
const SCALE: i128 = 1_000_000_000_000_000;
const PER_THOUSANDTH: i128 = SCALE / 1_000;
/// Nothing of a plan is farther away; sums and products of such stay far inside an i128.
const MAGNITUDE_MAX: f64 = 1e9;
const DEGREES: i128 = 360 * SCALE;

/// A decimal number of plan units or degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decimal(i128);

/// A place or an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) x: Decimal,
    pub(crate) y: Decimal,
}

impl Decimal {
    pub(crate) const fn whole(units: i64) -> Self {
        Self(units as i128 * SCALE)
    }

    /// None beyond a thousand million.
    pub(crate) fn from_number(number: &Number) -> Option<Self> {
        let float = number.as_f64()?;
        if float.is_nan() || float.abs() >= MAGNITUDE_MAX {
            return None;
        }
        if let Some(units) = number.as_i64() {
            return Some(Self::whole(units));
        }
        // The shortest decimal that reads as this float: the one in the document, up to 15 digits.
        let text = format!("{float}");
        let (negative, digits) = text.strip_prefix('-').map_or((false, &*text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut value = whole.parse::<i128>().ok()?.checked_mul(SCALE)?;
        let mut unit = SCALE;
        // Digits below 10^-15 are cut: towards zero, so no tie is made or unmade.
        for digit in fraction.bytes().take(15) {
            unit /= 10;
            value += i128::from(digit.wrapping_sub(b'0')) * unit;
        }
        Some(Self(if negative { -value } else { value }))
    }

    /// Half a thousandth rounds away from zero. None outside of i32.
    pub(crate) fn thousandths(self) -> Option<i32> {
        let half = PER_THOUSANDTH / 2;
        let value = if self.0 < 0 { self.0.saturating_sub(half) } else { self.0.saturating_add(half) };
        i32::try_from(value / PER_THOUSANDTH).ok()
    }

    pub(crate) const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// This part of a whole turn: the angle between `count` places around a table.
    pub(crate) fn turn_over(count: u32) -> Self {
        Self(DEGREES / i128::from(count.max(1)))
    }

    pub(crate) fn divided(self, by: usize) -> Self {
        Self(self.0 / by.max(1) as i128)
    }

    fn to_f64(self) -> f64 {
        self.0 as f64 / SCALE as f64
    }

    fn from_f64(value: f64) -> Self {
        // A thousandth of the final unit: what is lost here is below what the last rounding drops.
        Self((value * 1e6).round() as i128 * (SCALE / 1_000_000))
    }
}

impl Add for Decimal {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<i64> for Decimal {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(times)))
    }
}

impl Add for Position {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

impl AddAssign for Position {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<i64> for Position {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self { x: self.x * times, y: self.y * times }
    }
}

/// The point at `angle` degrees on a circle around the origin: 0 to the right, 90 downwards.
pub(crate) fn on_circle(radius: Decimal, angle: Decimal) -> Position {
    let (cosine, sine) = cosine_and_sine(angle.0.rem_euclid(DEGREES));
    let radius = radius.to_f64();
    Position { x: Decimal::from_f64(radius * cosine), y: Decimal::from_f64(radius * sine) }
}

/// Of an angle from 0 to 360. Each octant is folded onto the first exactly, before any float.
fn cosine_and_sine(angle: i128) -> (f64, f64) {
    const QUARTER: i128 = DEGREES / 4;
    let quarter = angle / QUARTER;
    let rest = angle % QUARTER;
    let (cosine, sine) = if rest <= QUARTER / 2 {
        (cosine_series(rest), sine_series(rest))
    } else {
        (sine_series(QUARTER - rest), cosine_series(QUARTER - rest))
    };
    match quarter {
        0 => (cosine, sine),
        1 => (-sine, cosine),
        2 => (-cosine, -sine),
        _ => (sine, -cosine),
    }
}

fn radians(angle: i128) -> f64 {
    angle as f64 / SCALE as f64 * (std::f64::consts::PI / 180.0)
}

/// Taylor, to 45 degrees: the first term left out is under 10^-17.
fn sine_series(angle: i128) -> f64 {
    let x = radians(angle);
    let mut term = x;
    let mut sum = x;
    for n in 1..9_u32 {
        term *= -x * x / f64::from(2 * n * (2 * n + 1));
        sum += term;
    }
    sum
}

fn cosine_series(angle: i128) -> f64 {
    let x = radians(angle);
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..9_u32 {
        term *= -x * x / f64::from((2 * n - 1) * 2 * n);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousandths(text: &str) -> Option<i32> {
        let number: Number = serde_json::from_str(text).expect("a number");
        Decimal::from_number(&number)?.thousandths()
    }

    #[test]
    fn a_half_thousandth_rounds_away_from_zero_as_it_was_written() {
        assert_eq!(thousandths("1.0005"), Some(1_001));
        assert_eq!(thousandths("-1.0005"), Some(-1_001));
        assert_eq!(thousandths("1.00049999"), Some(1_000));
        assert_eq!(thousandths("0.1"), Some(100));
        assert_eq!(thousandths("1e-7"), Some(0));
        assert_eq!(thousandths("-0.0"), Some(0));
        assert_eq!(thousandths("1.5e3"), Some(1_500_000));
        assert_eq!(thousandths("1261.05673144212"), Some(1_261_057));
    }

    #[test]
    fn what_does_not_fit_is_no_coordinate() {
        assert_eq!(thousandths("2147483.647"), Some(i32::MAX));
        assert_eq!(thousandths("-2147483.648"), Some(i32::MIN));
        assert_eq!(thousandths("2147483.6475"), None);
        assert_eq!(thousandths("1e300"), None);
        assert_eq!(thousandths("18446744073709551615"), None);
        assert_eq!(thousandths("-9223372036854775808"), None);
    }

    #[test]
    fn a_circle_is_round_and_its_mirror_images_are_exact() {
        let radius = Decimal::whole(1_000);
        for degree in 0..360 {
            let at = on_circle(radius, Decimal::whole(degree));
            let exact = (degree as f64).to_radians();
            assert!((at.x.to_f64() - 1_000.0 * exact.cos()).abs() < 1e-6, "{degree}");
            assert!((at.y.to_f64() - 1_000.0 * exact.sin()).abs() < 1e-6, "{degree}");
            let mirrored = on_circle(radius, Decimal::whole(-degree));
            assert_eq!((at.x, at.y * -1), (mirrored.x, mirrored.y), "{degree}");
            let across = on_circle(radius, Decimal::whole(180 - degree));
            assert_eq!((at.x * -1, at.y), (across.x, across.y), "{degree}");
        }
    }
}
