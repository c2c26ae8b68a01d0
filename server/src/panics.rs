//! Panics of callbacks and models, turned into error messages.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs code that may panic. The error is the message of the panic.
///
/// Data that `work` modifies must be consistent after a panic at any point, or must not be used afterwards.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(message)
}

fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(panic) => {
                // Dropping any other payload may panic again, outside `catch_unwind`.
                std::mem::forget(panic);
                "no message".to_owned()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("again");
        }
    }

    #[test]
    fn every_panic_becomes_a_message_even_one_whose_payload_panics_when_it_is_dropped() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        let number = 7;
        assert_eq!(
            caught(|| panic!("number {number}")),
            Err::<(), _>("number 7".to_owned())
        );
        let result = caught(|| std::panic::panic_any(PanicsOnDrop));
        assert_eq!(result, Err::<(), _>("no message".to_owned()));
    }
}
