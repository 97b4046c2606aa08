use model::{Contact, Decision, Unresolved};

/// A row on its way in.
#[derive(Debug)]
pub enum Intake {
    /// To be sent.
    Send(Contact),
    /// To be sent once its EUID is found out, by a [resolver](crate::Resolver).
    Resolve(Unresolved),
    /// Decided without being sent; passed on.
    Decided(Decision),
}
