//! The end of the time window: before sending begins it ends the program at once, afterwards it stops the run.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dispatcher::{Stop, StopCause};

use crate::{exit::Exit, failure::Failure, settings::SendingWindow, signals::Signals, terminal::Printer};

/// The clock is looked at this often: it may be set, and the machine may sleep.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches the window of a run that is being prepared, from a thread of its own: whatever is read or compared meanwhile
/// may take its time.
#[derive(Debug)]
pub(crate) struct WindowGuard {
    window: SendingWindow,
    /// Whether somebody else watches by now.
    handed_over: Arc<Mutex<bool>>,
}

impl WindowGuard {
    /// Watches from now on. A window that is over already is left to [`SendingWindow::refuse_where_over`].
    pub(crate) fn watch(window: &SendingWindow, signals: &Signals, printer: &Printer) -> Self {
        let handed_over = Arc::new(Mutex::new(false));
        if window.ends() && window.over().is_none() {
            let (window, done) = (window.clone(), Arc::clone(&handed_over));
            let (signals, printer) = (signals.clone(), printer.clone());
            // Without a thread the window ends once sending begins.
            let _ = std::thread::Builder::new().name("window".to_owned()).spawn(move || {
                loop {
                    std::thread::sleep(window.left().min(LOOK_EVERY));
                    let done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    if *done {
                        return;
                    }
                    if let Err(failure) = window.refuse_where_over() {
                        printer.failure(&failure);
                        signals.end(Exit::TimeWindow);
                    }
                }
            });
        }
        Self { window: window.clone(), handed_over }
    }

    /// Sending is about to begin: from here on the run stops by itself, see [`stop_at_end`]. Status 7 where the window is
    /// over.
    pub(crate) fn hand_over(self) -> Result<(), Failure> {
        self.window.refuse_where_over()
    }
}

impl Drop for WindowGuard {
    fn drop(&mut self) {
        *self.handed_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// Stops a run at the end of its window. Call it within a tokio runtime.
pub(super) fn stop_at_end(window: SendingWindow, stop: Stop) {
    if !window.ends() {
        return;
    }
    tokio::spawn(async move {
        loop {
            if let Some(what) = window.over() {
                return stop.because(StopCause::TimeWindow(what));
            }
            tokio::time::sleep(window.left().min(LOOK_EVERY)).await;
        }
    });
}
