//! Repetitions in fresh processes, the runtimes' in turns, and the sheet that comes of them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::catalogue::{Catalogue, Section, catalogue};
pub use super::process::Program;
use super::process::{self, Bounds, End, Line};
use super::sheet::{Both, Figure, Sheet, Shown, Timed};
use crate::guard::Guard;
use crate::host::Facts;

/// How long one process may take for each thing that it measures: the slowest are a second.
const LONGEST_EACH: Duration = Duration::from_secs(4);
/// How long it may take to start.
const LONGEST_START: Duration = Duration::from_secs(20);

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Whether it is the quick sheet.
    pub is_quick: bool,
    /// Repetitions of every item.
    pub repetitions: u32,
    /// Repetitions that are made in any case.
    pub fewest: u32,
    /// No further repetition begins after this time.
    pub enough: Duration,
    /// Repetitions of every pitfall, at most.
    pub pitfalls: u32,
    /// Repetitions of every pitfall that are made in any case. The further ones are of those that are timed: what is
    /// counted comes out as before.
    pub fewest_pitfalls: u32,
    /// No further repetition of pitfalls begins that would not end within this time, counted from the sheet's begin.
    pub within: Duration,
}

impl Effort {
    /// All of the quick sheet in half a minute on two cores. Six values are the fewest of which a median has an
    /// interval of 95 %.
    pub const QUICK: Effort = Effort {
        is_quick: true,
        repetitions: 6,
        fewest: 5,
        enough: Duration::from_secs(15),
        pitfalls: 6,
        fewest_pitfalls: 1,
        within: Duration::from_secs(28),
    };

    /// What a sheet takes that is to be pinned to the wall.
    pub const FULL: Effort = Effort {
        is_quick: false,
        repetitions: 21,
        fewest: 9,
        enough: Duration::from_secs(90),
        pitfalls: 6,
        fewest_pitfalls: 6,
        within: Duration::MAX,
    };
}

/// What is to be measured.
pub struct Task {
    /// The sections, in the sheet's order.
    pub sections: Vec<Section>,
    /// The runtimes.
    pub programs: Vec<Program>,
    /// How much.
    pub effort: Effort,
    /// The seed of every order.
    pub seed: u64,
    /// The host.
    pub host: Facts,
    /// The `conbench` that is the guard.
    pub guard: PathBuf,
    /// Set by a signal handler: end what runs, and give what is there.
    pub interrupted: Arc<AtomicBool>,
}

/// What goes on, for whoever watches. Never told while a process measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A process is about to measure.
    Measuring {
        /// The runtime's name.
        runtime: &'a str,
        /// `repetition 2 of 6`, or `pitfalls`.
        what: String,
    },
    /// Something that the reader should know.
    Warning(&'a str),
}

/// What was told of one id under one runtime.
#[derive(Default)]
struct Told {
    ns: Vec<f64>,
    pairs: Vec<(f64, f64)>,
    shown: Option<String>,
    unavailable: Option<String>,
}

/// One runtime, as its repetitions go on.
struct Runner<'a> {
    program: &'a Program,
    catalogue: Catalogue,
    told: HashMap<String, Told>,
    /// How a process ended that ended too early, the last time.
    broken: Option<String>,
}

/// Measures. What was there when a signal came is in the sheet, too.
///
/// # Errors
/// When nothing can be started.
pub fn run(task: &Task, observe: &mut dyn FnMut(&Event<'_>)) -> io::Result<Sheet> {
    let began = Instant::now();
    let began_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut guard = Guard::start(&task.guard, &std::env::temp_dir())?;
    let directory =
        guard.directory().map(Path::to_owned).ok_or_else(|| io::Error::other("the guard has no directory"))?;
    let package = crate::python::unpack_cheatsheet(&directory)?;
    let mut runners = task.programs.iter().map(|program| Runner::new(program, task)).collect::<io::Result<Vec<_>>>()?;
    let mut session = Session { task, guard: &mut guard, package: &package, observe, warnings: Vec::new() };
    let mut random = ChaCha8Rng::seed_from_u64(task.seed);
    session.repeat_items(&mut runners, &mut random, began)?;
    session.repeat_pitfalls(&mut runners, &mut random, began)?;
    let mut warnings = session.warnings;
    if let Err(error) = guard.close() {
        warnings.push(format!("at the end: {error}"));
    }
    let mut sheet = Sheet {
        conbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        began_at,
        elapsed_ns: crate::clock::nanos(began.elapsed()),
        is_interrupted: task.interrupted.load(Ordering::SeqCst),
        seed: task.seed,
        is_quick: task.effort.is_quick,
        sections: task.sections.clone(),
        host: task.host.clone(),
        runtimes: task.programs.iter().map(|program| program.runtime.clone()).collect(),
        items: Vec::new(),
        pitfalls: Vec::new(),
        warnings,
    };
    for runner in runners {
        runner.into_sheet(&mut sheet);
    }
    Ok(sheet)
}

struct Session<'a> {
    task: &'a Task,
    guard: &'a mut Guard,
    package: &'a Path,
    observe: &'a mut dyn FnMut(&Event<'_>),
    warnings: Vec<String>,
}

impl Session<'_> {
    /// Every item once a repetition; the runtimes in a new order each time.
    fn repeat_items(&mut self, runners: &mut [Runner<'_>], random: &mut ChaCha8Rng, began: Instant) -> io::Result<()> {
        let Effort { repetitions, fewest, enough, .. } = self.task.effort;
        for number in 0..repetitions {
            if number >= fewest && began.elapsed() > enough {
                break;
            }
            let what = format!("repetition {} of {repetitions}", number + 1);
            for at in order(runners.len(), random) {
                let Some(runner) = runners.get_mut(at) else { continue };
                let ids = runner.items();
                self.measure(runner, &ids, &what, random.random())?;
            }
        }
        Ok(())
    }

    /// The pitfalls; what they do to a process is done to one that measures nothing else.
    fn repeat_pitfalls(
        &mut self,
        runners: &mut [Runner<'_>],
        random: &mut ChaCha8Rng,
        began: Instant,
    ) -> io::Result<()> {
        let Effort { pitfalls, fewest_pitfalls, within, .. } = self.task.effort;
        let mut longest = Duration::ZERO;
        for number in 0..pitfalls {
            let is_further = number >= fewest_pitfalls;
            if is_further && began.elapsed() + longest > within {
                break;
            }
            let begins = Instant::now();
            for at in order(runners.len(), random) {
                let Some(runner) = runners.get_mut(at) else { continue };
                let ids = runner.pitfalls(is_further);
                self.measure(runner, &ids, "pitfalls", random.random())?;
            }
            longest = longest.max(begins.elapsed());
        }
        Ok(())
    }

    fn measure(&mut self, runner: &mut Runner<'_>, ids: &[String], what: &str, seed: u64) -> io::Result<()> {
        if ids.is_empty() || self.task.interrupted.load(Ordering::SeqCst) {
            return Ok(());
        }
        let name = &runner.program.runtime.name;
        (self.observe)(&Event::Measuring { runtime: name, what: what.to_owned() });
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let bounds =
            Bounds { longest: LONGEST_START + LONGEST_EACH.saturating_mul(count), interrupted: &self.task.interrupted };
        let done = process::measure(self.guard, runner.program, self.package, &ids, seed, &bounds)?;
        for line in done.lines {
            runner.take(line);
        }
        if let End::Broken(how) = done.end {
            let warning = format!("{name}, {what}: {how}");
            (self.observe)(&Event::Warning(&warning));
            self.warnings.push(warning);
            runner.broken = Some(how);
        }
        Ok(())
    }
}

/// The numbers below `length`, shuffled: a fixed order would give a disturbance that comes in turns to one runtime.
fn order(length: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    order.shuffle(random);
    order
}

impl<'a> Runner<'a> {
    fn new(program: &'a Program, task: &Task) -> io::Result<Runner<'a>> {
        let catalogue = catalogue(program.runtime.language, &task.sections).map_err(io::Error::other)?;
        Ok(Runner { program, catalogue, told: HashMap::new(), broken: None })
    }

    /// The items of the next repetition: what cannot be measured here is not tried again.
    fn items(&self) -> Vec<String> {
        let is_open = |id: &str| self.told.get(id).is_none_or(|told| told.unavailable.is_none());
        self.catalogue.items.iter().map(|item| item.id.clone()).filter(|id| is_open(id)).collect()
    }

    /// The pitfalls of the next repetition: all that can be shown here, or those of them that are timed.
    fn pitfalls(&self, are_timed: bool) -> Vec<String> {
        let is_open = |id: &str| self.told.get(id).is_none_or(|told| told.unavailable.is_none());
        let all = self.catalogue.pitfalls.iter();
        let meant = all.filter(|pitfall| !(are_timed && pitfall.is_counted()) && is_open(&pitfall.id));
        meant.map(|pitfall| pitfall.id.clone()).collect()
    }

    fn take(&mut self, line: Line) {
        let told = self.told.entry(line.id().to_owned()).or_default();
        told.ns.extend(line.ns.filter(|ns| ns.is_finite()));
        told.pairs.extend(line.wrong.zip(line.mended));
        told.shown = line.shown.or(told.shown.take());
        told.unavailable = line.unavailable.or(told.unavailable.take());
    }

    fn into_sheet(mut self, sheet: &mut Sheet) {
        let is_cut = sheet.is_interrupted;
        let missing = |broken: &Option<String>| match broken {
            Some(how) => format!("it was not measured: {how}"),
            None if is_cut => "it was not measured: a signal came first".to_owned(),
            None => "it was not measured: its process did not name it".to_owned(),
        };
        let runtime = self.program.runtime.name.clone();
        for item in self.catalogue.items {
            let told = self.told.remove(&item.id).unwrap_or_default();
            let figure = Figure::of(told.ns);
            let unavailable = figure.is_none().then(|| told.unavailable.unwrap_or_else(|| missing(&self.broken)));
            sheet.items.push(Timed { runtime: runtime.clone(), item, figure, unavailable });
        }
        for pitfall in self.catalogue.pitfalls {
            let told = self.told.remove(&pitfall.id).unwrap_or_default();
            let figures = both(&told);
            let unavailable = figures.is_none().then(|| told.unavailable.unwrap_or_else(|| missing(&self.broken)));
            sheet.pitfalls.push(Shown { runtime: runtime.clone(), pitfall, figures, unavailable });
        }
    }
}

/// The figures of a pitfall; `None` if there are none.
fn both(told: &Told) -> Option<Both> {
    let (wrong, mended): (Vec<f64>, Vec<f64>) = told.pairs.iter().copied().unzip();
    Both::of(&wrong, &mended, told.shown.clone())
}
