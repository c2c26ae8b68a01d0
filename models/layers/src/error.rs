//! Errors of a checkpoint, with the tensor and the file concerned.

/// A checkpoint could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder holds neither one safetensors file nor an index of several.
    #[error(
        "no weights in {place}: expected `model.safetensors` or `model.safetensors.index.json`{instead}"
    )]
    NoWeights {
        /// The folder, or "the files in memory".
        place: String,
        /// The files found in their place and the remedy, or nothing.
        instead: String,
    },
    /// A file that is not what its name says, or that is too large to be that.
    #[error(transparent)]
    Read(#[from] field_files::ReadError),
    /// A file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file is not safetensors, is cut short, or its header contradicts itself; or an index is none.
    #[error("{file} is not a usable {kind}: {reason}")]
    BadFile {
        /// Name of the file.
        file: String,
        /// The expected kind of file.
        kind: &'static str,
        /// The problem with it.
        reason: String,
    },
    /// Shards are not there.
    #[error(
        "{} of {of} weight files that {listed} are not there: {}{unfinished}. The download is incomplete: get them \
         again", .missing.len(), few(.missing)
    )]
    MissingShards {
        /// The origin of the list: `model.safetensors.index.json lists`, or the names of the other shards.
        listed: String,
        /// Their file names, sorted.
        missing: Vec<String>,
        /// Number of shards of the checkpoint.
        of: usize,
        /// Sentence about unfinished downloads in the folder, or nothing.
        unfinished: String,
    },
    /// The index and the shards disagree.
    #[error(
        "{index}: tensor {name} {problem}. The index belongs to another build of this checkpoint, or a weight file does; \
         get both again from one place"
    )]
    Index {
        /// The index file.
        index: String,
        /// The tensor.
        name: String,
        /// The contradiction.
        problem: String,
    },
    /// Two shards hold a tensor of the same name.
    #[error("tensor {name} is in both {first} and {second}")]
    Duplicate {
        /// The tensor.
        name: String,
        /// Shard read first.
        first: String,
        /// Shard read second.
        second: String,
    },
    /// The network needs a tensor the checkpoint does not have.
    #[error(
        "tensor {name} is missing from the safetensors files of {place} (expected shape {expected:?})"
    )]
    Missing {
        /// Full name, with prefix.
        name: String,
        /// The folder, or "the files in memory".
        place: String,
        /// Shape required by the configuration.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "tensor {name} in {file} has shape {found:?} where the configuration asks for {expected:?}"
    )]
    Shape {
        /// Full name, with prefix.
        name: String,
        /// The file that holds it.
        file: String,
        /// Shape required by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type other than F32, F16 and BF16.
    #[error("tensor {name} in {file} is stored as {found}; F32, F16 and BF16 are read")]
    Type {
        /// Full name, with prefix.
        name: String,
        /// The file that holds it.
        file: String,
        /// Type in the file.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error(
        "tensor {name} in {file} holds a value that is not a finite number: the file is damaged"
    )]
    NotFinite {
        /// Full name, with prefix.
        name: String,
        /// The file that holds it.
        file: String,
    },
    /// A tensor holds a value that no network has: a bit of its exponent was turned over.
    #[error(
        "tensor {name} in {file} holds the value {value:e}, which no weight is: the file is damaged"
    )]
    Implausible {
        /// Full name, with prefix.
        name: String,
        /// The file that holds it.
        file: String,
        /// The first such value.
        value: f32,
    },
    /// A weight is too large for the requested precision.
    #[error("tensor {name} holds weights beyond the range of {precision}; load it as bf16 or f32")]
    OutOfRange {
        /// Full name, with prefix.
        name: String,
        /// The precision.
        precision: crate::precision::Precision,
    },
    /// The device cannot compute in the requested precision.
    #[error(transparent)]
    Precision(#[from] crate::precision::PrecisionError),
    /// The checkpoint holds tensors that no part of the network took.
    #[error(
        "{} tensors in the safetensors files of {place} belong to no part of this network, the first ones: {}",
        .names.len(),
        .names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
    )]
    LeftOver {
        /// The folder, or "the files in memory".
        place: String,
        /// Their names, sorted.
        names: Vec<String>,
    },
}

/// The first of some names, as a sentence lists them.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let first = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
