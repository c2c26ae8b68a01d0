//! Fingerprint of a scorer's files, by their names and contents.

use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Seek, SeekFrom};

/// Files up to this size are hashed completely.
const FULL_HASH_BYTES: u64 = 4 << 20;
/// Bytes hashed at the beginning of a larger file: the header with the tensor names. Two checkpoints may share the header
/// and every tensor that training left unchanged, so samples up to the end of the file are hashed as well.
const HEADER_BYTES: u64 = 1 << 20;
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;

/// Hash over files, in order.
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a file.
    ///
    /// # Errors
    /// The file cannot be read, or ends early.
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
        if bytes <= FULL_HASH_BYTES {
            return sample(hash, content, 0, bytes);
        }
        sample(hash, content, 0, HEADER_BYTES)?;
        let last = bytes - SAMPLE_BYTES;
        for index in 1..=SAMPLES {
            // The last sample ends where the file does. Split so that no product overflows.
            let from = last / SAMPLES * index + last % SAMPLES * index / SAMPLES;
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

    fn fingerprint_of(name: &str, content: &[u8]) -> String {
        let mut fingerprint = Fingerprint::new();
        fingerprint
            .add(name, content.len() as u64, &mut Cursor::new(content))
            .unwrap();
        fingerprint.finish()
    }

    #[test]
    fn small_files_are_hashed_completely_and_large_ones_by_samples() {
        let small = vec![7; 1000];
        let original = fingerprint_of("a", &small);
        assert_eq!(original.len(), 32);
        assert_eq!(original, fingerprint_of("a", &small));
        assert_ne!(original, fingerprint_of("b", &small));
        assert_ne!(original, fingerprint_of("a", &small[1..]));
        let mut other = small.clone();
        other[777] = 8;
        assert_ne!(original, fingerprint_of("a", &other));

        let large = vec![7; 5 << 20];
        let original = fingerprint_of("a", &large);
        for index in [0, (1 << 20) - 1, (5 << 20) - 1, (5 << 20) - (16 << 10)] {
            let mut other = large.clone();
            other[index] = 8;
            assert_ne!(original, fingerprint_of("a", &other), "{index}");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let mut fingerprint = Fingerprint::new();
        assert!(fingerprint.add("a", 11, &mut Cursor::new([0; 10])).is_err());
    }
}
