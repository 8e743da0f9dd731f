//! Checkpoints, and the images of slots in them.

use std::sync::Arc;

use inventory_core::{
    ids::{PlanDigest, SlotIndex},
    image,
    plan::Plan,
    slot::{Plans, SlotConfig},
};
use wal::{CheckpointReader, MemoryStorage, fuzz};

use crate::plans::house;

/// A name that says nothing of what is inside.
const NAME: &str = "checkpoint";

/// A whole checkpoint file, its checksums made right.
pub(crate) fn checkpoints(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    fuzz::repair_checkpoint(&mut file);
    let disk = MemoryStorage::new();
    disk.put(NAME, file);
    let Ok(reader) = CheckpointReader::open(&disk, NAME) else { return };
    let whole = reader.verify_all().is_ok();
    for tag in reader.sections() {
        match reader.read_section(tag) {
            Ok(section) => images(&section),
            Err(_) => assert!(!whole, "a checkpoint that verifies cannot be read"),
        }
    }
}

/// Whatever plan an image names, it is this one.
struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

/// The image of a slot: one that is believed is a state that holds together, and has one image.
pub(crate) fn images(bytes: &[u8]) {
    let named = image::plans_of(bytes);
    let index = SlotIndex(bytes.get(6).copied().unwrap_or(0));
    let config = SlotConfig { seed: 0, tombstones_max: 1_024 };
    let Ok(slot) = image::decode_slot(bytes, index, config, &OnePlan(house())) else { return };
    assert!(named.is_ok(), "an image that decodes and does not say which plans it needs");
    slot.assert_valid();
    let mut again = Vec::new();
    image::encode_slot(&slot, &mut again);
    let same = image::decode_slot(&again, index, config, &OnePlan(house())).expect("what was encoded decodes");
    assert_eq!(same.hash(), slot.hash());
    let mut third = Vec::new();
    image::encode_slot(&same, &mut third);
    assert_eq!(again, third, "one state has one image");
}
