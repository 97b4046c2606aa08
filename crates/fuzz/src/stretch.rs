//! Long records from few bytes: a fuzzer would never write a mebibyte by itself.

use model::limits::MAX_RECORD_BYTES;

/// So many are taken at most, since each costs a mebibyte.
const MOST: usize = 3;

/// Puts in the place of 0x02 and a byte `n` so many `x` that they are `n` fewer than the longest record has bytes.
pub(crate) fn stretched(data: &[u8]) -> Vec<u8> {
    let mut long = Vec::with_capacity(data.len());
    let mut rest = data;
    for _ in 0..MOST {
        let Some(at) = rest.iter().position(|byte| *byte == 2) else { break };
        let fewer = rest.get(at + 1).copied().map_or(0, usize::from);
        long.extend_from_slice(&rest[..at]);
        long.resize(long.len() + MAX_RECORD_BYTES - fewer, b'x');
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    long.extend_from_slice(rest);
    long
}
