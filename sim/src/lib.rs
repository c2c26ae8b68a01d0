//! The built-in simulated robot.
