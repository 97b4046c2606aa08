use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An answer's body with a `code` that is an integer, or its digits as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    pub(crate) code: i64,
    /// The message's text; where it is something else, that as it stands.
    pub(crate) message: Option<Cow<'a, str>>,
}

impl<'a> Body<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        Self::plain(text).or_else(|| Self::any(text))
    }

    /// One that is written as the service does it, `{"code":0,"message":"success"}`, without an escape.
    fn plain(text: &'a str) -> Option<Self> {
        let (code, rest) = text.strip_prefix(r#"{"code":"#)?.split_once(',')?;
        // JSON knows no zeros in front of a number, and no plus; what doesn't fit is left to whoever knows more.
        let digits = code.strip_prefix('-').unwrap_or(code);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (digits.starts_with('0') && digits.len() > 1) {
            return None;
        }
        let message = rest.strip_prefix(r#""message":""#)?.strip_suffix(r#""}"#)?;
        let is_plain = memchr2(b'"', b'\\', message.as_bytes()).is_none() && !message.bytes().any(|byte| byte < b' ');
        is_plain.then_some(Self { code: code.parse().ok()?, message: Some(Cow::Borrowed(message)) })
    }

    fn any(text: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            code: &'a RawValue,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
        }
        let text = text.trim_start_matches('\u{feff}').trim_start_matches([' ', '\t', '\n', '\r']);
        // serde would also take an array of the two.
        let raw: Raw<'a> = serde_json::from_str(text).ok().filter(|_| text.starts_with('{'))?;
        let code = match written_text(raw.code) {
            // Rust knows a plus.
            Some(digits) if digits.starts_with('+') => return None,
            Some(digits) => digits.parse().ok()?,
            None => raw.code.get().parse().ok()?,
        };
        let message = raw.message.map(|message| written_text(message).unwrap_or(Cow::Borrowed(message.get())));
        Some(Self { code, message })
    }

    pub(crate) fn is_plain_success(&self) -> bool {
        self.message.as_deref().is_none_or(|message| message.trim().eq_ignore_ascii_case("success"))
    }
}

/// What a JSON string says; none where it is something else. A number isn't tried as a string, since making the error costs
/// more than all the rest.
fn written_text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(value.get()).map(Cow::Owned).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The slow way, which is right: both values by serde, the code tried as a string first.
    fn by_serde(text: &str) -> Option<(i64, Option<String>)> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            code: &'a RawValue,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
        }
        let text = text.trim_start_matches('\u{feff}').trim_start_matches([' ', '\t', '\n', '\r']);
        let raw: Raw<'_> = serde_json::from_str(text).ok().filter(|_| text.starts_with('{'))?;
        let code = match serde_json::from_str::<String>(raw.code.get()) {
            Ok(digits) if digits.starts_with('+') => return None,
            Ok(digits) => digits.parse().ok()?,
            Err(_) => raw.code.get().parse().ok()?,
        };
        let message = raw
            .message
            .map(|message| serde_json::from_str::<String>(message.get()).unwrap_or_else(|_| message.get().to_owned()));
        Some((code, message))
    }

    fn check(text: &str) {
        let parsed = Body::parse(text).map(|body| (body.code, body.message.map(Cow::into_owned)));
        assert_eq!(parsed, by_serde(text), "{text:?}");
    }

    /// What may stand for a code or a message.
    const VALUES: &[&str] = &[
        "0",
        "-0",
        "-1",
        "00",
        "007",
        "-01",
        "+0",
        "40050",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "1e3",
        "0.0",
        "1.5",
        "null",
        "true",
        "",
        "-",
        "0x1",
        " 0 ",
        "[0]",
        r#"{"code":0}"#,
        r#""0""#,
        r#""-7""#,
        r#""+7""#,
        r#""007""#,
        r#"" 0""#,
        r#""""#,
        r#""9223372036854775808""#,
        r#""\u0030""#,
        r#""success""#,
        r#"" SUCCESS ""#,
        r#""a\"b""#,
        r#""a\\""#,
        r#""\ud800""#,
        r#""\ud83d\ude00""#,
        r#""\x""#,
        "\"a\nb\"",
        "\"\u{0}\"",
        "\"\u{1f}\"",
        "\"\u{7f}ü\"",
        r#""a,b:{}""#,
        r#"""}""#,
        r#""},{""#,
        "\"",
        "'a'",
    ];
    const KEYS: &[&str] =
        &[r#""code""#, r#""message""#, r#""Code""#, r#""c\u006fde""#, r#""data""#, "code", r#""""#, r#""message ""#];
    const FRAMES: &[(&str, &str)] = &[
        ("{", "}"),
        ("{", ""),
        ("", "}"),
        ("[", "]"),
        (" {", "} "),
        ("\u{feff}{", "}"),
        ("\u{feff}\u{feff} {", "}\n"),
        ("{ ", " }"),
        ("{", "}}"),
        ("{", "}x"),
        ("{", ",}"),
        ("\u{c}{", "}"),
        ("[{", "}]"),
        ("\u{a0}{", "}"),
    ];
    const COLONS: &[&str] = &[":", " : ", "", "::", ":\t"];
    const COMMAS: &[&str] = &[",", ", ", ",,", "\n,", ""];

    fn one<T: Copy + std::fmt::Debug>(of: &'static [T]) -> impl Strategy<Value = T> {
        proptest::sample::select(of)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn answers_of_every_make_are_read_as_serde_reads_them(
            (before, after) in prop_oneof![4 => Just(FRAMES[0]), 1 => one(FRAMES)],
            members in prop::collection::vec((one(KEYS), one(VALUES)), 0..5),
            (colon, comma) in prop_oneof![4 => Just((":", ",")), 1 => (one(COLONS), one(COMMAS))],
        ) {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}{colon}{value}")).collect();
            check(&format!("{before}{}{after}", members.join(comma)));
        }

        #[test]
        fn answers_as_the_service_writes_them_are_read_as_serde_reads_them(
            code in prop_oneof![one(VALUES).prop_map(str::to_owned), any::<i64>().prop_map(|code| code.to_string())],
            message in prop_oneof!["[ -~]{0,12}", r#"[a"\\,:{}\n\u{0}-\u{3}ü]{0,8}"#],
            end in prop_oneof![8 => Just("\"}"), 1 => Just("\""), 1 => Just("}"), 1 => Just("\"} "), 1 => Just("\"}}")],
        ) {
            check(&format!(r#"{{"code":{code},"message":"{message}{end}"#));
        }

        #[test]
        fn any_bytes_are_read_as_serde_reads_them(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"{}\":,\\0-1codemsag"[..])], 0..40),
            cut in 0_usize..40,
        ) {
            check(&String::from_utf8_lossy(&bytes));
            let whole = r#"{"code":-12,"message":"success, or not"}"#;
            check(&whole[..cut.min(whole.len())]);
            check(&format!("{}{}", &whole[..cut.min(whole.len())], String::from_utf8_lossy(&bytes)));
        }
    }
}
