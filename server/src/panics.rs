//! Panics of code that is called for others, turned into words.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Does something that may panic; the error is what the panic said.
///
/// What `work` changes must be whole after a panic in the middle of it, or be looked at by nobody.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(words)
}

fn words(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(words) => (*words).to_owned(),
            Err(panic) => {
                // Whatever else was thrown may panic once more when it is dropped, and nobody catches that.
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

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    #[test]
    fn every_panic_becomes_words_even_one_that_panics_when_it_is_dropped() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        let number = 7;
        assert_eq!(
            caught(|| panic!("number {number}")),
            Err::<(), _>("number 7".to_owned())
        );
        let thrown = caught(|| std::panic::panic_any(Bomb));
        assert_eq!(thrown, Err::<(), _>("no message".to_owned()));
    }
}
