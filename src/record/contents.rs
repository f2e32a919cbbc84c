//! What a file holds that may be a record, or anything else.

use std::io::{self, Read};
use std::path::Path;

/// A file that is larger is no record of this program: twenty workloads under six runtimes take a tenth of it.
const MOST_BYTES: u64 = 256 << 20;
/// So much of a file is read before it is believed to be JSON.
const FIRST_BYTES: u64 = 4096;

/// What a file holds, if it may be JSON of some object. Of anything else only the beginning is read, however long it is.
///
/// # Errors
/// When it cannot be read, is no object, or is too large.
pub fn contents(path: &Path) -> io::Result<Vec<u8>> {
    within(std::fs::File::open(path)?, MOST_BYTES)
}

fn within(mut file: impl Read, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut held = Vec::new();
    (&mut file).take(FIRST_BYTES).read_to_end(&mut held)?;
    // What is short is left to the parser, which says where it goes wrong.
    let is_whole = (held.len() as u64) < FIRST_BYTES;
    if !is_whole && held.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not JSON: it does not begin with `{`"));
    }
    let more = most_bytes.saturating_sub(held.len() as u64) + 1;
    (&mut file).take(more).read_to_end(&mut held)?;
    if held.len() as u64 > most_bytes {
        let most = most_bytes >> 20;
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {most} MiB, which no record is"),
        ));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_read_only_as_far_as_it_may_be_a_record() {
        let message = |file: &mut dyn Read, most| within(file, most).expect_err("refused").to_string();
        // Without end, and never asked for more than its beginning.
        assert!(message(&mut io::repeat(0), u64::MAX).contains("does not begin with `{`"));
        assert!(message(&mut io::repeat(b' '), u64::MAX).contains("does not begin with `{`"));
        assert!(message(&mut io::repeat(b'{'), 3 << 20).contains("larger than 3 MiB"));
        assert_eq!(within(&b"not json"[..], 100).expect("short"), b"not json");
        let long = format!(" {{\"a\": \"{}\"}}", "x".repeat(9000));
        assert_eq!(within(long.as_bytes(), 10_000).expect("an object"), long.as_bytes());
    }
}
