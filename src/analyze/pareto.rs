//! Which candidates nothing beats on all that they cost at once.

use super::{Row, Status};

/// What is better by less than this is not called better.
const NOTABLE: f64 = 0.01;

/// Says of each row whether it is undominated among those that are feasible, did not fail and have a throughput.
///
/// A candidate is dominated by another that is at least as good on throughput, 99th percentile and memory, and on one
/// of them better by more than 1 % (Pareto). What is not known of the other is not as good as any known figure, so it
/// cannot dominate by it; what is not known of the candidate itself neither speaks for it nor lets the other be better
/// on that axis. Memory is known of those of the final alone: these are dominated only by one another.
pub(super) fn mark(rows: &mut [Row]) {
    let costs: Vec<Option<[Option<f64>; 3]>> = rows.iter().map(costs).collect();
    for (row, own) in rows.iter_mut().zip(&costs) {
        row.undominated = own.is_some_and(|own| !costs.iter().flatten().any(|other| dominates(other, &own)));
    }
}

/// Throughput, 99th percentile and memory as logarithms, less is better; `None` for what does not compete.
fn costs(row: &Row) -> Option<[Option<f64>; 3]> {
    if matches!(row.status, Status::Failed { .. } | Status::Infeasible { .. }) {
        return None;
    }
    let throughput = row.throughput_per_s.map(|it| it.value).filter(|it| it.is_finite() && *it > 0.0)?;
    let logarithm = |figure: u64| (figure.max(1) as f64).ln();
    Some([Some(-throughput.ln()), row.service.p99_ns.map(logarithm), row.memory_bytes.map(logarithm)])
}

fn dominates(one: &[Option<f64>; 3], other: &[Option<f64>; 3]) -> bool {
    let axes = || one.iter().zip(other);
    let as_good = axes().all(|pair| match pair {
        (_, None) => true,
        (Some(one), Some(other)) => one <= other,
        (None, Some(_)) => false,
    });
    as_good && axes().any(|pair| matches!(pair, (Some(one), Some(other)) if other - one > NOTABLE.ln_1p()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Figures = (f64, Option<f64>, Option<f64>);

    fn logarithms((throughput, p99, memory): Figures) -> [Option<f64>; 3] {
        [Some(-f64::ln(throughput)), p99.map(f64::ln), memory.map(f64::ln)]
    }

    fn beats(one: Figures, other: Figures) -> bool {
        dominates(&logarithms(one), &logarithms(other))
    }

    #[test]
    fn better_on_one_and_as_good_on_all_dominates() {
        let base = (100.0, Some(10.0), Some(5.0));
        assert!(beats((102.0, Some(10.0), Some(5.0)), base));
        assert!(beats((100.0, Some(9.0), Some(5.0)), base));
        assert!(!beats((200.0, Some(10.1), Some(5.0)), base));
        assert!(!beats((100.5, Some(10.0), Some(5.0)), base), "less than 1 %");
        assert!(!beats(base, base));
    }

    #[test]
    fn what_is_unknown_neither_beats_nor_is_beaten_alone() {
        let known = (100.0, Some(10.0), Some(5.0));
        assert!(!beats((200.0, Some(1.0), None), known));
        assert!(!beats((100.0, Some(10.0), Some(5.0)), (100.0, Some(10.0), None)));
        assert!(beats((102.0, Some(10.0), Some(5.0)), (100.0, Some(10.0), None)));
        assert!(beats((102.0, None, None), (100.0, None, None)));
    }

    proptest! {
        #[test]
        fn somebody_is_always_left(
            all in prop::collection::vec(
                (1.0..1e6_f64, prop::option::of(1.0..1e6_f64), prop::option::of(1.0..1e6_f64)), 1..12,
            ),
        ) {
            let left = all.iter().filter(|one| !all.iter().any(|other| beats(*other, **one))).count();
            prop_assert!(left > 0);
        }
    }
}
