/// Milliseconds since 1970 as RFC 3339 UTC with milliseconds: `2026-01-31T09:08:07.006Z`.
pub fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Writes times as [`rfc3339`] does. Those of one second differ in their last digits only.
#[derive(Debug, Default)]
pub(crate) struct Times {
    second: Option<i64>,
    text: String,
}

/// How a time ends: the milliseconds, and `Z`.
const END: usize = "006Z".len();

impl Times {
    /// A time as text.
    pub(crate) fn text(&mut self, ms: i64) -> &str {
        let second = ms.div_euclid(1_000);
        if self.second == Some(second) {
            let ms = ms.rem_euclid(1_000);
            self.text.truncate(self.text.len() - END);
            for digit in [ms / 100, ms / 10 % 10, ms % 10] {
                self.text.push(char::from(b'0' + digit as u8));
            }
            self.text.push('Z');
        } else {
            self.text = rfc3339(ms);
            // Times that can't be written are all written alike, and of the last second of all only its beginning can.
            let can_be_written = |ms| jiff::Timestamp::from_millisecond(ms).is_ok();
            let last = second.saturating_mul(1_000).saturating_add(999);
            self.second = (can_be_written(ms) && can_be_written(last)).then_some(second);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn milliseconds_are_always_written() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_769_850_487_006), "2026-01-31T09:08:07.006Z");
    }

    #[test]
    fn the_last_second_of_all_has_no_milliseconds() {
        let mut times = Times::default();
        for ms in [253_402_207_200_000, 253_402_207_200_001] {
            assert_eq!(times.text(ms), rfc3339(ms));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn a_time_is_written_as_jiff_writes_it_whatever_came_before(
            start in prop_oneof![
                3 => 0_i64..4_102_444_800_000, 1 => any::<i64>(), 1 => -62_135_596_801_000_i64..-62_135_596_799_000,
                1 => 253_402_207_199_000_i64..253_402_207_201_500, 1 => -377_705_023_202_000_i64..-377_705_023_200_000,
            ],
            steps in prop::collection::vec(-1_500_i64..1_500, 1..20),
        ) {
            let mut times = Times::default();
            let mut ms = start;
            for step in steps {
                prop_assert_eq!(times.text(ms), rfc3339(ms));
                ms = ms.saturating_add(step);
            }
        }
    }
}
