use model::{Contact, Decision};

/// A row on its way in.
#[derive(Debug)]
pub enum Intake {
    /// To be sent.
    Send(Contact),
    /// Decided without being sent; passed on.
    Decided(Decision),
}
