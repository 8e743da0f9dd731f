//! Makes the Rust code of crate `proto` from its `.proto` files, without `protoc` and without the network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use prost::Message;

/// Where the committed code lies, below the root of the repository.
pub const GENERATED: &str = "proto/src/gen";

/// The descriptor set, beside the code.
const DESCRIPTOR: &str = "descriptor.bin";

/// Makes all code anew in place of what is committed.
///
/// # Errors
/// When a `.proto` file is wrong or a file cannot be written.
pub fn run(root: &Path) -> Result<()> {
    let committed = root.join(GENERATED);
    // Aside first: a wrong `.proto` file must not leave the crate without code.
    let aside = tempfile::tempdir()?;
    generate(root, aside.path())?;
    for name in stale_files(root, aside.path())? {
        let (from, to) = (aside.path().join(&name), committed.join(&name));
        if from.exists() {
            fs::create_dir_all(&committed)?;
            fs::copy(&from, &to).with_context(|| format!("write {}", to.display()))?;
        } else {
            fs::remove_file(&to).with_context(|| format!("remove {}", to.display()))?;
        }
        println!("{GENERATED}/{name}");
    }
    Ok(())
}

/// Fails when the committed code is not what the `.proto` files make.
///
/// # Errors
/// When it is not, or cannot be made.
pub fn check(root: &Path) -> Result<()> {
    let aside = tempfile::tempdir()?;
    generate(root, aside.path())?;
    let stale = stale_files(root, aside.path())?;
    if !stale.is_empty() {
        bail!("run `cargo xtask codegen`: {GENERATED} is stale in {}", stale.join(", "));
    }
    Ok(())
}

/// Makes all code into `out`, which is created if need be.
///
/// # Errors
/// When a `.proto` file is wrong or a file cannot be written.
pub fn generate(root: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let include = root.join("proto");
    let files = proto_files(&include)?;

    let mut compiler = protox::Compiler::new([&include])?;
    // Comments become documentation; imports are needed to resolve types, and by reflection.
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    let mut descriptors = compiler.file_descriptor_set();

    tonic_prost_build::configure()
        .out_dir(out)
        .emit_rerun_if_changed(false)
        // Seat maps and plan documents are large and are shared, not copied.
        .bytes(".")
        // Ordered, so that the same message always has the same bytes.
        .btree_map(".")
        // 8 KiB a call and direction by default, for messages of 100 bytes.
        .codec_path("crate::codec::LeanCodec")
        // Rare and large: keep the messages of the hot path small to move.
        .boxed(".usher.inventory.v1.SessionHold.best_available")
        .boxed(".usher.inventory.v1.SessionResponse.hold")
        .boxed(".usher.inventory.v1.SessionResponse.opened")
        .boxed(".usher.inventory.v1.SessionResponse.batch")
        .compile_fds(descriptors.clone())?;

    // Reflection does not serve comments, and they would be half of the bytes.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join(DESCRIPTOR), descriptors.encode_to_vec())?;
    Ok(())
}

/// Names of files that differ between the committed code and newly made code; empty when it is fresh.
///
/// # Errors
/// When a folder cannot be read.
pub fn stale_files(root: &Path, fresh: &Path) -> Result<Vec<String>> {
    let committed = root.join(GENERATED);
    let mut names = file_names(&committed)?;
    names.extend(file_names(fresh)?);
    names.sort();
    names.dedup();
    names.retain(|name| fs::read(committed.join(name)).ok() != fs::read(fresh.join(name)).ok());
    Ok(names)
}

fn file_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if !folder.exists() {
        return Ok(names);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// All `.proto` files below `include`, relative to it and sorted, so that the result does not depend on the order
/// in which a file system lists a folder.
fn proto_files(include: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![include.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        bail!("no .proto file below {}", include.display());
    }
    files.sort();
    Ok(files)
}
