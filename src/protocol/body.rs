//! The embedded server's response bodies: both sides make them from the same formula.

use shake::Shake128;
use shake::digest::{ExtendableOutput as _, Update as _};

use super::VARIANTS;

/// The largest body, and the largest padding of a request, that the embedded server handles (16 MiB).
pub const MAX_BODY_BYTES: u64 = 16 << 20;

/// The longest delay that the embedded server grants (one hour).
pub const MAX_DELAY_NS: u64 = 3_600_000_000_000;

/// Bytes of the header of the embedded server's TCP requests: see [`tcp_header`].
pub const TCP_HEADER_BYTES: usize = 24;

/// Sets the bodies apart from the other patterns of a session.
const BODY_SEED: u64 = 0xB0D1_E5B0_D1E5_0000;

/// The embedded server's response body: `size` bytes that depend on `variant % VARIANTS` and `size` alone.
///
/// It is [`pattern`]`(size, 0xB0D1_E5B0_D1E5_0000 + variant % VARIANTS)`, so a shorter body is the
/// beginning of a longer one of the same variant.
#[must_use]
pub fn body(variant: u64, size: u64) -> Vec<u8> {
    pattern(size, BODY_SEED + variant % VARIANTS)
}

/// The header of a TCP request to the embedded server. In little-endian order: `request_bytes` u32 (the
/// padding that follows), `response_bytes` u32, `delay_ns` u64, `variant` u64.
#[must_use]
pub fn tcp_header(request_bytes: u32, response_bytes: u32, delay_ns: u64, variant: u64) -> [u8; TCP_HEADER_BYTES] {
    let mut header = [0; TCP_HEADER_BYTES];
    header[0..4].copy_from_slice(&request_bytes.to_le_bytes());
    header[4..8].copy_from_slice(&response_bytes.to_le_bytes());
    header[8..16].copy_from_slice(&delay_ns.to_le_bytes());
    header[16..24].copy_from_slice(&variant.to_le_bytes());
    header
}

/// Bytes of a [`pattern`] before it repeats: more than a compressor that looks 32 KiB back can see.
const PERIOD: usize = 64 << 10;

/// `length` bytes that depend on `seed` alone: SHAKE-128 (FIPS 202) of the seed's eight little-endian bytes,
/// repeated after 64 KiB. Every language has it, and has it fast; inputs are made anew in every process.
#[must_use]
pub fn pattern(length: u64, seed: u64) -> Vec<u8> {
    let length = length as usize;
    let mut period = vec![0; length.min(PERIOD)];
    let mut state = Shake128::default();
    state.update(&seed.to_le_bytes());
    state.finalize_xof_into(&mut period);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let rest = period.len().min(length - bytes.len());
        bytes.extend_from_slice(&period[..rest]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_body_begins_a_longer_one_and_variants_differ() {
        let long = body(3, 1000);
        for size in [0, 1, 7, 8, 9, 999] {
            assert_eq!(body(3, size), long[..size as usize]);
        }
        assert_eq!(body(3 + VARIANTS, 1000), long);
        assert_ne!(body(4, 1000), long);
    }

    #[test]
    fn a_pattern_repeats_itself_far_apart() {
        let long = pattern(3 * PERIOD as u64 + 5, 7);
        assert_eq!(long.len(), 3 * PERIOD + 5);
        assert_eq!(long[..PERIOD], long[PERIOD..2 * PERIOD]);
        assert_eq!(long[3 * PERIOD..], long[..5]);
        assert_ne!(long[..1000], long[1000..2000]);
    }
}
