//! Failures that look like a limit of the far side: it refuses what comes faster than it allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{BlockKind, FailureKind};
use crate::record::{BlockRecord, CandidateRecord, Record};
use crate::stats::median;

/// Tasks below which the share of errors of a size says nothing.
const ENOUGH_TASKS: u64 = 20;
/// Errors grow with the size where the largest one has this share of them at least,
const LEAST_SHARE: f64 = 0.02;
/// so many times the share of the smallest one,
const GROWS: f64 = 2.0;
/// and so many standard deviations of two binomial shares above it.
const DOUBT: f64 = 3.0;

/// What looks like a limit of the far side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FarLimit {
    /// What it said, where its words name a limit: the first failure that does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub said: Option<String>,
    /// How the errors grow with what is in flight, where they do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub growth: Option<Growth>,
    /// From which size on it refuses, where sizes fail at the first error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<Refused>,
    /// Tasks per second that went through: beside those that failed, or else the most that ran without a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub through_per_s: Option<f64>,
}

/// A share of errors that grows with the size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Growth {
    /// The fewest tasks in flight that were measured.
    pub from: u32,
    /// The share of tasks that failed then.
    pub from_share: f64,
    /// The most.
    pub to: u32,
    /// The share of tasks that failed then.
    pub to_share: f64,
}

/// Sizes of which all that are larger were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The most tasks in flight of which none failed.
    pub passes: u32,
    /// The fewest of which one was refused.
    pub from: u32,
}

/// Phrases that libraries and services use, in lower case, without what stands between words. They begin with a word.
const PHRASES: [&str; 7] = [
    "toomanyrequests",
    "ratelimit",
    "throttl",
    "quotaexceeded",
    "exceededquota",
    "requestlimitexceeded",
    "resourceexhausted",
];
/// Phrases that end with a word, too: a slow download is no limit.
const WHOLE_PHRASES: [&str; 2] = ["slowdown", "retryafter"];
/// What this host or its disk has too little of: no lower rate helps.
const OF_THIS_HOST: [&str; 5] = ["diskquota", "storagequota", "edquot", "errno122", "outofmemory"];
/// What a far side says that does not take all that comes. By itself it may mean anything.
const REFUSALS: [&str; 9] = [
    "serviceunavailable",
    "serverbusy",
    "overloaded",
    "toomanyconnections",
    "toomanyclients",
    "connectionreset",
    "connectionrefused",
    "connectionaborted",
    "remotedisconnected",
];
/// Candidates that were refused say more than one that was.
const SEVERAL: usize = 2;
/// What stands before 429 where it is a status,
const STATUS: [&str; 4] = ["http", "status", "response", "code"];
/// but for these words, and the digits of a version.
const BETWEEN: [&str; 6] = ["error", "client", "code", "is", "was", "exception"];

/// Whether an error's message, with its class, says that the far side refuses what comes too fast.
#[must_use]
pub fn looks_like_limit(message: &str) -> bool {
    let words = words(message);
    let is_of_this_host = OF_THIS_HOST.iter().any(|phrase| has_phrase(&words, phrase, true));
    let is_named = || {
        PHRASES.iter().any(|phrase| has_phrase(&words, phrase, false))
            || WHOLE_PHRASES.iter().any(|phrase| has_phrase(&words, phrase, true))
    };
    !is_of_this_host && (is_named() || has_status(message, "429"))
}

/// Its words in lower case. A capital begins one: `RateLimitError` has three, and `HTTPError` has two.
fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let ends_capitals = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let is_begin = letter.is_uppercase()
            && before.is_some_and(|before| before.is_lowercase() || (before.is_uppercase() && ends_capitals));
        if is_begin || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether words in a row are this phrase, or begin so unless it is `whole`.
fn has_phrase(words: &[String], phrase: &str, whole: bool) -> bool {
    (0..words.len()).any(|begin| {
        let mut rest = phrase;
        for word in &words[begin..] {
            match rest.strip_prefix(word.as_str()) {
                Some("") => return true,
                Some(left) => rest = left,
                None => return !whole && word.starts_with(rest),
            }
        }
        false
    })
}

/// Whether an error's message may say that the far side is there and does not take this.
fn looks_refused(message: &str) -> bool {
    let words = words(message);
    has_status(message, "503") || REFUSALS.iter().any(|phrase| has_phrase(&words, phrase, false))
}

/// Whether this number stands where a status does. In a path it is a name.
fn has_status(message: &str, status: &str) -> bool {
    let is_place = |token: &str| token.contains('/') && !token.to_lowercase().starts_with("http/");
    let said: Vec<&str> = message.split_whitespace().filter(|token| !is_place(token)).collect();
    let words = words(&said.join(" "));
    let between = |word: &str| BETWEEN.contains(&word) || word.len() == 1;
    let is_status = |before: &[String]| {
        let mut before = before.iter().rev().map(String::as_str);
        before.find(|word| STATUS.contains(word) || !between(word)).is_some_and(|word| STATUS.contains(&word))
    };
    let mut at_status = (0..words.len()).filter(|at| words[*at] == status);
    message.to_lowercase().contains(&format!("error {status}")) || at_status.any(|at| is_status(&words[..at]))
}

/// What looks like a limit among the failures of this runtime.
pub(super) fn of(record: &Record, runtime: &str) -> Option<FarLimit> {
    let places: Vec<&CandidateRecord> =
        record.candidates.iter().filter(|place| place.candidate.runtime == runtime).collect();
    let failures = places.iter().filter_map(|place| place.failure.as_ref());
    let errors = blocks(&places).filter_map(|block| block.figures.first_error.as_ref());
    let mut messages = failures.chain(errors).map(ToString::to_string);
    let said = messages.find(|message| looks_like_limit(message));
    let growth = growth(&places);
    if said.is_some() || growth.is_some() {
        return Some(FarLimit { said, growth, refused: None, through_per_s: through_per_s(&places) });
    }
    let (refused, said) = refused(&places)?;
    let through_per_s = through_per_s(&places);
    Some(FarLimit { said: Some(said), growth: None, refused: Some(refused), through_per_s })
}

/// The sizes that split those of which none failed from those that were refused, and what the smallest of these was
/// told; `None` where they are not apart, or where only one was refused.
fn refused(places: &[&CandidateRecord]) -> Option<(Refused, String)> {
    let size = |place: &CandidateRecord| place.candidate.sizes.concurrency();
    let tasks =
        |place: &CandidateRecord| place.blocks.iter().map(|block| block.figures.tasks).fold(0_u64, u64::saturating_add);
    let refusal = |place: &&CandidateRecord| {
        let failure = place.failure.as_ref().filter(|failure| failure.kind == FailureKind::Task)?;
        looks_refused(&failure.message).then(|| (size(place), failure.to_string()))
    };
    let refusals: Vec<(u32, String)> = places.iter().filter_map(refusal).collect();
    let passed = places.iter().filter(|place| place.failure.is_none() && tasks(place) >= ENOUGH_TASKS);
    let passes = passed.map(|place| size(place)).max()?;
    let several = refusals.len() >= SEVERAL;
    let (from, said) = refusals.into_iter().min_by_key(|(size, _)| *size)?;
    (several && passes < from).then_some((Refused { passes, from }, said))
}

fn blocks<'a>(places: &'a [&CandidateRecord]) -> impl Iterator<Item = &'a BlockRecord> {
    places.iter().flat_map(|place| &place.blocks)
}

fn growth(places: &[&CandidateRecord]) -> Option<Growth> {
    let of = |size: u32| {
        let of_size = places.iter().filter(|place| place.candidate.sizes.concurrency() == size);
        of_size.flat_map(|place| &place.blocks).fold((0_u64, 0_u64), |(errors, tasks), block| {
            (errors.saturating_add(block.figures.errors), tasks.saturating_add(block.figures.tasks))
        })
    };
    let mut sizes: Vec<u32> = places.iter().map(|place| place.candidate.sizes.concurrency()).collect();
    sizes.retain(|size| of(*size).1 >= ENOUGH_TASKS);
    let (from, to) = (sizes.iter().copied().min()?, sizes.iter().copied().max()?);
    let ((few, of_few), (many, of_many)) = (of(from), of(to));
    let (few_tasks, many_tasks) = (of_few as f64, of_many as f64);
    let (from_share, to_share) = (few as f64 / few_tasks, many as f64 / many_tasks);
    let all = (few + many) as f64 / (few_tasks + many_tasks);
    let spread = (all * (1.0 - all) * (1.0 / few_tasks + 1.0 / many_tasks)).max(0.0).sqrt();
    let grows = to_share >= LEAST_SHARE && to_share >= GROWS * from_share && to_share - from_share > DOUBT * spread;
    (from < to && grows).then_some(Growth { from, from_share, to, to_share })
}

fn through_per_s(places: &[&CandidateRecord]) -> Option<f64> {
    let rate = |block: &BlockRecord| {
        let through = block.figures.tasks.saturating_sub(block.figures.errors);
        through as f64 * 1e9 / block.figures.elapsed_ns.max(1) as f64
    };
    let beside: Vec<f64> = blocks(places).filter(|block| block.figures.errors > 0).map(rate).collect();
    let timed = blocks(places).filter(|block| block.figures.kind == BlockKind::Timed);
    let most = timed.map(|block| block.figures.throughput_per_s()).fold(0.0, f64::max);
    median(&beside).or(Some(most)).filter(|rate| rate.is_finite() && *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_name_a_limit_are_known() {
        for message in [
            "step 1 (python): HTTPError: HTTP Error 429: Too Many Requests",
            "HTTPStatusError: Client error '429 Unknown' for url 'http://x/'",
            "TooManyRequests: slow it",
            "openai.RateLimitError: Error code: 429",
            "rate limit exceeded",
            "ClientError: An error occurred (ThrottlingException) when calling",
            "Quota exceeded for quota metric 'Reads'",
            "ClientError: An error occurred (503) when calling the PutObject operation: Slow Down",
            "grpc: RESOURCE_EXHAUSTED",
            "the server answered with status 429",
            "requests.exceptions.HTTPError: 429 Client Error: for url: http://x/items/1",
            "ClientResponseError: 429, message='slow it', url='http://x/'",
            "<Response [429]>",
            "upstream said HTTP/1.1 429",
            "status_code=429",
            "Error code: 429",
            "ratelimited",
            "X-RateLimit-Remaining: 0",
            "please slow down",
            "Retry-After: 3",
        ] {
            assert!(looks_like_limit(message), "{message}");
        }
    }

    #[test]
    fn a_refusal_may_be_one_of_a_limit() {
        for message in ["RuntimeError: status 503", "HTTPError: HTTP Error 503: Service Unavailable", "ServerBusy: x"] {
            assert!(looks_refused(message) && !looks_like_limit(message), "{message}");
        }
        for message in
            ["KeyError: 503", "OSError: [Errno 24] Too many open files", "OperationalError: database is locked"]
        {
            assert!(!looks_refused(message), "{message}");
        }
    }

    #[test]
    fn other_failures_are_no_limit() {
        for message in [
            "ValueError: item 429",
            "ConnectionRefusedError: [Errno 111] Connection refused",
            "the server answered with status 4290",
            "HTTP Error 404: Not Found",
            "TimeoutError: timed out",
            "503 Service Unavailable",
            "a task took 31.0 ms, longer than task_timeout",
            "IndexError: index 429 is out of range",
            "OSError: [Errno 122] Disk quota exceeded",
            "OSError: [Errno 122] Disk quota exceeded: '/var/tmp/429'",
            "EDQUOT: quota exceeded",
            "ValueError: cannot separate limits from bounds",
            "ValueError: the operate limit is 3",
            "TimeoutError: slow download",
            "ResourceExhaustedError: OOM when allocating: out of memory",
            "KeyError: 429",
            "HTTP Error 404: Not Found for url http://x/items/429",
            "HTTP Error 404: no item 429",
            "ConnectionError: http://x/429",
            "",
        ] {
            assert!(!looks_like_limit(message), "{message}");
        }
    }
}
