//! Transformer layers shared by the networks, and checkpoint reading.
