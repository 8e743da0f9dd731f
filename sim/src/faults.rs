//! What breaks, and when: armed faults of the disk, want of space, and ends of the process or the machine.
//!
//! Not here: how the disk breaks (`disk.rs`), what is made of what is left (`fall.rs`).

use crate::{disk::Deceit, fall::Fall, options::Profile, violation::Violation, world::World};

impl World {
    pub(crate) fn arm_fault(&mut self) {
        let soon = self.random.within(1..=12);
        match self.options.profile {
            Profile::Error => self.disk.arm_failure(soon),
            Profile::Full => self.squeeze(),
            Profile::Liar => self.disk.deceive(Deceit { lies_permille: 200, ..Deceit::default() }),
            Profile::Lost => self.disk.deceive(Deceit { lost_permille: 30, ..Deceit::default() }),
            Profile::Misdirect => self.disk.deceive(Deceit { misdirected_permille: 30, ..Deceit::default() }),
            Profile::Mixed => match self.random.below(3) {
                0 => self.disk.arm_failure(soon),
                1 => self.squeeze(),
                _ => self.disk.arm_power_failure(soon),
            },
            _ => self.disk.arm_power_failure(soon),
        }
    }

    /// The disk gets full, or has room again.
    fn squeeze(&mut self) {
        let used: u64 = ["", engine::PLANS_DIR]
            .iter()
            .flat_map(|dir| {
                let names = wal::Storage::list(self.disk.folder(), dir).unwrap_or_default();
                names.into_iter().map(move |name| if dir.is_empty() { name } else { format!("{dir}/{name}") })
            })
            .map(|path| self.disk.folder().contents(&path).map_or(0, |content| content.len() as u64))
            .sum();
        let capacity = match self.random.below(4) {
            0 => None,
            1 => Some(used),
            2 => Some(used + self.random.below(self.options.segment_bytes)),
            _ => Some(used + self.random.below(5 * self.options.segment_bytes)),
        };
        self.disk.set_capacity(capacity);
    }

    pub(crate) fn fall(&mut self) -> Result<(), Violation> {
        match self.random.below(10) {
            0 => self.stop_cleanly(),
            1 | 2 => self.go_down(Fall::Death),
            3..6 => {
                let keep = self.keep();
                self.go_down(Fall::Power(keep))
            }
            // In the middle of what comes next.
            _ => {
                let soon = self.random.within(1..=8);
                self.disk.arm_power_failure(soon);
                self.burst()?;
                self.pump()
            }
        }
    }
}
