use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::exit::Exit;

/// Something to be done; it knows the status that the program ends with and how long it may take.
type Word = Box<dyn FnOnce(Exit, Duration) + Send>;

/// What is still to be done when the program ends, whoever ends it: its own way through, or a signal from another thread.
/// Each is done once; what was asked for last comes first, since it may have something to say to those before it.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Shared>);

#[derive(Default)]
struct Shared {
    words: Mutex<Words>,
    one_is_done: Condvar,
}

#[derive(Default)]
struct Words {
    left: Vec<Word>,
    /// So many are being done by others.
    under_way: usize,
    /// What the run came to: no signal changes that any more.
    decided: Option<Exit>,
    /// The program ends so: what is added now may come too late.
    ends_with: Option<Exit>,
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
        words.ends_with.is_none()
    }

    /// The run has come to its end, and its summary says so: whoever ends the program from here on, it is with this status.
    pub(crate) fn decide(&self, exit: Exit) {
        self.words().decided = Some(exit);
    }

    /// Whether the program is ending.
    pub(crate) fn are_said(&self) -> bool {
        self.words().ends_with.is_some()
    }

    /// The program ends with this status, unless somebody ends it already: does all that is left to be done, each for at
    /// most so long, and waits as long for what others are at. Returns the status that it ends with.
    pub(crate) fn say(&self, exit: Exit, most: Duration) -> Exit {
        let exit = {
            let mut words = self.words();
            let decided = words.decided.unwrap_or(exit);
            *words.ends_with.get_or_insert(decided)
        };
        while let Some(word) = self.next() {
            word(exit, most);
            self.words().under_way -= 1;
            self.0.one_is_done.notify_all();
        }
        // A poisoned lock keeps nobody here either.
        drop(self.0.one_is_done.wait_timeout_while(self.words(), most, |words| words.under_way > 0));
        exit
    }

    /// Nobody may wait for the lock while something is done: a second signal ends the program at once.
    fn next(&self) -> Option<Word> {
        let mut words = self.words();
        let word = words.left.pop()?;
        words.under_way += 1;
        Some(word)
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.words.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(!words.are_said());
        assert_eq!(words.say(Exit::Usage, Duration::ZERO), Exit::Usage);
        assert_eq!(words.say(Exit::Success, Duration::ZERO), Exit::Usage, "the first decides");
        assert!(words.are_said());
        assert_eq!(*said.lock().unwrap(), [("second", Exit::Usage), ("first", Exit::Usage)]);
        assert!(!words.add(|_, _| ()));
    }

    #[test]
    fn what_a_run_came_to_stands() {
        let words = LastWords::default();
        words.decide(Exit::RowsFailed);
        assert!(!words.are_said());
        assert_eq!(words.say(Exit::Terminated, Duration::ZERO), Exit::RowsFailed);
    }

    #[test]
    fn who_finds_none_left_waits_for_those_under_way() {
        let words = LastWords::default();
        let (begins, begun) = std::sync::mpsc::sync_channel(1);
        let (go_on, goes_on) = std::sync::mpsc::sync_channel::<()>(1);
        let done = Arc::new(Mutex::new(false));
        let is_done = Arc::clone(&done);
        assert!(words.add(move |_, _| {
            begins.send(()).unwrap();
            goes_on.recv().unwrap();
            *is_done.lock().unwrap() = true;
        }));
        let saying = {
            let words = words.clone();
            std::thread::spawn(move || words.say(Exit::Success, Duration::ZERO))
        };
        begun.recv().unwrap();
        // It waits no longer than it may.
        assert_eq!(words.say(Exit::Terminated, Duration::from_millis(1)), Exit::Success);
        assert!(!*done.lock().unwrap());
        go_on.send(()).unwrap();
        assert_eq!(words.say(Exit::Terminated, Duration::from_mins(10)), Exit::Success);
        assert!(*done.lock().unwrap());
        assert_eq!(saying.join().unwrap(), Exit::Success);
    }
}
