//! What the rate of one quota allows: the starts that its mint gave, and when the mint is to be asked next. Pure; time comes in
//! as an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::mint::{Lease, MintAsk, Minted, Pause};

/// A mint that is out of reach is asked again so often.
const ASK_LOST_EVERY: Duration = Duration::from_millis(500);

/// So far a shared rate is planned ahead where others want it too: who asks only when it could start waits so long.
const PLANNED_AHEAD: Duration = Duration::from_millis(20);
/// Of what those under way and those behind them could use within that, so many percent are asked for before: with more, some
/// starts find everybody busy when their time comes, and die.
const ASKED_BEFORE: u128 = 60;

/// How starts are had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Supplier {
    /// Nobody is asked: there is no limit.
    #[default]
    None,
    /// A mint that is asked when starts are wanted.
    Mint,
    /// One that others share: it hears of this run from the beginning on.
    SharedMint,
}

/// What the rate allows.
#[derive(Debug)]
pub(crate) enum Leave {
    Unlimited,
    Minted(Supply),
}

/// What a mint gave.
#[derive(Debug)]
pub(crate) struct Supply {
    leases: VecDeque<Lease>,
    not_before: Instant,
    ask_by: Option<Instant>,
    /// Others share the rate.
    is_shared: bool,
    /// How long a request takes, then, once one has ended.
    takes: Option<Takes>,
    /// Up to when nobody is to start, as far as this quota is concerned, and whether the server asked for it.
    pause: Option<(Instant, bool)>,
    /// The mint doesn't know of it yet.
    is_untold: bool,
    lost: Option<Lost>,
}

/// How long requests take: what the latest ones took, each counting for an eighth; and when the last one ended.
#[derive(Debug, Clone, Copy)]
struct Takes {
    time: Duration,
    ended: Instant,
}

/// The mint is out of reach.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) since: Instant,
    pub(crate) what: String,
}

impl Leave {
    pub(crate) fn new(supplier: Supplier, now: Instant) -> Self {
        if supplier == Supplier::None {
            return Self::Unlimited;
        }
        Self::Minted(Supply {
            leases: VecDeque::new(),
            not_before: now,
            ask_by: (supplier == Supplier::SharedMint).then_some(now),
            is_shared: supplier == Supplier::SharedMint,
            takes: None,
            pause: None,
            is_untold: false,
            lost: None,
        })
    }

    fn supply(&self) -> Option<&Supply> {
        match self {
            Self::Unlimited => None,
            Self::Minted(supply) => Some(supply),
        }
    }

    /// Takes one start, where the time of one has come.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let Self::Minted(supply) = self else { return true };
        supply.drop_dead(now);
        supply.leases.front_mut().is_some_and(|lease| lease.take(now))
    }

    /// How many could start now.
    pub(crate) fn due(&self, now: Instant) -> usize {
        self.supply().map_or(usize::MAX, |supply| supply.leases.iter().map(|lease| lease.due(now) as usize).sum())
    }

    /// How many can start now or later by what the mint gave.
    pub(crate) fn held(&self, now: Instant) -> usize {
        self.supply().map_or(usize::MAX, |supply| supply.leases.iter().map(|lease| lease.alive(now) as usize).sum())
    }

    /// How many starts, of `workers` who are all busy, could be used by the time that starts are had when asked for now. None
    /// where none of them has come to an end lately: requests that hang free nobody.
    pub(crate) fn soon(&self, workers: usize, now: Instant) -> usize {
        let Some(Takes { time, ended }) = self.supply().and_then(|supply| supply.takes) else { return 0 };
        if now.duration_since(ended) > time + 2 * PLANNED_AHEAD {
            return 0;
        }
        let soon = PLANNED_AHEAD.as_nanos() * workers as u128 * ASKED_BEFORE / 100 / time.as_nanos().max(1);
        usize::try_from(soon).unwrap_or(usize::MAX)
    }

    /// A request has ended, and took so long.
    pub(crate) fn took(&mut self, time: Duration, now: Instant) {
        let Self::Minted(Supply { is_shared: true, takes, .. }) = self else { return };
        let time = takes.map_or(time, |before| (before.time * 7 + time) / 8);
        *takes = Some(Takes { time, ended: now });
    }

    /// When the time comes of what the mint gave.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.supply()?.leases.iter().filter_map(|lease| lease.next_due(now)).min()
    }

    /// When the mint is to be asked, where starts are lacking or not.
    pub(crate) fn ask_at(&self, is_lacking: bool, now: Instant) -> Option<Instant> {
        let supply = self.supply()?;
        if supply.lost.is_some() {
            return Some(supply.not_before);
        }
        let lacking = is_lacking.then_some(supply.not_before);
        let telling = supply.is_untold.then_some(now);
        [lacking, supply.ask_by, telling].into_iter().flatten().min()
    }

    /// What the mint is asked, for so many starts.
    pub(crate) fn ask(&mut self, want: usize, now: Instant) -> MintAsk {
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        let Self::Minted(supply) = self else { return MintAsk { want, pause: None } };
        supply.drop_dead(now);
        supply.is_untold = false;
        supply.pause = supply.pause.filter(|(until, _)| *until > now);
        let pause = supply.pause.map(|(until, asked)| {
            let left = until - now;
            if asked { Pause::Asked(left) } else { Pause::Backoff(left) }
        });
        MintAsk { want, pause }
    }

    /// Takes what the mint gave. Whether it had been out of reach before.
    pub(crate) fn minted(&mut self, minted: Minted) -> bool {
        let Self::Minted(supply) = self else { return false };
        if minted.voids_earlier {
            supply.leases.clear();
        }
        (supply.not_before, supply.ask_by) = (minted.not_before, minted.ask_by);
        supply.leases.extend(minted.lease);
        supply.lost.take().is_some()
    }

    /// The mint is out of reach. Whether it was not before.
    pub(crate) fn lost(&mut self, what: String, now: Instant) -> bool {
        let Self::Minted(supply) = self else { return false };
        supply.leases.clear();
        supply.not_before = now + ASK_LOST_EVERY;
        let is_new = supply.lost.is_none();
        let since = supply.lost.as_ref().map_or(now, |lost| lost.since);
        supply.lost = Some(Lost { since, what });
        is_new
    }

    pub(crate) fn lost_since(&self) -> Option<&Lost> {
        self.supply()?.lost.as_ref()
    }

    /// Nobody is to start before this. `is_news`: the mint doesn't know it.
    pub(crate) fn pause(&mut self, until: Instant, asked: bool, is_news: bool) {
        let Self::Minted(supply) = self else { return };
        if supply.pause.is_none_or(|(known, _)| known < until) {
            supply.pause = Some((until, asked));
            supply.is_untold |= is_news;
        }
    }
}

impl Supply {
    fn drop_dead(&mut self, now: Instant) {
        while let Some(lease) = self.leases.front_mut() {
            lease.drop_dead(now);
            if lease.starts > 0 {
                break;
            }
            self.leases.pop_front();
        }
    }
}
