//! The least CPU time that a task is known to take, whatever the engine.
//!
//! The host's speed changes from round to round, and the least of many figures is the luckiest of them. So candidates are
//! compared within rounds, and one counts by its mean and one standard error: it takes less only where that is credible.

use std::collections::BTreeMap;

use super::figures::Figures;
use crate::record::{BlockRecord, Record};

/// The CPU time of a task in one block.
pub(super) type OfBlock = fn(&BlockRecord) -> Option<f64>;

/// That of the task alone.
pub(super) fn own(block: &BlockRecord) -> Option<f64> {
    let tasks = block.figures.tasks;
    (tasks > 0).then(|| block.figures.usage.cpu_ns() as f64 / tasks as f64)
}

/// That of the task and of the embedded server, which shares its cores.
pub(super) fn with_server(block: &BlockRecord) -> Option<f64> {
    Some(own(block)? + block.server_cpu_ns.unwrap_or(0) as f64 / block.figures.tasks as f64)
}

/// The least CPU time per task (nanoseconds) of any of these candidates, at the speed that the host had in the blocks of
/// `reference`, and the position of the one that takes it. `None` where `reference` has no block.
pub(super) fn beside(
    record: &Record,
    figures: &[&Figures],
    reference: usize,
    of_block: OfBlock,
) -> Option<(f64, usize)> {
    let rounds: Vec<BTreeMap<u32, f64>> = figures.iter().map(|one| by_round(record, one, of_block)).collect();
    let own_ns = mean(figures.get(reference)?.row.index, record, of_block)?;
    let of_reference = &rounds[reference];
    let differences = |of: &BTreeMap<u32, f64>| -> Vec<f64> {
        of.iter().filter_map(|(round, log)| Some(log - of_reference.get(round)?)).collect()
    };
    let mut differences: Vec<Vec<f64>> = rounds.iter().map(differences).collect();
    // From itself it differs by nothing, which says nothing of how others vary.
    differences[reference].clear();
    let deviation = deviation(&differences);
    let credible = |of: &[f64]| average(of) + deviation / (of.len() as f64).sqrt();
    let others = differences.iter().enumerate().filter(|(_, of)| !of.is_empty());
    let least = others.map(|(at, of)| (credible(of), at)).min_by(|a, b| a.0.total_cmp(&b.0));
    let (less, at) = least.filter(|(less, _)| *less < 0.0).unwrap_or((0.0, reference));
    Some((own_ns * less.exp(), at))
}

/// The position of the candidate with most timed blocks: the one that is known best.
pub(super) fn best_known(figures: &[&Figures]) -> Option<usize> {
    (0..figures.len()).rev().max_by_key(|at| figures[*at].row.blocks)
}

/// The CPU time of a task (logarithm) in each round.
fn by_round(record: &Record, one: &Figures, of_block: OfBlock) -> BTreeMap<u32, f64> {
    let mut rounds: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for block in record.candidates[one.row.index as usize].timed() {
        let Some((round, cpu_ns)) = block.round.zip(of_block(block).filter(|cpu_ns| *cpu_ns > 0.0)) else { continue };
        rounds.entry(round).or_default().push(cpu_ns.ln());
    }
    rounds.into_iter().map(|(round, logs)| (round, average(&logs))).collect()
}

/// The mean over all tasks of a candidate.
fn mean(candidate: u32, record: &Record, of_block: OfBlock) -> Option<f64> {
    let (mut cpu_ns, mut tasks) = (0.0, 0.0);
    for block in record.candidates[candidate as usize].timed() {
        let of_block = of_block(block).unwrap_or(0.0);
        cpu_ns += of_block * block.figures.tasks as f64;
        tasks += block.figures.tasks as f64;
    }
    Some(cpu_ns / tasks).filter(|cpu_ns| cpu_ns.is_finite() && *cpu_ns > 0.0)
}

/// How much the differences of one candidate vary, pooled over all: nothing is known of that where each has but one.
fn deviation(differences: &[Vec<f64>]) -> f64 {
    let squares = |of: &Vec<f64>| of.iter().map(|one| (one - average(of)).powi(2)).sum::<f64>();
    let squared: f64 = differences.iter().map(squares).sum();
    let freedom: usize = differences.iter().map(|of| of.len().saturating_sub(1)).sum();
    if freedom == 0 { 0.0 } else { (squared / freedom as f64).sqrt() }
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_each_says_nothing_of_how_they_vary() {
        assert_eq!(deviation(&[vec![0.1], vec![-0.2], Vec::new()]), 0.0);
    }

    #[test]
    fn what_varies_is_pooled_over_all() {
        let pooled = deviation(&[vec![0.1, -0.1], vec![5.1, 4.9]]);
        assert!((pooled - 0.02_f64.sqrt()).abs() < 1e-9, "{pooled}");
    }
}
