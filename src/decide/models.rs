//! How the models stand at a look: the best of each, and whether one of it may still be named.

use super::{Finding, Standing};
use crate::candidate::Candidate;

/// Who is good enough with less than this probability is measured no further.
pub(super) const STILL_IN: f64 = 0.01;

/// How the best of one model stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStanding {
    /// The candidate.
    pub candidate: Candidate,
    /// Whether it is what is named.
    pub is_named: bool,
    /// Whether one of this model may still be as good as the best.
    pub is_in: bool,
    /// What it reaches of what is named reaches, as a ratio.
    pub ratio: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Finding {
    /// The best of each model: what is named first, then by what they reach. `candidate` tells what an index means; who
    /// is not known is left out.
    #[must_use]
    pub fn models<'a>(&self, candidate: impl Fn(usize) -> Option<&'a Candidate>) -> Vec<ModelStanding> {
        let mut order: Vec<&Standing> = self.standings.iter().collect();
        let is_named = |standing: &Standing| standing.candidate == self.named;
        order.sort_by(|one, other| is_named(other).cmp(&is_named(one)).then(other.ratio.total_cmp(&one.ratio)));
        let mut models: Vec<ModelStanding> = Vec::new();
        for standing in order {
            let Some(of) = candidate(standing.candidate) else { continue };
            // One block says little against what is expected: what its interval allows counts, too.
            let is_in = is_named(standing) || standing.chance > STILL_IN || standing.high >= 0.0;
            match models.iter_mut().find(|known| known.candidate.model() == of.model()) {
                Some(known) => known.is_in |= is_in,
                None => models.push(ModelStanding {
                    candidate: of.clone(),
                    is_named: is_named(standing),
                    is_in,
                    ratio: standing.ratio.exp(),
                    low: standing.low.exp(),
                    high: standing.high.exp(),
                }),
            }
        }
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, Model, RUST, Sizes};

    #[test]
    fn the_best_of_each_model_stands_for_it() {
        let of = |engine, size| Candidate::new(RUST, engine, Sizes { workers: Some(size), ..Sizes::default() });
        let candidates = [
            of(Engine::Sequential, 1),
            of(Engine::ThreadPool, 2),
            of(Engine::ThreadPool, 4),
            of(Engine::ProcessPool, 2),
            of(Engine::ThreadPool, 8),
            of(Engine::TokioCurrentThread, 8),
        ];
        let standing = |candidate, ratio: f64, chance| {
            let (ratio, low, high) = (ratio.ln(), (ratio * 0.9).ln(), (ratio * 1.2).ln());
            Standing { candidate, loss: 0.1, chance, ratio, low, high }
        };
        let found = Finding {
            named: 1,
            loss: 0.05,
            is_settled: true,
            may_be_simpler: None,
            standings: vec![
                standing(0, 0.5, 0.0),
                standing(1, 1.0, 0.9),
                standing(2, 1.01, 0.8),
                standing(3, 0.8, 0.005),
                standing(5, 0.9, 0.001),
                standing(9, 0.9, 0.5),
            ],
            deviation: 0.01,
        };
        let models = found.models(|one| candidates.get(one));
        let told: Vec<(Model, bool, bool)> =
            models.iter().map(|it| (it.candidate.model(), it.is_named, it.is_in)).collect();
        let expected = [
            (Model::Threads, true, true),
            (Model::Async, false, true),
            (Model::Processes, false, false),
            (Model::Sequential, false, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(models[0].candidate, candidates[1]);
        assert!((models[2].ratio - 0.8).abs() < 1e-9 && (models[2].high - 0.96).abs() < 1e-9);
    }
}
