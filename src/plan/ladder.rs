//! Ladders of sizes.

use super::caps::Cap;

/// The sizes 1, 2, 4, .. up to `largest`, with `largest` itself and `also` (cut to `largest`).
pub(super) fn geometric(largest: u32, also: u32) -> Vec<u32> {
    let largest = largest.max(1);
    let mut sizes: Vec<u32> =
        std::iter::successors(Some(1_u32), |size| size.checked_mul(2)).take_while(|size| *size < largest).collect();
    sizes.extend([largest, also.clamp(1, largest)]);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// The sizes 1, 4, 16, .. up to `largest`.
pub(super) fn coarse(largest: u32) -> Vec<u32> {
    std::iter::successors(Some(1_u32), |size| size.checked_mul(4)).take_while(|size| *size <= largest.max(1)).collect()
}

/// Sizes that the user asked for, ascending, each once: those that are possible, and the others with the
/// reason.
pub(super) fn asked(sizes: &[u32], cap: &Cap) -> (Vec<u32>, Vec<(u32, String)>) {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    let mut left_out = Vec::new();
    sizes.retain(|size| {
        let reason = match *size {
            0 => Some("a size is at least 1".to_owned()),
            size if size > cap.largest => Some(cap.because.clone()),
            _ => None,
        };
        let keep = reason.is_none();
        left_out.extend(reason.map(|reason| (*size, reason)));
        keep
    });
    (sizes, left_out)
}

/// The size of `ladder` that stands for `wanted`: the largest that is not above it, else the smallest.
pub(super) fn nearest(ladder: &[u32], wanted: u32) -> Option<u32> {
    ladder.iter().rev().find(|size| **size <= wanted).or(ladder.first()).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ladders_double_and_hold_their_ends() {
        assert_eq!(geometric(1, 8), [1]);
        assert_eq!(geometric(64, 2), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(geometric(12, 3), [1, 2, 3, 4, 8, 12]);
        assert_eq!(geometric(0, 0), [1]);
        assert_eq!(coarse(64), [1, 4, 16, 64]);
        assert_eq!(coarse(63), [1, 4, 16]);
        assert_eq!(coarse(0), [1]);
        assert_eq!(*geometric(u32::MAX, 1).last().expect("never empty"), u32::MAX);
    }

    #[test]
    fn what_was_asked_for_is_kept_or_has_a_reason() {
        let cap = Cap { largest: 8, because: "`max_in_flight` is 8".to_owned() };
        let (kept, left_out) = asked(&[9, 4, 0, 4, 1], &cap);
        assert_eq!(kept, [1, 4]);
        assert_eq!(left_out.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [0, 9]);
        assert_eq!(left_out[1].1, cap.because);
    }

    proptest! {
        #[test]
        fn a_ladder_ascends_within_its_cap(largest in 1_u32..100_000, also in 0_u32..200_000) {
            let ladder = geometric(largest, also);
            prop_assert!(ladder.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(ladder.first(), Some(&1));
            prop_assert_eq!(ladder.last(), Some(&largest));
            prop_assert!(ladder.contains(&also.clamp(1, largest)));
            prop_assert!(ladder.contains(&nearest(&ladder, also).expect("never empty")));
        }
    }
}
