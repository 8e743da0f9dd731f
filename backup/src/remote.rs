//! A store behind a network: S3 and what speaks like it.
//!
//! Settings of the place come from the environment as other programs have them: `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` (another server than Amazon's), `AWS_ALLOW_HTTP=true` (one
//! without TLS). A put of more than one part appears when its last part is there; one that fails is taken back.
//!
//! The calls wait: one thread of a runtime does the work, and callers are threads that may wait.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use tokio::runtime::{Builder, Runtime};

use crate::location::LocationError;
use crate::store::{Fill, Listed, Store, StoreError};

/// A part of a put: S3 takes at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at a time: what bounds the memory of a put.
const PARTS_IN_FLIGHT: usize = 2;
/// Read at a time.
const READ_BYTES: u64 = 4 << 20;
/// A store that answers takes far less.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever calls tries again later by itself.
const RETRIES_MAX: usize = 3;
const RETRY_WITHIN: Duration = Duration::from_secs(20);

/// Objects of a bucket, below a prefix.
struct RemoteStore {
    url: String,
    prefix: String,
    objects: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
}

/// The store behind a URL.
pub(crate) fn open(url: &str) -> Result<Arc<dyn Store>, LocationError> {
    let failed = |why: String| LocationError(format!("{url}: {why}"));
    let Some(rest) = url.strip_prefix("s3://") else {
        return Err(failed("a URL of a store begins with s3:// or file://".to_owned()));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(failed("name a bucket, as in s3://bucket/prefix".to_owned()));
    }
    // The one that is chosen first stays; any does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
    // What the environment says of HTTP without TLS is among the options that would be replaced.
    let plain = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value == "true");
    let options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(plain);
    let objects = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_client_options(options)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("usher-store").enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(RemoteStore {
        url: url.trim_end_matches('/').to_owned(),
        prefix: prefix.trim_end_matches('/').to_owned(),
        objects: Arc::new(objects),
        runtime: Arc::new(runtime),
    }))
}

impl RemoteStore {
    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() { Path::from(name) } else { Path::from(format!("{}/{name}", self.prefix)) }
    }

    fn failed(&self, name: &str) -> impl FnOnce(object_store::Error) -> StoreError + use<> {
        let name = format!("{}/{name}", self.url);
        move |error| StoreError { name, source: io_error(error) }
    }
}

fn io_error(error: object_store::Error) -> io::Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl Store for RemoteStore {
    fn put(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut upload = Upload { store: self, path, head: Vec::new(), multipart: None };
        let filled = fill(&mut upload);
        let done = match filled {
            Ok(()) => upload.finish(),
            Err(error) => {
                upload.abort();
                Err(error)
            }
        };
        done.map_err(|source| StoreError { name: self.full_name(name), source })
    }

    fn get(&self, name: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        let path = self.path(name);
        let meta = self.runtime.block_on(self.objects.head(&path)).map_err(self.failed(name))?;
        Ok(Box::new(Download {
            objects: Arc::clone(&self.objects),
            runtime: Arc::clone(&self.runtime),
            path,
            offset: 0,
            bytes: meta.size,
            part: bytes::Bytes::new(),
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        use futures_util::TryStreamExt as _;
        // The service lists whole parts of names only; the rest of the prefix is compared here.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if folder.is_empty() { Path::from(self.prefix.as_str()) } else { self.path(folder) };
        let found = self.runtime.block_on(self.objects.list(Some(&folder)).try_collect::<Vec<_>>());
        let found = found.map_err(self.failed(prefix))?;
        let below = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let mut listed: Vec<Listed> = found
            .into_iter()
            .filter_map(|meta| {
                let name = meta.location.as_ref().strip_prefix(&below)?.to_owned();
                name.starts_with(prefix).then_some(Listed { name, bytes: meta.size })
            })
            .collect();
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.runtime.block_on(self.objects.delete(&self.path(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name)(error)),
        }
    }

    fn place(&self) -> String {
        self.url.clone()
    }
}

/// An object on its way. Short ones go in one call.
struct Upload<'a> {
    store: &'a RemoteStore,
    path: Path,
    head: Vec<u8>,
    multipart: Option<WriteMultipart>,
}

impl Upload<'_> {
    fn finish(self) -> io::Result<()> {
        let Upload { store, path, head, multipart } = self;
        match multipart {
            None => store.runtime.block_on(store.objects.put(&path, head.into())).map(drop),
            Some(upload) => store.runtime.block_on(upload.finish()).map(drop),
        }
        .map_err(io_error)
    }

    fn abort(self) {
        if let Some(upload) = self.multipart {
            // Parts without an object are nobody's; a rule of the bucket may remove them too.
            let _ = self.store.runtime.block_on(upload.abort());
        }
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Upload { store, path, head, multipart } = self;
        let upload = match multipart {
            None if head.len() + bytes.len() <= PART_BYTES => {
                head.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            None => {
                let begun = store.runtime.block_on(store.objects.put_multipart(path)).map_err(io_error)?;
                let _inside = store.runtime.enter();
                let upload = multipart.insert(WriteMultipart::new_with_chunk_size(begun, PART_BYTES));
                upload.write(&std::mem::take(head));
                upload
            }
            Some(upload) => upload,
        };
        store.runtime.block_on(upload.wait_for_capacity(PARTS_IN_FLIGHT)).map_err(io_error)?;
        let _inside = store.runtime.enter();
        upload.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An object being read, a range at a time.
struct Download {
    objects: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    path: Path,
    offset: u64,
    bytes: u64,
    part: bytes::Bytes,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && self.offset < self.bytes {
            let end = self.bytes.min(self.offset + READ_BYTES);
            let read = self.objects.get_range(&self.path, self.offset..end);
            self.part = self.runtime.block_on(read).map_err(io_error)?;
            self.offset = end;
        }
        let length = buffer.len().min(self.part.len());
        buffer[..length].copy_from_slice(&self.part.split_to(length));
        Ok(length)
    }
}
