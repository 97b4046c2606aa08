use std::str::FromStr;

/// Something that goes wrong, with the probability that a request meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Answers with this code.
    Code(i64, f64),
    /// Answers with this HTTP status and an HTML body.
    Status(u16, f64),
    /// Closes the connection without an answer; the request is not carried out.
    Drop(f64),
    /// Carries the request out and closes the connection without an answer.
    Lost(f64),
    /// Answers with code 0 and another message than `success`: of the contacts all but the last by name are carried out.
    Partial(f64),
    /// Never answers.
    Hang(f64),
    /// Answers 200 with something that is not JSON.
    Garbage(f64),
}

/// Why a text describes no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Not one of the forms.
    #[error(
        "{0:?} is no fault: write code=N:P, status=N:P, drop:P, lost:P, partial:P, hang:P or garbage:P, as in code=-1:0.05"
    )]
    Form(String),
    /// Not a probability.
    #[error("{0:?} is no probability: it lies between 0 and 1")]
    Probability(String),
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
        match kind.split_once('=') {
            Some(("code", code)) => Ok(Self::Code(code.parse().map_err(|_| form())?, p)),
            Some(("status", status)) => {
                let status = status.parse().ok().filter(|status| (200..=599).contains(status));
                Ok(Self::Status(status.ok_or_else(form)?, p))
            }
            None if kind == "drop" => Ok(Self::Drop(p)),
            None if kind == "lost" => Ok(Self::Lost(p)),
            None if kind == "partial" => Ok(Self::Partial(p)),
            None if kind == "hang" => Ok(Self::Hang(p)),
            None if kind == "garbage" => Ok(Self::Garbage(p)),
            _ => Err(form()),
        }
    }
}

impl Fault {
    /// How it is called in the figures.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Code(code, _) => format!("code={code}"),
            Self::Status(status, _) => format!("status={status}"),
            Self::Drop(_) => "drop".to_owned(),
            Self::Lost(_) => "lost".to_owned(),
            Self::Partial(_) => "partial".to_owned(),
            Self::Hang(_) => "hang".to_owned(),
            Self::Garbage(_) => "garbage".to_owned(),
        }
    }

    fn probability(self) -> f64 {
        match self {
            Self::Code(_, p)
            | Self::Status(_, p)
            | Self::Drop(p)
            | Self::Lost(p)
            | Self::Partial(p)
            | Self::Hang(p)
            | Self::Garbage(p) => p,
        }
    }

    /// Whether a request that meets it is carried out, at least in part.
    pub(crate) fn accepts(self) -> bool {
        matches!(self, Self::Code(0, _) | Self::Lost(_) | Self::Partial(_))
    }

    /// The fault that the `nth` request (from 1) of a user meets, if any. It depends on nothing else, so the order in
    /// which requests of different users arrive doesn't matter.
    pub(crate) fn met(faults: &[Self], seed: u64, user: u64, nth: u64) -> Option<Self> {
        let hash = mix(mix(mix(seed) ^ user) ^ nth);
        let mut left = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        faults.iter().copied().find(|fault| {
            left -= fault.probability();
            left < 0.0
        })
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): spreads neighbouring numbers over the whole range.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!("code=-1:0.05".parse(), Ok(Fault::Code(-1, 0.05)));
        assert_eq!("status=502:0.01".parse(), Ok(Fault::Status(502, 0.01)));
        assert_eq!("drop:1".parse(), Ok(Fault::Drop(1.0)));
        assert_eq!("lost:0".parse(), Ok(Fault::Lost(0.0)));
        assert_eq!("partial:0.5".parse(), Ok(Fault::Partial(0.5)));
        for text in ["", "drop", "drop:2", "drop:x", "code:0.1", "status=99:0.1", "fly:0.1", "drop=1:0.1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn faults_come_as_often_as_they_should_and_the_same_again() {
        let faults = [Fault::Code(-1, 0.05), Fault::Drop(0.01)];
        let met: Vec<Option<Fault>> = (0..100_000).map(|user| Fault::met(&faults, 7, user, 1)).collect();
        let share = |wanted| met.iter().filter(|fault| **fault == Some(wanted)).count();
        assert!((4_700..5_300).contains(&share(faults[0])), "{}", share(faults[0]));
        assert!((850..1_150).contains(&share(faults[1])), "{}", share(faults[1]));
        assert_eq!(met[42], Fault::met(&faults, 7, 42, 1));
        assert_ne!(met, (0..100_000).map(|user| Fault::met(&faults, 8, user, 1)).collect::<Vec<_>>());
    }
}
