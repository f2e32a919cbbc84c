//! A serialised histogram before it is built: others wrote it, and its header says how much memory it takes.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// The first bytes of the V2 DEFLATE form.
const COOKIE: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];
/// The length of that form's header.
const OUTER_BYTES: usize = 8;
/// The length of the header of what it holds.
const HEADER_BYTES: usize = 40;
/// The digits that histograms of agents have. With five, an empty one would take 50 MB.
const DIGITS: u32 = 3;
/// What is inflated at most: the 56 320 buckets of a histogram of three digits, of nine bytes each.
const MOST_BYTES: u64 = HEADER_BYTES as u64 + 56_320 * 9;

/// The V2 form of a histogram in V2 DEFLATE form, if it can be built from it within reason.
///
/// # Errors
/// Why it cannot.
pub(super) fn inflated(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let deflated = bytes.strip_prefix(&COOKIE).and_then(|rest| rest.get(OUTER_BYTES - COOKIE.len()..));
    let deflated = deflated.ok_or("it does not begin as one")?;
    let mut inflated = Vec::new();
    let read = ZlibDecoder::new(deflated).take(MOST_BYTES + 1).read_to_end(&mut inflated);
    read.map_err(|_| "it is not deflated")?;
    if inflated.len() as u64 > MOST_BYTES {
        return Err("it is longer than all its buckets");
    }
    let counts = inflated.get(HEADER_BYTES..).ok_or("it ends in its header")?;
    if word(&inflated, 4).is_none_or(|length| length as usize > counts.len()) {
        return Err("it is shorter than it says");
    }
    if word(&inflated, 12).is_none_or(|digits| digits > DIGITS) {
        return Err("it has more than three digits");
    }
    if has_endless_gap(counts) { Err("it has a gap without an end") } else { Ok(inflated) }
}

/// The number of four bytes at this place.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// Whether a count stands for as many empty buckets as no number without a sign can hold: such a gap, and only that, has nine
/// bytes of ones.
fn has_endless_gap(counts: &[u8]) -> bool {
    let mut rest = counts;
    while !rest.is_empty() {
        // Seven bits a byte, with a mark that more come; the ninth byte has all eight.
        let length = rest.iter().take(8).position(|byte| byte & 0x80 == 0).map_or(9, |last| last + 1);
        let (number, after) = rest.split_at(length.min(rest.len()));
        if number.len() == 9 && number.iter().all(|byte| *byte == 0xFF) {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use flate2::{Compression, write::ZlibEncoder};

    use crate::protocol::HistogramData;

    /// The text of a histogram with this payload length, so many digits and these counts.
    fn text(length: u32, digits: u32, counts: &[u8]) -> HistogramData {
        let words = [0x1c84_9313, length, 0, digits, 0, 1, u32::MAX, u32::MAX];
        let mut inner: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        inner.extend(1.0_f64.to_be_bytes());
        inner.extend(counts);
        let mut deflated = ZlibEncoder::new(Vec::new(), Compression::best());
        deflated.write_all(&inner).expect("deflated");
        let deflated = deflated.finish().expect("deflated");
        let bytes = [&super::COOKIE[..], &(deflated.len() as u32).to_be_bytes(), &deflated].concat();
        HistogramData(BASE64_STANDARD.encode(bytes))
    }

    #[test]
    fn what_a_histogram_takes_is_bounded_whatever_its_text_says() {
        assert_eq!(text(2, 3, &[0, 4]).decode().map(|histogram| histogram.len()), Ok(2));
        // It says that 4 GB follow.
        assert!(text(u32::MAX, 3, &[0, 4]).decode().is_err());
        // Each would take 50 MB.
        assert!(text(2, 5, &[0, 4]).decode().is_err());
        // A thousandth of what it holds.
        assert!(text(100_000_000, 3, &vec![0; 100_000_000]).decode().is_err());
        // So many empty buckets that their number has no positive counterpart.
        assert!(text(9, 3, &[0xFF; 9]).decode().is_err());
        // Eight bytes of ones are a gap like another.
        assert_eq!(text(9, 3, &[&[0xFF; 8][..], &[0x7F]].concat()).decode().map(|histogram| histogram.len()), Ok(0));
    }
}
