use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::exit::Exit;

/// Something to be done; it knows the status that the program ends with and how long it may take.
type Word = Box<dyn FnOnce(Exit, Duration) + Send>;

/// What is still to be done when the program ends, whoever ends it: its own way through, or a signal from another thread.
/// Each is done once; what was asked for last comes first, since it may have something to say to those before it.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Words>>);

#[derive(Default)]
struct Words {
    left: Vec<Word>,
    /// The program ends: what is added now may come too late.
    are_said: bool,
}

impl fmt::Debug for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastWords").finish_non_exhaustive()
    }
}

impl LastWords {
    /// Has this done at the end. False where the end has begun already, and it may not be done.
    pub(crate) fn add(&self, word: impl FnOnce(Exit, Duration) + Send + 'static) -> bool {
        let mut words = self.words();
        words.left.push(Box::new(word));
        !words.are_said
    }

    /// The program ends with this status: does all that is left to be done, each for at most so long.
    pub(crate) fn say(&self, exit: Exit, most: Duration) {
        while let Some(word) = self.next() {
            word(exit, most);
        }
    }

    /// Nobody may wait for the lock while something is done: a second signal ends the program at once.
    fn next(&self) -> Option<Word> {
        let mut words = self.words();
        words.are_said = true;
        words.left.pop()
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_and_the_last_first() {
        let (words, said) = (LastWords::default(), Arc::new(Mutex::new(Vec::new())));
        for name in ["first", "second"] {
            let said = Arc::clone(&said);
            assert!(words.add(move |exit, _| said.lock().unwrap().push((name, exit))));
        }
        words.say(Exit::Usage, Duration::ZERO);
        words.say(Exit::Success, Duration::ZERO);
        assert_eq!(*said.lock().unwrap(), [("second", Exit::Usage), ("first", Exit::Usage)]);
        assert!(!words.add(|_, _| ()));
    }
}
