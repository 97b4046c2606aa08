//! Cases that are measured in turn, and the table of them.

use super::{
    Bench,
    process::{Usage, say},
};

/// One run of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Rows, requests or records.
    pub(crate) rows: f64,
    pub(crate) usage: Usage,
}

impl Sample {
    pub(crate) fn rate(&self) -> f64 {
        self.rows / self.usage.seconds
    }

    pub(crate) fn cpu(&self) -> f64 {
        self.usage.cpu_us / self.rows
    }

    pub(crate) fn switches(&self) -> f64 {
        self.usage.switches / self.rows
    }
}

type Run<'b> = Box<dyn FnMut() -> anyhow::Result<Sample> + 'b>;

/// Something that is measured, under a name.
pub(crate) struct Case<'b> {
    name: String,
    run: Run<'b>,
    samples: Vec<Sample>,
}

impl<'b> Case<'b> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> anyhow::Result<Sample> + 'b) -> Self {
        Self { name: name.into(), run: Box::new(run), samples: Vec::new() }
    }
}

/// The results of cases that ran side by side; the first is what the others are compared with.
pub(crate) struct Results(Vec<(String, Vec<Sample>)>);

/// Runs all cases in each round, backwards in every second one.
pub(crate) fn run_all(bench: &Bench, mut cases: Vec<Case<'_>>) -> anyhow::Result<Results> {
    for round in 0..bench.rounds {
        let mut order: Vec<usize> = (0..cases.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let case = &mut cases[at];
            let sample = (case.run)().map_err(|error| error.context(case.name.clone()))?;
            case.samples.push(sample);
        }
    }
    Ok(Results(cases.into_iter().map(|case| (case.name, case.samples)).collect()))
}

impl Results {
    fn samples(&self, name: &str) -> Option<&[Sample]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, samples)| &**samples)
    }

    /// A figure of a case over its rounds.
    pub(crate) fn spread(&self, name: &str, figure: fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples(name)?.iter().map(figure))
    }

    /// The rate of one case as a multiple of another's in the same round.
    pub(crate) fn ratio(&self, name: &str, to: &str) -> Option<Spread> {
        self.ratio_of(name, to, Sample::rate)
    }

    /// A figure of one case as a multiple of another's in the same round.
    pub(crate) fn ratio_of(&self, name: &str, to: &str, figure: fn(&Sample) -> f64) -> Option<Spread> {
        let (samples, others) = (self.samples(name)?, self.samples(to)?);
        Spread::of(samples.iter().zip(others).map(|(sample, other)| figure(sample) / figure(other)))
    }

    /// Prints all cases; `per_second`: what a row is called.
    pub(crate) fn print(&self, title: &str, what: &str) -> anyhow::Result<()> {
        let first = self.0.first().map_or("", |(name, _)| name);
        say(&format!("\n## {title}\n"))?;
        say(&format!("| | {what}s/s | CPU, µs a {what} | waits a {what} | peak, MiB | {first} = 1 |"))?;
        say("|---|---|---|---|---|---|")?;
        for (name, _) in &self.0 {
            let columns = [
                self.spread(name, Sample::rate).map(|rate| rate.shown(0)),
                self.spread(name, Sample::cpu).map(|cpu| cpu.shown(2)),
                self.spread(name, Sample::switches).map(|switches| switches.shown(3)),
                self.spread(name, |sample| sample.usage.peak_kib / 1024.0).map(|peak| format!("{:.0}", peak.most)),
                self.ratio(name, first).map(|ratio| ratio.shown(2)),
            ];
            let columns: Vec<String> = columns.into_iter().map(Option::unwrap_or_default).collect();
            say(&format!("| {name} | {} |", columns.join(" | ")))?;
        }
        Ok(())
    }
}

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// None of no figures.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = figures.collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        let median =
            if all.len() % 2 == 1 { *all.get(middle)? } else { f64::midpoint(*all.get(middle)?, all[middle - 1]) };
        Some(Self { least: *all.first()?, median, most: *all.last()? })
    }

    pub(crate) fn shown(&self, places: usize) -> String {
        let Self { least, median, most } = self;
        format!("{median:.places$} ({least:.places$}–{most:.places$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 2.0, 9.0].into_iter()).expect("four figures");
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 3.0, 9.0));
        assert!(Spread::of(std::iter::empty()).is_none());
    }
}
