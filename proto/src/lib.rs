//! The wire contract of Usher as Rust types, one module for each protobuf package.
//!
//! The code under `gen/` is made from the `.proto` files of this crate by `cargo xtask codegen` and committed, so
//! that a build needs neither `protoc` nor a build script. Do not edit it by hand: a test makes it again and
//! compares.

pub mod codec;

/// Selling places: package `usher.inventory`.
pub mod inventory {
    /// Package `usher.inventory.v1`.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::allow_attributes_without_reason,
            reason = "generated: the generator decides the shape, the .proto files hold the documentation"
        )]
        include!("gen/usher.inventory.v1.rs");
    }
}

/// Preparing and running a sale: package `usher.admin`.
pub mod admin {
    /// Package `usher.admin.v1`.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::allow_attributes_without_reason,
            reason = "generated: the generator decides the shape, the .proto files hold the documentation"
        )]
        include!("gen/usher.admin.v1.rs");
    }
}

/// An encoded `google.protobuf.FileDescriptorSet` of all files and their imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");
