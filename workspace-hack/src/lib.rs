//! Nothing but a dependency list: see `.config/hakari.toml`.
