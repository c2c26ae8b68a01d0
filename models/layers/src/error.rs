//! What can be wrong with a checkpoint, said with the tensor and the file it was found in.

/// Why a checkpoint could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder holds neither one safetensors file nor an index of several.
    #[error(
        "no weights in {place}: expected `model.safetensors` or `model.safetensors.index.json`"
    )]
    NoWeights {
        /// The folder, or "the files in memory".
        place: String,
    },
    /// A file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Path of the file.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not safetensors, is cut short, or its header contradicts itself.
    #[error("{file} is not a usable safetensors file: {reason}")]
    BadFile {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The index names a shard that is not there.
    #[error("the weight index lists shard {shard}, which is not there: the download is incomplete")]
    MissingShard {
        /// File name in the index.
        shard: String,
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
    #[error("tensor {name} is missing from the checkpoint (expected shape {expected:?})")]
    Missing {
        /// Full name, with prefix.
        name: String,
        /// Shape the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor {name} has shape {found:?} where the configuration asks for {expected:?}")]
    Shape {
        /// Full name, with prefix.
        name: String,
        /// Shape the configuration asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not read.
    #[error("tensor {name} is stored as {found}; F32, F16 and BF16 are read")]
    Type {
        /// Full name, with prefix.
        name: String,
        /// Type in the file.
        found: String,
    },
    /// The checkpoint holds tensors that no part of the network asked for.
    #[error(
        "{} tensors of the checkpoint belong to no part of this network, the first ones: {}",
        .names.len(),
        .names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
    )]
    LeftOver {
        /// Their names, sorted.
        names: Vec<String>,
    },
}
