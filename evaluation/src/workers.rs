//! Episodes shared between workers, one thread each.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// Runs every episode on whichever worker is free. `done` gets the number of finished episodes after each.
/// The outcomes come in the order of the episodes: threads finish in any order, and a mean depends on the order of its
/// terms.
///
/// # Errors
/// The first error of `run` ends the evaluation; `crashed` is the error when a thread panics.
pub(crate) fn run_all<W, E, O, F>(
    workers: impl IntoIterator<Item = W>,
    episodes: &[E],
    run: impl Fn(&mut W, &E) -> Result<O, F> + Sync,
    done: &(dyn Fn(usize) + Sync),
    crashed: impl Fn() -> F,
) -> Result<Vec<O>, F>
where
    W: Send,
    E: Sync,
    O: Send,
    F: Send,
{
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, O)>> = Mutex::default();
    let outcome_of = |worker: &mut W, place: usize, episode: &E| {
        // After an error the other threads stop behind their current episode.
        let outcome =
            run(worker, episode).inspect_err(|_| next.store(usize::MAX / 2, Ordering::Relaxed))?;
        outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((place, outcome));
        done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    };
    std::thread::scope(|scope| {
        let (next, outcome_of) = (&next, &outcome_of);
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(episode) = episodes.get(place) else {
                            return Ok(());
                        };
                        outcome_of(&mut worker, place, episode)?;
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(crashed())))
    })?;
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(place, _)| *place);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::run_all;

    #[test]
    fn outcomes_come_in_the_order_of_the_episodes() {
        let episodes: Vec<u64> = (0..50).collect();
        let run = |worker: &mut u64, episode: &u64| {
            std::thread::sleep(std::time::Duration::from_micros(
                *worker * (episode % 3) * 100,
            ));
            Ok::<_, &str>(episode * 2)
        };
        let outcomes = run_all([1, 2, 3], &episodes, run, &|_| {}, || "crashed");
        let expected: Vec<u64> = episodes.iter().map(|episode| episode * 2).collect();
        assert_eq!(outcomes, Ok(expected));
    }

    #[test]
    fn an_error_or_a_panic_ends_the_evaluation() {
        let failing = |_: &mut (), episode: &u64| match episode {
            7 => Err("seven"),
            _ => Ok(()),
        };
        let episodes: Vec<u64> = (0..1000).collect();
        assert_eq!(
            run_all([(), ()], &episodes, failing, &|_| {}, || "crashed"),
            Err("seven")
        );
        let crashing = |_: &mut (), episode: &u64| match episode {
            7 => std::panic::resume_unwind(Box::new("seven")),
            _ => Ok(()),
        };
        assert_eq!(
            run_all([()], &episodes, crashing, &|_| {}, || "crashed"),
            Err("crashed")
        );
    }
}
