//! The browser's compute worker.
