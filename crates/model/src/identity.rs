/// What kind of id an organisation's own ids are, in the API's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityKind {
    /// Of a logged-in user.
    UserId,
    /// Of a visitor.
    AnonymousId,
    /// Of a device.
    RegistrationId,
}

impl IdentityKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UserId, Self::AnonymousId, Self::RegistrationId];

    /// Its `identity_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::AnonymousId => "anonymous_id",
            Self::RegistrationId => "registration_id",
        }
    }
}

impl std::fmt::Display for IdentityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
