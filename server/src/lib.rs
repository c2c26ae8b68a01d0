//! One binary: hosts the policy, bridges robots, serves the page.
