//! What is raced, and what it comes to: figures by round, their medians, ratios between two systems, and goals.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::race::{Course, bulk, device, puts, quiet, submit, tenants};

/// A contest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contest {
    /// Durable puts on one tenant by 1, 8, 32 and 64 threads.
    Puts,
    /// Many tenants against one.
    Tenants,
    /// Puts under way from one thread against as many threads.
    Submit,
    /// A quiet tenant beside a flooding one.
    Quiet,
    /// Batches of 1,000.
    Bulk,
    /// Bytes written to the device.
    Device,
    /// Buffered puts.
    Buffered,
}

impl Contest {
    /// All, in the order they are run.
    pub const ALL: [Self; 7] =
        [Self::Puts, Self::Bulk, Self::Device, Self::Tenants, Self::Submit, Self::Quiet, Self::Buffered];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Puts => "puts",
            Self::Tenants => "tenants",
            Self::Submit => "submit",
            Self::Quiet => "quiet",
            Self::Bulk => "bulk",
            Self::Device => "device",
            Self::Buffered => "buffered",
        }
    }

    pub(super) fn entries(self, course: &Course) -> Vec<(Result, Vec<Entry<'_>>)> {
        match self {
            Self::Puts => [(1, 1.75), (8, 4.0), (32, 15.0), (64, 22.0)]
                .into_iter()
                .map(|(threads, goal)| puts::durable(course, threads, goal))
                .collect(),
            Self::Tenants => vec![tenants::contest(course)],
            Self::Submit => vec![submit::contest(course)],
            Self::Quiet => vec![quiet::contest(course)],
            Self::Bulk => vec![bulk::contest(course)],
            Self::Device => vec![device::contest(course)],
            Self::Buffered => vec![puts::buffered(course)],
        }
    }
}

/// One system's turn.
pub(super) struct Entry<'a> {
    pub(super) name: &'static str,
    pub(super) run: Box<dyn FnMut() -> Figures + 'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(name: &'static str, run: impl FnMut() -> Figures + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What one turn gave, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    values: Vec<(&'static str, f64)>,
    /// Operations in each second.
    pub(super) by_second: Vec<u64>,
}

impl Figures {
    pub(super) fn push(&mut self, name: &'static str, value: f64) {
        self.values.push((name, value));
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn to_json(&self) -> Value {
        let mut values: Map<_, _> =
            self.values.iter().map(|(name, value)| ((*name).to_owned(), json!(rounded(*value)))).collect();
        if !self.by_second.is_empty() {
            values.insert("by_second".to_owned(), json!(self.by_second));
        }
        Value::Object(values)
    }
}

/// Three digits behind the point are more than any figure here means.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// What a ratio has to reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
        }
    }
}

/// A figure of one entry, as a multiple of the same figure of another where one is named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) what: &'static str,
    pub(super) figure: &'static str,
    pub(super) of: &'static str,
    pub(super) to: Option<&'static str>,
    pub(super) goal: Option<Goal>,
}

/// A contest's name, figures and measures.
pub(super) struct Result {
    pub(super) name: String,
    /// The figure that is shown as it comes.
    pub(super) figure: &'static str,
    measures: Vec<Measure>,
    /// By entry, in the order of its first turn; each with its rounds.
    entries: Vec<(&'static str, Vec<Figures>)>,
}

/// The middle of some values, and the least and greatest of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), least, most })
    }
}

impl Result {
    pub(super) fn new(name: impl Into<String>, figure: &'static str, measures: Vec<Measure>) -> Self {
        Self { name: name.into(), figure, measures, entries: Vec::new() }
    }

    pub(super) fn add(&mut self, entry: &'static str, figures: Figures) {
        match self.entries.iter_mut().find(|(name, _)| *name == entry) {
            Some((_, rounds)) => rounds.push(figures),
            None => self.entries.push((entry, vec![figures])),
        }
    }

    fn rounds(&self, entry: &str) -> &[Figures] {
        self.entries.iter().find(|(name, _)| *name == entry).map_or(&[], |(_, rounds)| rounds)
    }

    /// A measure over the rounds. Each round's ratio is of two turns that followed one another.
    fn spread(&self, measure: &Measure) -> Option<Spread> {
        let own = self.rounds(measure.of).iter().map(|figures| figures.get(measure.figure));
        let Some(to) = measure.to else { return Spread::of(own.flatten().collect()) };
        let other = self.rounds(to).iter().map(|figures| figures.get(measure.figure));
        Spread::of(own.zip(other).filter_map(|(own, other)| Some(own? / other?)).collect())
    }

    pub(super) fn to_json(&self) -> Value {
        let entries = self.entries.iter().map(|(name, rounds)| {
            let names: BTreeSet<_> =
                rounds.iter().flat_map(|figures| &figures.values).map(|(name, _)| *name).collect();
            let medians: Map<_, _> = names
                .iter()
                .filter_map(|name| {
                    let values = rounds.iter().filter_map(|figures| figures.get(name)).collect();
                    Spread::of(values).map(|spread| ((*name).to_owned(), spread_json(spread)))
                })
                .collect();
            let rounds: Vec<_> = rounds.iter().map(Figures::to_json).collect();
            json!({ "name": name, "medians": medians, "rounds": rounds })
        });
        let entries: Vec<_> = entries.collect();
        let measures: Vec<_> = self
            .measures
            .iter()
            .filter_map(|measure| {
                let spread = self.spread(measure)?;
                let mut value = spread_json(spread);
                value["what"] = json!(measure.what);
                value["figure"] = json!(measure.figure);
                value["of"] = json!(measure.of);
                if let Some(to) = measure.to {
                    value["to"] = json!(to);
                }
                if let Some(goal) = measure.goal {
                    value["goal"] = json!(goal.text());
                    value["met"] = json!(goal.is_met(spread.median));
                }
                Some(value)
            })
            .collect();
        json!({ "name": self.name, "figure": self.figure, "measures": measures, "entries": entries })
    }
}

fn spread_json(spread: Spread) -> Value {
    json!({
        "median": rounded(spread.median),
        "least": rounded(spread.least),
        "most": rounded(spread.most),
    })
}
