//! Image preprocessing, bit-exact against the references.
