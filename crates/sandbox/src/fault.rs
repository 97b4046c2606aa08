use std::str::FromStr;

/// The kinds of requests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sets a user's contacts.
    Contact,
    /// Obtains users by ids.
    Register,
    /// Reads users.
    Profile,
}

/// Something that goes wrong, with the probability of it, for requests of one kind or of all: `[KIND/]WHAT:P`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    of: Option<Kind>,
    what: What,
    probability: f64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Answers with this code.
    Code(i64),
    /// Answers with this HTTP status and an HTML body.
    Status(u16),
    /// Closes the connection without an answer; the request is not carried out.
    Drop,
    /// Carries the request out and closes the connection without an answer.
    Lost,
    /// Answers with code 0 and another message than `success`, and does a part: of contacts all but the last by name, of ids
    /// and users all but the last.
    Partial,
    /// Never answers.
    Hang,
    /// Answers 200 with something that is not JSON.
    Garbage,
    /// Answers with success and stores nothing.
    Unstored,
    /// Answers with success and stores another value than was sent for the last contact by name.
    Altered,
    /// Answers with success, and the user is gone.
    Forgotten,
    /// Stores what was sent, but the next read of the user still shows what was there before.
    Late,
    /// The user's first EUID, as `register` gave it, is refused (55108); once it was, `register` gives another.
    Stale,
    /// The id gets no EUID: it has no entry in the answer.
    Unknown,
    /// The id belongs to the user of another: one that ends with an odd digit to that of the digit before.
    Twin,
    /// A request with the id is refused with this code.
    Refused(i64),
}

/// What a fault hits, each decided apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Request(Kind),
    /// A user, in all requests.
    User,
    /// An id, in all requests.
    Id,
    /// Two ids, in all requests.
    Pair,
}

/// Why a text describes no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Not one of the forms.
    #[error(
        "{0:?} is no fault: write code=N:P, status=N:P, drop:P, lost:P, partial:P, hang:P or garbage:P, as in \
         code=-1:0.05, of one kind of requests as contact/drop:P, register/drop:P or profile/drop:P; unstored:P, altered:P, \
         forgotten:P or late:P for what is stored; stale:P, unknown:P, twin:P or refused=N:P for users and ids"
    )]
    Form(String),
    /// Not a probability.
    #[error("{0:?} is no probability: it lies between 0 and 1")]
    Probability(String),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Register => "register",
            Self::Profile => "profile",
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let form = || FaultError::Form(text.to_owned());
        let (kind, probability) = text.trim().rsplit_once(':').ok_or_else(form)?;
        let p: f64 = probability.parse().map_err(|_| FaultError::Probability(probability.to_owned()))?;
        if !(0.0..=1.0).contains(&p) {
            return Err(FaultError::Probability(probability.to_owned()));
        }
        let (of, word) = match kind.split_once('/') {
            Some((of, word)) => {
                let kinds = [Kind::Contact, Kind::Register, Kind::Profile];
                (Some(kinds.into_iter().find(|kind| kind.name() == of).ok_or_else(form)?), word)
            }
            None => (None, kind),
        };
        let what = What::parse(word).ok_or_else(form)?;
        if of.is_some_and(|of| !what.hits(Scope::Request(of))) {
            return Err(form());
        }
        Ok(Self { of, what, probability: p })
    }
}

impl What {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.split_once('=') {
            Some(("code", code)) => Self::Code(code.parse().ok()?),
            Some(("refused", code)) => Self::Refused(code.parse().ok()?),
            Some(("status", status)) => {
                Self::Status(status.parse().ok().filter(|status| (200..=599).contains(status))?)
            }
            Some(_) => return None,
            None => {
                let plain = [
                    Self::Drop,
                    Self::Lost,
                    Self::Partial,
                    Self::Hang,
                    Self::Garbage,
                    Self::Unstored,
                    Self::Altered,
                    Self::Forgotten,
                    Self::Late,
                    Self::Stale,
                    Self::Unknown,
                    Self::Twin,
                ];
                plain.into_iter().find(|what| what.name() == word)?
            }
        })
    }

    /// How it is called in the figures.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Code(code) => return format!("code={code}"),
            Self::Status(status) => return format!("status={status}"),
            Self::Refused(code) => return format!("refused={code}"),
            Self::Drop => "drop",
            Self::Lost => "lost",
            Self::Partial => "partial",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            Self::Unstored => "unstored",
            Self::Altered => "altered",
            Self::Forgotten => "forgotten",
            Self::Late => "late",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
            Self::Twin => "twin",
        }
        .to_owned()
    }

    /// The same, of a request of some kind.
    pub(crate) fn name_of(self, kind: Kind) -> String {
        match kind {
            Kind::Contact => self.name(),
            kind => format!("{}/{}", kind.name(), self.name()),
        }
    }

    /// Whether a request that meets it is carried out, at least in part.
    pub(crate) fn accepts(self) -> bool {
        matches!(self, Self::Code(0) | Self::Lost | Self::Partial | Self::Altered | Self::Forgotten | Self::Late)
    }

    fn hits(self, scope: Scope) -> bool {
        match self {
            Self::Code(_) | Self::Status(_) | Self::Drop | Self::Lost | Self::Partial | Self::Hang | Self::Garbage => {
                matches!(scope, Scope::Request(_))
            }
            Self::Unstored | Self::Altered | Self::Forgotten | Self::Late => scope == Scope::Request(Kind::Contact),
            Self::Stale => scope == Scope::User,
            Self::Unknown | Self::Refused(_) => scope == Scope::Id,
            Self::Twin => scope == Scope::Pair,
        }
    }
}

impl Fault {
    /// What the `nth` (from 1; 0 for what holds in all requests) of something meets, if anything: a user's request, one of
    /// some content, a user, an id. It depends on nothing else, so the order in which requests arrive doesn't matter.
    pub(crate) fn met(faults: &[Self], scope: Scope, seed: u64, whose: u64, nth: u64) -> Option<What> {
        let hash = mix(mix(mix(seed) ^ whose) ^ nth);
        let mut left = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        let here = |fault: &&Self| fault.what.hits(scope) && fault.of.is_none_or(|kind| scope == Scope::Request(kind));
        let mut here = faults.iter().filter(here);
        let met = here.find(|fault| {
            left -= fault.probability;
            left < 0.0
        });
        met.map(|fault| fault.what)
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): spreads neighbouring numbers over the whole range.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number that stands for texts in their order.
pub(crate) fn digest<'t>(texts: impl IntoIterator<Item = &'t str>) -> u64 {
    let of_text = |hash, text: &str| {
        let bytes = text.bytes().map(u64::from).chain([256]);
        bytes.fold(hash, |hash, byte| mix(hash ^ byte))
    };
    texts.into_iter().fold(0, of_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[test]
    fn forms() {
        for (text, of, what, probability) in [
            ("code=-1:0.05", None, What::Code(-1), 0.05),
            ("status=502:0.01", None, What::Status(502), 0.01),
            ("drop:1", None, What::Drop, 1.0),
            ("lost:0", None, What::Lost, 0.0),
            ("partial:0.5", None, What::Partial, 0.5),
            ("register/code=55004:1", Some(Kind::Register), What::Code(55004), 1.0),
            ("profile/hang:1", Some(Kind::Profile), What::Hang, 1.0),
            ("contact/garbage:1", Some(Kind::Contact), What::Garbage, 1.0),
            ("contact/unstored:1", Some(Kind::Contact), What::Unstored, 1.0),
            ("altered:1", None, What::Altered, 1.0),
            ("forgotten:1", None, What::Forgotten, 1.0),
            ("late:1", None, What::Late, 1.0),
            ("stale:1", None, What::Stale, 1.0),
            ("unknown:1", None, What::Unknown, 1.0),
            ("twin:1", None, What::Twin, 1.0),
            ("refused=55105:1", None, What::Refused(55105), 1.0),
        ] {
            assert_eq!(text.parse(), Ok(Fault { of, what, probability }), "{text}");
            let named = of.map_or_else(|| what.name(), |kind| format!("{}/{}", kind.name(), what.name()));
            assert!(text.starts_with(&format!("{named}:")), "{text}");
        }
        for text in [
            "",
            "drop",
            "drop:2",
            "drop:x",
            "code:0.1",
            "status=99:0.1",
            "fly:0.1",
            "drop=1:0.1",
            "refused:1",
            "x/drop:1",
            "profile/unstored:1",
            "register/unknown:1",
            "contact/stale:1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn faults_come_as_often_as_they_should_and_the_same_again() {
        let faults = [fault("code=-1:0.05"), fault("drop:0.01")];
        let contact = Scope::Request(Kind::Contact);
        let met_by = |seed, user| Fault::met(&faults, contact, seed, user, 1);
        let met: Vec<Option<What>> = (0..100_000).map(|user| met_by(7, user)).collect();
        let share = |wanted| met.iter().filter(|what| **what == Some(wanted)).count();
        assert!((4_700..5_300).contains(&share(What::Code(-1))), "{}", share(What::Code(-1)));
        assert!((850..1_150).contains(&share(What::Drop)), "{}", share(What::Drop));
        assert_eq!(met[42], met_by(7, 42));
        assert_ne!(met, (0..100_000).map(|user| met_by(8, user)).collect::<Vec<_>>());
    }

    #[test]
    fn a_fault_hits_only_what_it_is_for() {
        let kinds = [Kind::Contact, Kind::Register, Kind::Profile].map(Scope::Request);
        let all = [kinds[0], kinds[1], kinds[2], Scope::User, Scope::Id, Scope::Pair];
        for (text, hit) in [
            ("drop:1", &kinds[..]),
            ("register/drop:1", &kinds[1..2]),
            ("profile/code=0:1", &kinds[2..]),
            ("unstored:1", &kinds[..1]),
            ("stale:1", &[Scope::User]),
            ("unknown:1", &[Scope::Id]),
            ("refused=1:1", &[Scope::Id]),
            ("twin:1", &[Scope::Pair]),
        ] {
            let met = |scope: &&Scope| Fault::met(&[fault(text)], **scope, 7, 7, 1).is_some();
            assert_eq!(all.iter().filter(met).copied().collect::<Vec<_>>(), hit, "{text}");
        }
    }

    #[test]
    fn texts_are_told_apart_also_by_where_they_end() {
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_ne!(digest(["a", "b"]), digest(["b", "a"]));
        assert_ne!(digest([]), digest([""]));
    }
}
