use std::{fmt, sync::Arc, time::Duration};

/// Something that happens to the sending as a whole, beside what is counted. The log says the same in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Sending is held: the service, or a shared rate, is out of reach.
    Held,
    /// It is held no longer.
    GoesOn,
    /// Nobody starts for so long: the service said so.
    Waits(Duration),
}

/// Hears what happens.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Happening) + Send + Sync>);

impl Listener {
    /// What hears it must not wait for anything.
    pub fn new(hear: impl Fn(Happening) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(crate) fn hear(&self, happening: Happening) {
        (self.0)(happening);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
