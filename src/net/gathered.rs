//! A body put together from its frames, for client and server alike.

use hyper::body::Bytes;

/// A body being collected. One frame, the common case, is never copied.
pub(crate) enum Gathered {
    /// Nothing yet.
    Nothing,
    /// One frame, as it came.
    One(Bytes),
    /// Several frames, joined.
    Joined(Vec<u8>),
}

impl Gathered {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(bytes) => bytes.len(),
            Self::Joined(joined) => joined.len(),
        }
    }

    /// Adds a frame; `expected` is the length the peer announced, 0 if none.
    pub(crate) fn and(self, data: Bytes, expected: usize) -> Self {
        match self {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut joined = Vec::with_capacity(expected.max(first.len() + data.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                Self::Joined(joined)
            }
            Self::Joined(mut joined) => {
                joined.extend_from_slice(&data);
                Self::Joined(joined)
            }
        }
    }
}

impl From<Gathered> for Bytes {
    fn from(gathered: Gathered) -> Self {
        match gathered {
            Gathered::Nothing => Self::new(),
            Gathered::One(bytes) => bytes,
            Gathered::Joined(joined) => joined.into(),
        }
    }
}
