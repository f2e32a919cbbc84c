//! `conbench duel` and `conbench gate`: two versions of the same work, measured in one session.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use super::args::{self, Paged, PythonCode, RecordFormat, Selection};
use super::measure::{self, Measuring, Planning};
use super::progress::Progress;
use super::versions::{self, Forms, Version, Versions};
use super::{Exit, Failure, Terminal, seams, signals, terminal as terminals};
use crate::analyze::duel::{self as analysis, DuelVerdict, Said};
use crate::candidate::Candidate;
use crate::decide::duel::{BASE, Comparison, DuelRules, Figure, HEAD, RULES_VERSION, Threshold};
use crate::escape::plain;
use crate::plan::{Entry, Plan};
use crate::record::duel::{DuelRecord, EITHER, FORMAT_VERSION, SideFailure, SideRecord};
use crate::record::{self, Document, Ending, Record};
use crate::report::{self, Judged};
use crate::session::{self, AgentProgram, Session, Side};
use crate::workload::{Goal, Workload};

/// So many lives of each side are cold, with their memory measured, where nobody asks for more: as many as an interval needs.
const COLD_LIVES: u32 = 4;
/// How much worse throughput may be where nobody says.
const USUAL: Threshold = Threshold { figure: Figure::Throughput, most: 0.05 };

/// What `duel` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(super) struct DuelArgs {
    /// A function (shop.scrape:parse, shop/scrape.py:parse), a workload file or a shipped workload: two of them are base
    /// and head
    #[arg(value_name = "TARGET", num_args = 1..=2, required = true)]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    forms: Forms,
    /// How much worse head may be: throughput, p50, p99, cpu_per_task, memory, start_up, e.g. throughput=5%,p99=10%
    /// [default: throughput=5%]
    #[arg(long, value_name = "FIGURE=PERCENT,..", value_delimiter = ',', value_parser = args::threshold)]
    max_regression: Vec<Threshold>,
    #[command(flatten)]
    code: PythonCode,
    #[command(flatten)]
    selection: Selection,
    /// How the comparison is written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: RecordFormat,
    /// Save what was measured here, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Write a test report here
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    junit: Option<PathBuf>,
}

/// What `gate` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(super) struct GateArgs {
    #[command(flatten)]
    duel: DuelArgs,
    /// What a gate does that cannot tell
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    undecided: Undecided,
}

/// What a gate does that cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Undecided {
    /// End with 0
    Pass,
    /// End with 11
    #[default]
    Fail,
}

/// Compares, and ends with 0 whatever was found, unless a side could not run.
pub(super) fn run(args: &DuelArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (record, verdict) = fight(args, terminal)?;
    heard(show(args, &record, &verdict, terminal))?;
    Ok(match verdict.said {
        _ if is_interrupted(&record) => Exit::Interrupted,
        Said::SideFailed => Exit::NoAnswer,
        _ => Exit::Fine,
    })
}

/// Compares, and ends with a code that says what was found. The last line for people is its word.
pub(super) fn gate(args: &GateArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (record, verdict) = fight(&args.duel, terminal)?;
    heard(show(&args.duel, &record, &verdict, terminal))?;
    let word = verdict.said.word();
    if is_for_people(args.duel.format) {
        heard(terminal.print(&format!("{word}\n")))?;
    } else {
        // A reader of the format would stumble over it.
        terminal.note(word);
    }
    Ok(match verdict.said {
        _ if is_interrupted(&record) => Exit::Interrupted,
        Said::NotRegressed => Exit::Fine,
        Said::Regressed => Exit::Regressed,
        Said::ChoiceChanged => Exit::ChoiceChanged,
        Said::SideFailed => Exit::SideFailed,
        Said::Undecided if args.undecided == Undecided::Pass => Exit::Fine,
        Said::Undecided => Exit::Undecided,
    })
}

const fn is_for_people(format: RecordFormat) -> bool {
    matches!(format, RecordFormat::Table | RecordFormat::Markdown | RecordFormat::Github)
}

/// A reader who has gone away (`conbench gate .. | head`) does not make a regression pass.
fn heard(shown: Result<(), Failure>) -> Result<(), Failure> {
    match shown {
        Err(failure) if failure.exit() == Exit::Fine => Ok(()),
        other => other,
    }
}

fn is_interrupted(record: &DuelRecord) -> bool {
    let all = [record.record.as_ref(), record.base.race.as_ref(), record.head.race.as_ref()];
    all.into_iter().flatten().any(|record| record.ending == Ending::Interrupted)
}

fn show(args: &DuelArgs, record: &DuelRecord, verdict: &DuelVerdict, terminal: &Terminal) -> Result<(), Failure> {
    let text = text(args.format, record, verdict, terminal)?;
    let shown = terminal.print(&text);
    if args.format == RecordFormat::Github {
        versions::annotate(&report::duel_sentence(record, verdict), &text, verdict.said, terminal);
    }
    if let Some(path) = &args.output {
        record::write(path, report::duel_json(record, verdict)?.as_bytes()).map_err(Failure::Save)?;
    }
    if let Some(path) = &args.junit {
        let text = report::duel_junit(record, verdict).map_err(Failure::Export)?;
        record::write(path, text.as_bytes()).map_err(Failure::Save)?;
    }
    shown
}

/// The duel, written so.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub(super) fn text(
    format: RecordFormat,
    record: &DuelRecord,
    verdict: &DuelVerdict,
    terminal: &Terminal,
) -> Result<String, Failure> {
    match (format, format.export()) {
        (_, Some(export)) => report::duel_export(export, record, verdict).map_err(Failure::Export),
        (RecordFormat::Json, _) => Ok(report::duel_json(record, verdict)?),
        (RecordFormat::Markdown, _) => Ok(report::duel_markdown(record, verdict)),
        _ => Ok(report::duel_table(record, verdict, terminals::stdout_style(terminal.colour))),
    }
}

/// What duels are called in messages.
const KIND: &str = "duel";

/// The duel in a file, with its verdict: made anew, or, under other rules, as it stands there. `None` where the file is
/// none.
///
/// # Errors
/// When it is one of another version, or a broken one.
pub(super) fn stored(document: &mut Document) -> Result<Option<(DuelRecord, DuelVerdict)>, Failure> {
    let Some(duel) = document.take("duel") else { return Ok(None) };
    document.check_version(KIND, FORMAT_VERSION).map_err(Failure::Read)?;
    let broken = |source| Failure::Read(document.broken(KIND, source));
    let record: DuelRecord = serde_json::from_value(duel).map_err(broken)?;
    if record.rules_version == RULES_VERSION {
        let verdict = analysis::duel(&record);
        return Ok(Some((record, verdict)));
    }
    let verdict = document.clone().take(measure::VERDICT).unwrap_or_default();
    let verdict = serde_json::from_value(verdict).map_err(broken)?;
    Ok(Some((record, verdict)))
}

/// Measures both sides. What could not run at all is a duel, too: one with a failure.
fn fight(args: &DuelArgs, terminal: &Terminal) -> Result<(DuelRecord, DuelVerdict), Failure> {
    let record = match measure_both(args, terminal) {
        Err(failure) if failure.exit() == Exit::NoAnswer => unstarted(args, &failure),
        found => found?,
    };
    let verdict = analysis::duel(&record);
    // A format for programs may have no place for it.
    if verdict.said == Said::SideFailed && !is_for_people(args.format) {
        terminal.complain(&report::duel_sentence(&record, &verdict));
    }
    Ok((record, verdict))
}

/// A duel of which nothing is known but what was asked.
fn unstarted(args: &DuelArgs, failure: &Failure) -> DuelRecord {
    let target = |at: usize| args.targets.get(at).map(|target| plain(&target.display().to_string()));
    let side = |what: Option<String>, name: &str| SideRecord {
        what: what.unwrap_or_else(|| name.to_owned()),
        commit: None,
        changed: Vec::new(),
        race: None,
    };
    let two = args.targets.len() == 2;
    DuelRecord {
        rules_version: RULES_VERSION,
        workload: target(0).unwrap_or_default(),
        base: side(target(0).filter(|_| two), BASE),
        head: side(target(1), HEAD),
        rules: DuelRules {
            candidates: Vec::new(),
            comparisons: Vec::new(),
            deadline_ns: 0,
            seed: 0,
            cold_lives: COLD_LIVES,
        },
        choice: None,
        record: None,
        failure: Some(SideFailure { side: EITHER.to_owned(), reason: failure.to_string() }),
    }
}

fn measure_both(args: &DuelArgs, terminal: &Terminal) -> Result<DuelRecord, Failure> {
    if args.selection.cluster.is_some() {
        let message = "two versions are compared on this host: --cluster is an option of run and recommend";
        return Err(Failure::Usage(message.to_owned()));
    }
    if args.selection.strict {
        let message = "--strict is an option of run and recommend: a version that cannot run is a failed side already";
        return Err(Failure::Usage(message.to_owned()));
    }
    measure::check_output(args.output.as_deref())?;
    measure::check_output(args.junit.as_deref())?;
    let versions = versions::find(&args.targets, &args.forms, &args.code, &args.selection, terminal)?;
    let found = Duelling { args, terminal, versions: &versions }.fight();
    // Folders of revisions go with it, whatever happened.
    let closed = versions.close();
    let record = found?;
    if let Err(error) = closed {
        terminal.warn(&format!("at the end: {error}"));
    }
    Ok(record)
}

/// A duel, and what it needs.
struct Duelling<'a> {
    args: &'a DuelArgs,
    terminal: &'a Terminal,
    versions: &'a Versions,
}

/// The candidates that are compared, and the head's own choice where that is another one.
type Compared = (Vec<Candidate>, Option<Candidate>);

/// A side that is ready to be measured.
struct Ready<'a> {
    version: &'a Version,
    measuring: Measuring<'a>,
    plan: Plan,
}

impl Duelling<'_> {
    fn fight(&self) -> Result<DuelRecord, Failure> {
        let paged = Paged::default();
        let plannings = [self.planning(&self.versions.base)?, self.planning(&self.versions.head)?];
        let interrupted = signals::watch().map_err(Failure::Signals)?;
        let [base, head] = plannings;
        let ready = |version, planning| self.ready(version, planning, &paged, Arc::clone(&interrupted));
        let (base, head) = (ready(&self.versions.base, base)?, ready(&self.versions.head, head)?);
        let left_out = [&base, &head].map(|ready| ready.measuring.planning.runtimes().left_out());
        measure::warn_of_left_out(left_out.concat(), self.terminal);
        let mut record = DuelRecord {
            rules_version: RULES_VERSION,
            workload: base.version.workload.name.clone(),
            base: side(base.version),
            head: side(head.version),
            rules: DuelRules {
                candidates: Vec::new(),
                comparisons: Vec::new(),
                deadline_ns: self.share(&base).as_nanos() as u64,
                seed: base.measuring.planning.settings(Duration::ZERO).seed,
                cold_lives: if self.looks_at_starts() { u32::MAX } else { COLD_LIVES },
            },
            choice: None,
            record: None,
            failure: None,
        };
        let candidates = match sizes_of(&base.plan) {
            Some(candidates) => Some((candidates, None)),
            None => self.race(&base, &head, &mut record)?,
        };
        let Some((candidates, rival)) = candidates else { return Ok(record) };
        record.rules.deadline_ns = self.left(&record).max(record.rules.deadline_ns);
        self.set_rules(&mut record, candidates, rival, &base.version.workload);
        record.record = ran(self.compare(&base, &head, &record.rules), EITHER, &mut record.failure)?;
        Ok(record)
    }

    fn planning<'a>(&self, version: &'a Version) -> Result<Planning<'a>, Failure> {
        let mut planning = Planning::prepare(&version.selection)?;
        planning.find_executors(std::slice::from_ref(&version.workload), &self.side(version))?;
        Ok(planning)
    }

    /// How the agents of a version run.
    fn side(&self, version: &Version) -> measure::Side {
        let mut environment = Vec::new();
        if let Some(compiled) = self.versions.compiled() {
            environment.push(("PYTHONPYCACHEPREFIX".into(), compiled.into()));
            environment.push(("PYTHONDONTWRITEBYTECODE".into(), "".into()));
        }
        measure::Side { native: version.native.clone(), directory: version.here.clone(), environment }
    }

    fn ready<'a>(
        &'a self,
        version: &'a Version,
        planning: Planning<'a>,
        paged: &'a Paged,
        interrupted: Arc<std::sync::atomic::AtomicBool>,
    ) -> Result<Ready<'a>, Failure> {
        measure::check_remote(&version.workload, self.args.selection.allow_remote)?;
        let plan = planning.plan(&version.workload, args::usual_budget(1))?;
        let mut runtimes: Vec<&str> = plan.entries.iter().map(|entry| entry.runtime.as_str()).collect();
        runtimes.dedup();
        if runtimes.len() > 1 {
            let all = runtimes.join(" and ");
            return Err(Failure::Usage(format!(
                "versions are compared under one runtime, and there are {all}: name one with --runtimes"
            )));
        }
        let measuring =
            Measuring { side: self.side(version), ..Measuring::new(self.terminal, planning, paged, interrupted) };
        Ok(Ready { version, measuring, plan })
    }

    /// The time for each of the two races and for the comparison.
    fn share(&self, ready: &Ready<'_>) -> Duration {
        self.args.selection.budget.map_or_else(|| args::usual_budget(1), |budget| budget / parts(ready))
    }

    /// What the races left of the time that was named, ns; 0 where none was.
    fn left(&self, record: &DuelRecord) -> u64 {
        let races = [&record.base.race, &record.head.race];
        let spent: u64 = races.into_iter().flatten().map(|race| race.elapsed_ns).sum();
        self.args.selection.budget.map_or(0, |budget| (budget.as_nanos() as u64).saturating_sub(spent))
    }

    /// The same of the calls that the workload allows.
    fn share_of_calls(&self, workload: &Workload, ready: &Ready<'_>) -> Option<u64> {
        workload.max_calls.map(|most| most / u64::from(parts(ready)))
    }

    /// Whether start-up or memory may decide, so that every life must tell them.
    fn looks_at_starts(&self) -> bool {
        self.args.max_regression.iter().any(|it| matches!(it.figure, Figure::Memory | Figure::StartUp))
    }

    /// Finds each side's own choice. Returns the candidates that are compared, and the head's choice where it is another
    /// one; `None` where a side has none.
    fn race(&self, base: &Ready<'_>, head: &Ready<'_>, record: &mut DuelRecord) -> Result<Option<Compared>, Failure> {
        let budget = self.share(base);
        let measured = |ready: &Ready<'_>| {
            let workload = ready.version.workload.clone();
            ready.measuring.measure(
                Workload { max_calls: self.share_of_calls(&workload, ready), ..workload },
                budget,
                &[],
            )
        };
        let Some(of_base) = ran(measured(base), BASE, &mut record.failure)? else { return Ok(None) };
        let candidates = self.chosen(&of_base);
        let chosen = analysis::named(&of_base.verdict);
        let is_over = candidates.is_empty() || of_base.record.ending == Ending::Interrupted;
        record.base.race = Some(of_base.record);
        if is_over {
            return Ok(None);
        }
        let Some(of_head) = ran(measured(head), HEAD, &mut record.failure)? else { return Ok(None) };
        let theirs = analysis::named(&of_head.verdict);
        let is_over = theirs.is_none() || of_head.record.ending == Ending::Interrupted;
        record.head.race = Some(of_head.record);
        if is_over {
            return Ok(None);
        }
        let is_same = |one: &Candidate, other: &Candidate| one.short() == other.short();
        let rival = theirs.filter(|theirs| !chosen.as_ref().is_some_and(|chosen| is_same(chosen, theirs)));
        Ok(Some((candidates, rival)))
    }

    /// What the base's race named, or, of engines that the user named, the best of each.
    fn chosen(&self, judged: &Judged) -> Vec<Candidate> {
        let Some(group) = judged.verdict.groups.first() else { return Vec::new() };
        let Some(chosen) = analysis::named(&judged.verdict) else { return Vec::new() };
        let mut all = vec![chosen];
        if !self.args.selection.names_engines() {
            return all;
        }
        // One that failed is compared, too: it fails again, which is what there is to say of it.
        let mut rows: Vec<_> = group.rows.iter().collect();
        rows.sort_by(|one, other| {
            let reach = |row: &crate::analyze::Row| row.relative.map_or(0.0, |relative| relative.value);
            reach(other).total_cmp(&reach(one))
        });
        for row in rows {
            if !all.iter().any(|known| known.kind() == row.candidate.kind()) {
                all.push(row.candidate.clone());
            }
        }
        all
    }

    /// Asks for each candidate whether head is worse, and whether the base's choice (the first of them) is still good.
    fn set_rules(
        &self,
        record: &mut DuelRecord,
        candidates: Vec<Candidate>,
        rival: Option<Candidate>,
        workload: &Workload,
    ) {
        let thresholds =
            if self.args.max_regression.is_empty() { vec![USUAL] } else { self.args.max_regression.clone() };
        let rules = &mut record.rules;
        for candidate in candidates {
            let first = rules.candidates.len() as u32;
            rules.candidates.push(Candidate { runtime: BASE.to_owned(), ..candidate.clone() });
            rules.candidates.push(Candidate { runtime: HEAD.to_owned(), ..candidate });
            let thresholds = thresholds.clone();
            rules.comparisons.push(Comparison { first, second: first + 1, thresholds });
        }
        if let Some(rival) = rival {
            let known = |one: &Candidate| one.runtime == HEAD && one.short() == rival.short();
            let first = rules.candidates.iter().position(known).unwrap_or_else(|| {
                rules.candidates.push(Candidate { runtime: HEAD.to_owned(), ..rival.clone() });
                rules.candidates.len() - 1
            });
            let most = self.args.selection.tolerance.unwrap_or_else(|| workload.objective.tolerance());
            let threshold = Threshold { figure: figure_of(workload.objective.goal), most };
            record.choice = Some(rules.comparisons.len() as u32);
            // The head's choice is the base's, at the head.
            rules.comparisons.push(Comparison { first: first as u32, second: 1, thresholds: vec![threshold] });
        }
    }

    /// Measures the candidates of both sides, in the same rounds.
    fn compare(&self, base: &Ready<'_>, head: &Ready<'_>, rules: &DuelRules) -> Result<Record, Failure> {
        let workload = base.version.workload.clone();
        let mut workload = Workload { max_calls: self.share_of_calls(&workload, base), ..workload };
        if self.args.max_regression.iter().any(|it| it.figure == Figure::P99) {
            // Blocks then have as many tasks as a tail needs.
            workload.objective.goal = Goal::P99;
        }
        let mut progress = Progress::new(&workload.name, (1, 1), self.terminal);
        let settings = base.measuring.planning.settings_of(&workload, Duration::from_nanos(rules.deadline_ns));
        let side = |ready: &Ready<'_>, name: &str| {
            let Workload { steps, engines, .. } = ready.version.workload.clone();
            Side { name: name.to_owned(), steps, engines }
        };
        let entries = |ready: &Ready<'_>, name: &str| entries(&ready.plan, rules, name);
        let plan = Plan { entries: [entries(base, BASE), entries(head, HEAD)].concat(), ..Plan::default() };
        let session = Session {
            workload,
            settings,
            host: base.measuring.planning.facts().clone(),
            agents: vec![agent(base, BASE)?, agent(head, HEAD)?],
            plan,
            clusters: Vec::new(),
            upload: Vec::new(),
            output: None,
            interrupted: Arc::clone(&base.measuring.interrupted),
            duel: Some(session::Versions { rules: rules.clone(), sides: [side(base, BASE), side(head, HEAD)] }),
        };
        let measured = seams::measure(session, &mut progress);
        progress.clear();
        measured.map_err(Failure::Session)
    }
}

/// What a session measured; where it could not run at all, that is what the duel tells of this side.
fn ran<T>(session: Result<T, Failure>, side: &str, failure: &mut Option<SideFailure>) -> Result<Option<T>, Failure> {
    match session {
        Ok(measured) => Ok(Some(measured)),
        Err(Failure::Session(error)) => {
            *failure = Some(SideFailure { side: side.to_owned(), reason: error.to_string() });
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// The sessions that share what the user allows: two races and the comparison, or that alone.
fn parts(ready: &Ready<'_>) -> u32 {
    if sizes_of(&ready.plan).is_some() { 1 } else { 3 }
}

/// The agent of a side, under the side's name.
fn agent(ready: &Ready<'_>, name: &str) -> Result<AgentProgram, Failure> {
    let runtime = ready.plan.entries.first().map_or("", |entry| entry.runtime.as_str());
    let found = ready.measuring.agents(&ready.plan).into_iter().find(|agent| agent.runtime == runtime);
    let agent = match found {
        Some(agent) => agent,
        None => AgentProgram::native(&std::env::current_exe().map_err(Failure::Directory)?),
    };
    Ok(AgentProgram { runtime: name.to_owned(), ..agent })
}

/// The entries of the engines that are compared, under the side's name.
fn entries(plan: &Plan, rules: &DuelRules, name: &str) -> Vec<Entry> {
    let is_compared = |entry: &&Entry| rules.candidates.iter().any(|candidate| candidate.engine == entry.engine);
    let named = |entry: &Entry| Entry { runtime: name.to_owned(), ..entry.clone() };
    plan.entries.iter().filter(is_compared).map(named).collect()
}

fn side(version: &Version) -> SideRecord {
    let Version { what, commit, changed, .. } = version.clone();
    SideRecord { what, commit, changed, race: None }
}

/// The candidates of a plan that leaves nothing to search.
fn sizes_of(plan: &Plan) -> Option<Vec<Candidate>> {
    let only = |ladder: &[u32]| ladder.len() < 2;
    let one = |entry: &Entry| {
        let is_one = only(&entry.workers) && only(&entry.in_flight) && only(&entry.chunk);
        let first = |ladder: &[u32]| ladder.first().copied();
        let sizes = crate::candidate::Sizes {
            workers: first(&entry.workers),
            in_flight: first(&entry.in_flight),
            chunk: first(&entry.chunk),
        };
        is_one.then(|| entry.candidate(sizes))
    };
    plan.entries.iter().map(one).collect()
}

fn figure_of(goal: Goal) -> Figure {
    match goal {
        Goal::Throughput => Figure::Throughput,
        Goal::P99 => Figure::P99,
        Goal::Memory => Figure::Memory,
        Goal::CpuPerTask => Figure::CpuPerTask,
    }
}
