//! The codec of all our services: prost, with buffers of the size our messages have.
//!
//! The default takes 8 KiB to encode and 8 KiB to decode for every call before the first byte is known.
//! A Hold and its answer are about 100 bytes each way. Larger messages let the buffers grow.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Bytes that a call's buffers begin with.
const BUFFER_BYTES: usize = 512;
/// A stream hands over what it has encoded when it is so much: the default.
const YIELD_BYTES: usize = 32 << 10;

/// Prost messages: `T` out, `U` in.
#[derive(Clone, Copy, Debug)]
pub struct LeanCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for LeanCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for LeanCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }
}
