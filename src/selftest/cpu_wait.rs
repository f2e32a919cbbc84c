//! `cpu-wait`: tasks that compute and wait, in a ladder of sizes up to and beyond the knee.

use super::arm::{Arm, Bench, LOOP, LawError, Runtime, SHA256, at_once, wait};
use super::rounds::median;
use super::{Finding, theory};
use crate::candidate::Engine;
use crate::protocol::Block;

/// Fewer than for other laws: a window is long, and a ladder has many of them.
const ROUNDS: usize = 5;

/// Where the knee is meant to be: a ladder to four times that is still of a size that every host runs.
const KNEE: f64 = 20.0;

/// A window begins with all tasks at the start of their wait, and the cores idle: little beside so many tasks.
const TASKS_IN_A_WINDOW: f64 = 50.0;

/// Away from the knee by a factor of two.
const AWAY: (f64, f64) = (0.95, 1.03);

/// Near it tasks wait for each other by chance, which an asymptotic bound leaves out: it takes each task to
/// find a core free as long as there are enough cores on average.
const NEAR: (f64, f64) = (0.85, 1.03);

/// One step of a ladder of which each size is twice the one before.
const ONE_STEP: (f64, f64) = (0.5, 2.0);

/// A computation that lets go of a global interpreter lock where there is one, after a wait.
pub(super) fn cpu_wait(bench: &mut Bench, runtime: &Runtime, show: &mut dyn FnMut(Finding)) -> Result<(), LawError> {
    let engines = [Engine::ThreadPool, Engine::TokioMultiThread, Engine::ThreadPoolExecutor];
    // What an interpreter spends on a task holds its lock, and must be little beside the task.
    let (kernel, cpu_ns) = if runtime.is_interpreted() { (SHA256, 2e6) } else { (LOOP, 1e6) };
    let knee = KNEE.max(2.0 * f64::from(bench.usable_cpus));
    let wait_ns = cpu_ns * (knee / f64::from(bench.usable_cpus) - 1.0);
    let compute = runtime.cpu(kernel, cpu_ns);
    let sizes: Vec<u32> = (0..).map(|step| 1 << step).take_while(|size| f64::from(*size) <= 4.0 * knee).collect();
    for engine in engines.into_iter().filter(|engine| runtime.offers(*engine)) {
        let steps = vec![wait(wait_ns as u64), compute.clone()];
        let arms = sizes.iter().map(|size| bench.arm(runtime, engine, *size, steps.clone()));
        let mut arms = arms.collect::<Result<Vec<Arm>, LawError>>()?;
        let host = (0..bench.usable_cpus).map(|_| bench.arm(runtime, Engine::Sequential, 1, vec![compute.clone()]));
        let mut host = Host(host.collect::<Result<Vec<Arm>, LawError>>()?);
        let window_ns = (TASKS_IN_A_WINDOW * (cpu_ns + wait_ns)) as u64;
        let rounds = (0..ROUNDS).map(|_| round(&mut arms, &mut host, window_ns));
        let rounds = rounds.collect::<Result<Vec<Round>, LawError>>()?;
        let names: Vec<String> = arms.iter().map(|arm| arm.candidate.clone()).collect();
        Ladder::of(&sizes, &rounds).findings(&names, engine).into_iter().for_each(&mut *show);
    }
    Ok(())
}

/// As many processes as there are usable CPUs, each of which only computes: what they reach together is what the
/// cores give.
struct Host(Vec<Arm>);

impl Host {
    const WINDOW_NS: u64 = 100_000_000;

    /// The CPU time of a computation that runs alone.
    fn alone_ns(&mut self) -> Result<f64, LawError> {
        self.0.first_mut().map_or(Ok(f64::NAN), |arm| Ok(cpu_of_a_task(&arm.window(Self::WINDOW_NS)?)))
    }

    /// How many computations the cores end in a second, now.
    fn capacity_per_s(&mut self) -> Result<f64, LawError> {
        Ok(at_once(&mut self.0, Self::WINDOW_NS)?.iter().map(Block::throughput_per_s).sum())
    }
}

fn cpu_of_a_task(block: &Block) -> f64 {
    block.usage.cpu_ns() as f64 / block.tasks as f64
}

/// One window of each size, and what theory takes.
struct Round {
    rates: Vec<f64>,
    /// While each size ran.
    usable_cores: Vec<f64>,
    cpu_ns: f64,
    wait_ns: f64,
}

/// Each window lies between two looks at the host: what other programs take of it changes within a round.
fn round(arms: &mut [Arm], host: &mut Host, window_ns: u64) -> Result<Round, LawError> {
    let alone_ns = host.alone_ns()?;
    let (mut blocks, mut usable_cores) = (Vec::new(), Vec::new());
    let mut before = host.capacity_per_s()?;
    for arm in arms {
        blocks.push(arm.window(window_ns)?);
        let after = host.capacity_per_s()?;
        usable_cores.push((before + after) / 2.0 * alone_ns / 1e9);
        before = after;
    }
    let rates: Vec<f64> = blocks.iter().map(Block::throughput_per_s).collect();
    // With one in flight: what waiting costs of CPU is part of what a task computes.
    let cpu_ns = blocks.first().map_or(f64::NAN, cpu_of_a_task);
    let wait_ns = rates.first().map_or(f64::NAN, |rate| 1e9 / rate - cpu_ns);
    Ok(Round { rates, usable_cores, cpu_ns, wait_ns })
}

impl Round {
    /// What theory says of the size at this place of the ladder.
    fn bound(&self, at: usize, size: u32) -> f64 {
        theory::cpu_wait(size, self.cpu_ns, self.wait_ns, self.usable_cores[at])
    }
}

/// What rounds gave, by medians over them.
struct Ladder {
    /// What follows has one entry for each.
    sizes: Vec<u32>,
    /// What theory says, per second.
    bounds: Vec<f64>,
    /// What was measured, per second.
    rates: Vec<f64>,
    usable_cores: Vec<f64>,
    cpu_ns: f64,
    wait_ns: f64,
}

impl Ladder {
    fn of(sizes: &[u32], rounds: &[Round]) -> Ladder {
        let over = |figure: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<f64>>());
        let each = || sizes.iter().copied().enumerate();
        let bounds: Vec<f64> = each().map(|(at, size)| over(&|round| round.bound(at, size))).collect();
        let ratios = each().map(|(at, size)| over(&|round| round.rates[at] / round.bound(at, size)));
        Ladder {
            rates: bounds.iter().zip(ratios).map(|(bound, ratio)| bound * ratio).collect(),
            bounds,
            sizes: sizes.to_vec(),
            usable_cores: each().map(|(at, _)| over(&|round| round.usable_cores[at])).collect(),
            cpu_ns: over(&|round| round.cpu_ns),
            wait_ns: over(&|round| round.wait_ns),
        }
    }

    /// Each size beside its bound, and last the knee. `names` are the candidates, one for each size.
    fn findings(&self, names: &[String], engine: Engine) -> Vec<Finding> {
        let crossing = theory::crossing(self.cpu_ns, self.wait_ns, median(&self.usable_cores));
        let (cpu_ms, wait_ms) = (self.cpu_ns / 1e6, self.wait_ns / 1e6);
        let size = |(at, name): (usize, &String)| {
            let beside_crossing = f64::from(self.sizes[at]) / crossing;
            Finding {
                law: "cpu-wait",
                what: name.clone(),
                theory: self.bounds[at],
                measured: self.rates[at],
                unit: "/s",
                tolerance: Some(if (0.5..=2.0).contains(&beside_crossing) { NEAR } else { AWAY }),
                from: format!("{cpu_ms:.2} ms CPU, {wait_ms:.1} ms wait, {:.2} usable cores", self.usable_cores[at]),
            }
        };
        let knee = |rates| theory::knee(&self.sizes, rates).map_or(f64::NAN, f64::from);
        let knee = Finding {
            law: "cpu-wait",
            what: format!("knee of {engine}"),
            theory: knee(&self.bounds),
            measured: knee(&self.rates),
            unit: "in flight",
            tolerance: Some(ONE_STEP),
            from: format!("first size within 5 % of the best; the lines cross at {crossing:.1}"),
        };
        names.iter().enumerate().map(size).chain([knee]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

    /// Rounds of 1 ms of CPU and 9 ms of wait on two cores, which are `share` as fast in each.
    fn findings(shares: &[f64], rates: &dyn Fn(f64) -> [f64; 7]) -> Vec<Finding> {
        let round = |share: &f64| Round {
            rates: rates(*share).to_vec(),
            usable_cores: vec![2.0 * share; SIZES.len()],
            cpu_ns: 1e6,
            wait_ns: 9e6,
        };
        let rounds: Vec<Round> = shares.iter().map(round).collect();
        let names: Vec<String> = SIZES.iter().map(|size| format!("w{size}")).collect();
        Ladder::of(&SIZES, &rounds).findings(&names, Engine::ThreadPool)
    }

    #[test]
    fn what_others_take_of_the_cores_in_a_round_cancels() {
        let ideal =
            |share: f64| [100.0, 200.0, 400.0, 800.0, 1600.0, 2000.0, 2000.0].map(|r: f64| r.min(2000.0 * share));
        let findings = findings(&[1.0, 0.5, 0.75, 0.9, 1.0], &ideal);
        assert!(findings.iter().all(|finding| (finding.ratio() - 1.0).abs() < 1e-9), "{findings:?}");
        assert_eq!(findings.len(), SIZES.len() + 1);
    }

    #[test]
    fn only_near_the_knee_may_chance_cost_more() {
        let measured = |_| [100.0, 198.0, 392.0, 770.0, 1400.0, 1850.0, 1960.0];
        let findings = findings(&[1.0], &measured);
        assert!(findings.iter().all(|finding| finding.holds() == Some(true)), "{findings:?}");
        let near: Vec<&str> =
            findings.iter().filter(|finding| finding.tolerance == Some(NEAR)).map(|finding| &*finding.what).collect();
        assert_eq!(near, ["w16", "w32"]);
        let knee = findings.last().expect("the knee");
        assert_eq!((knee.theory, knee.measured), (32.0, 64.0));
    }

    #[test]
    fn a_knee_two_steps_off_breaks_the_law() {
        let early = |_| [100.0, 200.0, 400.0, 500.0, 500.0, 500.0, 500.0];
        assert_eq!(findings(&[1.0], &early).last().and_then(Finding::holds), Some(false));
    }
}
