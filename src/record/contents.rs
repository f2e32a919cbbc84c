//! What a file holds that may be a record, or anything else.

use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// A file that is larger is no record of this program: twenty workloads under six runtimes take a tenth of it.
const MOST_BYTES: u64 = 256 << 20;
/// The same of one that is packed, and of what it unpacks to: what JSON becomes in memory is some times as large, and so is
/// what packs well.
const MOST_PACKED_BYTES: (u64, u64) = (32 << 20, 128 << 20);
/// So much of a file is read before it is believed to be JSON.
const FIRST_BYTES: u64 = 4096;

/// How a file begins that gzip packed (RFC 1952, 2.3.1), as the records of pages are.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// What a file holds, if it may be JSON of some object, packed by gzip or not. Of anything else only the beginning is read,
/// however long it is.
///
/// # Errors
/// When it cannot be read or unpacked, is no object, or is too large.
pub fn contents(path: &Path) -> io::Result<Vec<u8>> {
    unpacked(std::fs::File::open(path)?, MOST_BYTES, MOST_PACKED_BYTES)
}

fn unpacked(mut file: impl Read, most_bytes: u64, (most_packed, most_unpacked): (u64, u64)) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    (&mut file).take(GZIP.len() as u64).read_to_end(&mut first)?;
    let is_packed = first == GZIP;
    let whole = first.as_slice().chain(file);
    if is_packed {
        // Members that hold nothing could follow each other for ever.
        within(MultiGzDecoder::new(whole.take(most_packed)), most_unpacked)
    } else {
        within(whole, most_bytes)
    }
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
    use std::io::Write as _;

    use super::*;

    /// What an iterator gives, as a file.
    struct Bytes<I>(I);

    impl<I: Iterator<Item = u8>> Read for Bytes<I> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = buffer.iter_mut().zip(&mut self.0).map(|(at, byte)| *at = byte).count();
            Ok(read)
        }
    }

    #[test]
    fn what_is_packed_is_read_as_what_it_holds() {
        let pack = |text: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(text).expect("in memory");
            packer.finish().expect("in memory")
        };
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(9000));
        let packed = pack(long.as_bytes());
        assert_eq!(unpacked(packed.as_slice(), 10_000, (10_000, 10_000)).expect("an object"), long.as_bytes());
        assert_eq!(unpacked(long.as_bytes(), 10_000, (10_000, 10_000)).expect("an object"), long.as_bytes());
        let empty = pack(b"");
        let members = empty.iter().copied().cycle().take(empty.len() * 1_000_000);
        let endless = std::io::BufReader::new(Bytes(members));
        unpacked(endless, 10_000, (9_999, 10_000)).expect_err("members that hold nothing end somewhere");
        let message = |bytes: &[u8]| unpacked(bytes, 10_000, (10_000, 10_000)).expect_err("refused").to_string();
        let bomb = pack(&[b"{".as_slice(), &vec![b' '; 20_000]].concat());
        assert!(message(&bomb).contains("larger than 0 MiB"), "as large as what it holds");
        assert!(message(&pack(&[0; 9000])).contains("does not begin with `{`"));
        assert!(!message(&packed[..packed.len() / 2]).is_empty(), "cut short");
        assert_eq!(unpacked(&b"\x1f"[..], 10, (10, 10)).expect("short"), b"\x1f");
    }

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
