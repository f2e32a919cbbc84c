//! The token bucket that holds an engine to a rate, outside of its tasks.
//!
//! It is the generic cell rate algorithm (ITU-T I.371): one time says all, so nothing drifts. In any time `t` it gives at
//! most `burst + t / interval` tokens.
//!
//! A bucket begins **empty**, and each block has one of its own. Agents run their blocks one after another, and what is
//! left in the far side's bucket when a block begins is not known to its agent: with an empty one no change of agents
//! grants a burst, so the law holds over the whole session. What waits for the first tokens is outside of every window:
//! a closed load begins with one, and a batch, whose makespan has the burst in it, once its burst is there, as it would be
//! for a user's program that begins.

use crate::clock::now_ns;
use crate::workload::Rate;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    interval_ns: u64,
    burst: u64,
    /// When the bucket would be full again, if no token were taken (the theoretical arrival time).
    full_ns: u64,
}

impl Bucket {
    /// A bucket that is empty at `now_ns`.
    #[must_use]
    pub fn empty(rate: Rate, now_ns: u64) -> Bucket {
        let (interval_ns, burst) = (rate.interval_ns(), u64::from(rate.burst.max(1)));
        Bucket { interval_ns, burst, full_ns: now_ns.saturating_add(burst.saturating_mul(interval_ns)) }
    }

    /// When there is a token, or was.
    #[must_use]
    pub fn ready_ns(&self) -> u64 {
        self.full_ns.saturating_sub((self.burst - 1).saturating_mul(self.interval_ns))
    }

    /// Takes a token at `now_ns`.
    ///
    /// # Errors
    /// When there will be one, if there is none now.
    pub fn take(&mut self, now_ns: u64) -> Result<(), u64> {
        let ready_ns = self.ready_ns();
        if now_ns < ready_ns {
            return Err(ready_ns);
        }
        self.full_ns = self.full_ns.max(now_ns).saturating_add(self.interval_ns);
        Ok(())
    }

    /// When it holds so many tokens, or as many as it can, if none is taken.
    #[must_use]
    pub fn holds_ns(&self, tokens: u64) -> u64 {
        let missing = self.burst - tokens.clamp(1, self.burst);
        self.full_ns.saturating_sub(missing.saturating_mul(self.interval_ns))
    }

    /// A bucket for a block of which `at_once` tasks come at once: empty now, it is waited for until it holds as many
    /// tokens, or is full.
    #[must_use]
    pub fn filled(rate: Rate, at_once: u64) -> Bucket {
        let bucket = Bucket::empty(rate, now_ns());
        crate::clock::wait_blocking_until(bucket.holds_ns(at_once));
        bucket
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::vectors::Vectors;

    fn rate(interval_ns: u64, burst: u32) -> Rate {
        Rate { tasks: 1, period_ns: interval_ns, burst }
    }

    /// The most starts in any time, beyond what the law allows: none.
    fn excess(starts: &[u64], interval_ns: u64, burst: u64) -> Option<(usize, usize)> {
        let pairs = (0..starts.len()).flat_map(|from| (from..starts.len()).map(move |to| (from, to)));
        let breaks = |(from, to): &(usize, usize)| {
            let allowed = burst + (starts[*to] - starts[*from]) / interval_ns;
            (to - from + 1) as u64 > allowed
        };
        pairs.into_iter().find(breaks)
    }

    fn case(rate: Rate, times: &[u64]) -> Value {
        let mut bucket = Bucket::empty(rate, 100);
        let holds: Vec<[u64; 2]> = [1, 2, 9].map(|tokens| [tokens, bucket.holds_ns(tokens)]).to_vec();
        let takes: Vec<Value> =
            times.iter().map(|now| json!([now, bucket.take(*now).is_ok(), bucket.ready_ns()])).collect();
        json!({"rate": rate, "empty_at_ns": 100, "holds": holds, "takes": takes})
    }

    #[test]
    fn the_vectors_are_what_buckets_give() {
        let times = [100, 110, 110, 121, 125, 1000, 1000, 1000, 1000, 1009, 1010];
        Vectors::new(
            "rates",
            "A bucket that is empty at `empty_at_ns`. `holds`: so many tokens are in it at that time, if none is taken. \
             `takes`: a token is asked for at that time, whether there is one, and when the next one is there.",
        )
        .with("buckets", vec![case(rate(10, 1), &times), case(rate(10, 3), &times), case(Rate { tasks: 3, period_ns: 100, burst: 2 }, &times)])
        .hold();
    }

    #[test]
    fn an_empty_bucket_gives_one_token_an_interval() {
        let mut bucket = Bucket::empty(rate(10, 3), 100);
        assert_eq!((bucket.take(100), bucket.take(109), bucket.take(110)), (Err(110), Err(110), Ok(())));
        assert_eq!(bucket.take(110), Err(120));
        // After a pause there are three, and no more.
        assert_eq!([1000, 1000, 1000, 1000].map(|now| bucket.take(now)), [Ok(()), Ok(()), Ok(()), Err(1010)]);
    }

    #[test]
    fn a_late_start_is_made_up_for_by_a_burst_alone() {
        let late = |burst| {
            let mut bucket = Bucket::empty(rate(10, burst), 0);
            assert_eq!((bucket.take(10), bucket.take(25)), (Ok(()), Ok(())));
            bucket.ready_ns()
        };
        assert_eq!((late(1), late(2)), (35, 30));
    }

    #[test]
    fn it_is_known_when_a_burst_is_there() {
        let bucket = Bucket::empty(rate(10, 4), 100);
        assert_eq!([1, 2, 4, 9].map(|tokens| bucket.holds_ns(tokens)), [110, 120, 140, 140]);
    }

    proptest! {
        /// Blocks of several agents, one after another, each with a bucket of its own.
        #[test]
        fn no_time_sees_more_than_the_law_allows(
            interval_ns in 1_u64..1_000,
            burst in 1_u32..8,
            blocks in prop::collection::vec(prop::collection::vec(0_u64..3_000, 1..20), 1..5),
        ) {
            let (mut now, mut starts) = (1_u64 << 40, Vec::new());
            for pauses in blocks {
                let mut bucket = Bucket::empty(rate(interval_ns, burst), now);
                for pause in pauses {
                    // A feeder comes by at some time, and waits for its token; it may wake late.
                    now += pause % (4 * interval_ns);
                    if let Err(ready_ns) = bucket.take(now) {
                        now = ready_ns + pause % 3;
                        prop_assert!(bucket.take(now).is_ok());
                    }
                    starts.push(now);
                }
            }
            prop_assert_eq!(excess(&starts, interval_ns, u64::from(burst)), None);
        }

        /// A feeder that is on time reaches the rate: nothing drifts.
        #[test]
        fn a_prompt_feeder_gets_every_token(interval_ns in 1_u64..1_000_000_007, burst in 1_u32..8, tasks in 1_u64..500) {
            let mut bucket = Bucket::empty(rate(interval_ns, burst), 0);
            let mut now = 0;
            for _ in 0..tasks {
                if let Err(ready_ns) = bucket.take(now) {
                    now = ready_ns;
                    prop_assert!(bucket.take(now).is_ok());
                }
            }
            prop_assert_eq!(now, tasks * interval_ns);
        }
    }
}
