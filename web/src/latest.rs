//! At most one request in flight, and the newest wins.
//!
//! The next request is made from the state at the time of the answer, so all changes in between cost one request. A fast
//! stream or a quick user never queues up work.

/// The request in flight, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest<R> {
    last_id: u64,
    in_flight: Option<(u64, R)>,
}

impl<R> Default for Latest<R> {
    fn default() -> Self {
        Self::after(0)
    }
}

impl<R> Latest<R> {
    /// Numbers the requests from `id + 1`.
    #[must_use]
    pub fn after(id: u64) -> Self {
        Self {
            last_id: id,
            in_flight: None,
        }
    }

    /// True if the next request can be sent.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Puts a request in flight and returns its number; `None` while another one is in flight.
    pub fn send(&mut self, request: R) -> Option<u64> {
        if !self.is_free() {
            return None;
        }
        self.last_id += 1;
        self.in_flight = Some((self.last_id, request));
        Some(self.last_id)
    }

    /// Ends the request with this number and returns it; `None` for an answer that is not awaited.
    pub fn answered(&mut self, id: u64) -> Option<R> {
        self.in_flight
            .take_if(|(in_flight, _)| *in_flight == id)
            .map(|(_, request)| request)
    }

    /// Drops the request in flight, whose answer will not come.
    pub fn reset(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_in_flight_and_only_its_answer_counts() {
        let mut latest = Latest::after(10);
        assert_eq!(latest.send('a'), Some(11));
        assert_eq!(latest.send('b'), None);
        assert_eq!(latest.answered(12), None);
        assert!(!latest.is_free());
        assert_eq!(latest.answered(11), Some('a'));
        assert_eq!(latest.answered(11), None);
        assert_eq!(latest.send('c'), Some(12));
        latest.reset();
        assert_eq!(latest.answered(12), None);
        assert_eq!(latest.send('d'), Some(13));
    }
}
