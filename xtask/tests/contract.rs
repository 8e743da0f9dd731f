//! Rules of the wire contract that the linter of the `.proto` files does not know.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the descriptors has failed")]

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// All messages of ours that callers send, with their full names.
fn requests() -> Vec<(String, DescriptorProto)> {
    let path = xtask::repository_root().join(xtask::codegen::GENERATED).join("descriptor.bin");
    let descriptors = FileDescriptorSet::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
    let files = descriptors.file.into_iter().filter(|file| file.package().starts_with("usher."));
    let messages: Vec<_> = files
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.message_type.into_iter().map(move |message| (format!(".{package}.{}", message.name()), message))
        })
        .collect();
    let session = messages.iter().find(|(name, _)| name.ends_with(".SessionRequest")).unwrap();
    let commands: Vec<_> = session.1.field.iter().map(|field| field.type_name().to_owned()).collect();
    let is_request = |name: &String| name.ends_with("Request") || commands.contains(name);
    messages.into_iter().filter(|(name, _)| is_request(name)).collect()
}

#[test]
fn requests_keep_tags_16_to_31_for_tenant_trace_and_cluster() {
    let requests = requests();
    assert!(requests.iter().any(|(name, _)| name.ends_with(".SessionHold")));
    for (name, message) in requests {
        // In descriptors the end of a range is not part of it.
        let kept = message.reserved_range.iter().any(|range| range.start() <= 16 && range.end() >= 32);
        assert!(kept, "{name} must reserve 16 to 31");
    }
}

#[test]
fn requests_of_the_sale_fit_tags_of_one_byte() {
    for (name, message) in requests().into_iter().filter(|(name, _)| name.starts_with(".usher.inventory.")) {
        let largest = message.field.iter().map(prost_types::FieldDescriptorProto::number).max();
        assert!(largest <= Some(15), "{name} has tag {largest:?}");
    }
}
