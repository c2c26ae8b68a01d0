//! A name for weights by what is in them.

use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Seek, SeekFrom};

/// Files up to this size go in whole.
const WHOLE_BYTES: u64 = 4 << 20;
/// Of larger ones the beginning (the header with the tensors' names), and samples all the way to the end: two
/// checkpoints may share a header, and the parts that their training left alone.
const BEGINNING_BYTES: u64 = 1 << 20;
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;

/// Collects files into an id.
pub(super) struct Id(Sha256);

impl Id {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    /// The next file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn add(
        &mut self,
        name: &str,
        bytes: u64,
        content: &mut (impl Read + Seek),
    ) -> io::Result<()> {
        let Self(hash) = self;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(bytes.to_le_bytes());
        if bytes <= WHOLE_BYTES {
            return sample(hash, content, 0, bytes);
        }
        sample(hash, content, 0, BEGINNING_BYTES)?;
        let last = bytes - SAMPLE_BYTES;
        for place in 1..=SAMPLES {
            // The last sample ends where the file does. Split so that no product overflows.
            let from = last / SAMPLES * place + last % SAMPLES * place / SAMPLES;
            sample(hash, content, from, SAMPLE_BYTES)?;
        }
        Ok(())
    }

    /// The first half of the hash in hexadecimal.
    pub(super) fn finish(self) -> String {
        let Self(hash) = self;
        hash.finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn sample(
    hash: &mut Sha256,
    content: &mut (impl Read + Seek),
    from: u64,
    bytes: u64,
) -> io::Result<()> {
    content.seek(SeekFrom::Start(from))?;
    let mut taken = Vec::new();
    content.take(bytes).read_to_end(&mut taken)?;
    if taken.len() as u64 != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    hash.update(&taken);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::io::Cursor;

    fn id(name: &str, content: &[u8]) -> String {
        let mut id = Id::new();
        id.add(name, content.len() as u64, &mut Cursor::new(content))
            .unwrap();
        id.finish()
    }

    #[test]
    fn every_byte_of_small_files_and_samples_of_large_ones_make_the_id() {
        let small = vec![7; 1000];
        let own = id("a", &small);
        assert_eq!(own.len(), 32);
        assert_eq!(own, id("a", &small));
        assert_ne!(own, id("b", &small));
        assert_ne!(own, id("a", &small[1..]));
        let mut other = small.clone();
        other[777] = 8;
        assert_ne!(own, id("a", &other));

        let large = vec![7; 5 << 20];
        let own = id("a", &large);
        for place in [0, (1 << 20) - 1, (5 << 20) - 1, (5 << 20) - (16 << 10)] {
            let mut other = large.clone();
            other[place] = 8;
            assert_ne!(own, id("a", &other), "{place}");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let mut id = Id::new();
        assert!(id.add("a", 11, &mut Cursor::new([0; 10])).is_err());
    }
}
