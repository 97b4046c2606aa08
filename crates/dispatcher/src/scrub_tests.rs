use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

const KEY: &str = "k/9+a\"ü\\key";
const SECRET: &str = "s3cr/et==word";

fn pair(key: &str, secret: &str) -> String {
    STANDARD.encode(format!("{key}:{secret}"))
}

fn scrubber(key: &str, secret: &str) -> Scrubber {
    let pair = pair(key, secret);
    Scrubber::new([key, secret, pair.trim_end_matches('=')].map(SecretString::from))
}

/// A text written in one of many ways; `how` chooses for each character.
fn written(text: &str, mut how: impl FnMut() -> u8) -> String {
    let unit = |unit: u16, upper: bool| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    let one = |char: char, how: u8| match how % 4 {
        0 => char.encode_utf16(&mut [0; 2]).iter().map(|it| unit(*it, false)).collect(),
        1 => char.encode_utf16(&mut [0; 2]).iter().map(|it| unit(*it, true)).collect(),
        2 if char == '/' => "\\/".to_owned(),
        _ => serde_json::to_string(&char).unwrap().trim_matches('"').to_owned(),
    };
    text.chars().map(|char| if char == '"' { String::from("\\\"") } else { one(char, how()) }).collect()
}

fn percent(text: &str, upper: bool) -> String {
    let of = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { of(byte) })
        .collect()
}

fn body(scrubber: &Scrubber, body: &str, extent: Extent) -> String {
    String::from_utf8(ScrubbedAnswers::default().scrub(scrubber, body.as_bytes().to_vec(), extent)).unwrap()
}

#[test]
fn credentials_are_found_however_they_are_written() {
    let scrubber = scrubber(KEY, SECRET);
    for secret in [KEY, SECRET, pair(KEY, SECRET).trim_end_matches('=')] {
        let json = serde_json::to_string(secret).unwrap();
        let json = &json[1..json.len() - 1];
        let twice = serde_json::to_string(json).unwrap();
        let all = [
            secret.to_owned(),
            json.to_owned(),
            json.replace('/', "\\/"),
            twice[1..twice.len() - 1].to_owned(),
            written(secret, || 0),
            written(secret, || 1),
            percent(secret, true),
            percent(secret, false),
            percent(secret, true).replace('%', "\\u0025"),
        ];
        for way in all {
            let text = format!("<p>before {way} after</p>");
            assert_eq!(body(&scrubber, &text, Extent::Whole), "<p>before [credentials] after</p>", "{way}");
            assert_eq!(scrubber.text(text), "<p>before [credentials] after</p>");
        }
    }
}

#[test]
fn the_beginning_of_a_credential_at_the_end_of_a_cut_answer_is_taken_out() {
    let scrubber = scrubber(KEY, SECRET);
    for secret in [KEY, SECRET, pair(KEY, SECRET).trim_end_matches('=')].map(str::to_owned) {
        for way in [secret.clone(), written(&secret, || 0), percent(&secret, true)] {
            let mut cuts = 0;
            for cut in (0..way.len()).filter(|cut| way.is_char_boundary(*cut)) {
                let text = format!("Authorization: Basic {}", &way[..cut]);
                let left = body(&scrubber, &text, Extent::Cut);
                assert!(left.starts_with("Authorization: Basic "), "{left}");
                let rest = &left["Authorization: Basic ".len()..];
                // What stands for fewer than four characters is a part of nothing.
                let longest_left = 6 * SHORTEST + 5;
                assert!(rest == IN_ITS_PLACE || (rest == &way[..cut] && cut < longest_left), "{cut} of {way}: {rest}");
                cuts += usize::from(rest == IN_ITS_PLACE);
            }
            assert!(cuts > 4, "{way}");
        }
    }
    assert_eq!(body(&scrubber, "it ends with s3cr/et", Extent::Whole), "it ends with s3cr/et");
}

#[test]
fn what_an_answer_means_is_not_scrubbed_away() {
    let cases = [
        // Too short to be looked for.
        ("0", "s", r#"{"code":0,"message":"success"}"#, 0, Some("success")),
        ("-1", "ok", r#"{"code":-1,"message":"ok"}"#, -1, Some("ok")),
        // A part of the syntax, of the code, of the word that counts.
        ("code", "message", r#"{"code":0,"message":"success"}"#, 0, Some("success")),
        ("55108", "EUID", r#"{"code":55108,"message":"EUID invalid"}"#, 55108, Some("[credentials] invalid")),
        ("55108", "EUID", r#"{"code":"55108","message":"EUID"}"#, 55108, Some("[credentials]")),
        ("\":0,", "succ", r#"{"code":0,"message":" Success "}"#, 0, Some(" Success ")),
        ("success", "success", r#"{"code":0,"message":"success"}"#, 0, Some("success")),
        ("nabc", "xxxx", r#"{"code":7,"message":"\nabc"}"#, 7, Some("\nabc")),
        ("1234", "5678", r#"{"code":7,"message":12345678}"#, 7, Some("[credentials]")),
        // As it should be.
        ("the-key", "the-secret", r#"{"code":1,"message":"no the-key here"}"#, 1, Some("no [credentials] here")),
    ];
    for (key, secret, given, code, message) in cases {
        let read_from = body(&scrubber(key, secret), given, Extent::Whole);
        let read = Body::parse(&read_from).unwrap_or_else(|| panic!("{given} became {read_from}"));
        assert_eq!((read.code, read.message.as_deref()), (code, message), "{given}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What came before makes no difference.
    #[test]
    fn answers_that_come_one_after_the_other_are_scrubbed_as_each_by_itself(
        answers in prop::collection::vec((0_usize..7, any::<bool>()), 1..12),
    ) {
        let given = [
            r#"{"code":0,"message":"success"}"#, "", "the-key", r#"{"code":1,"message":"the-key"}"#, "ends with the-",
            "[credentials]", r#"{"code":0,"message":"succesS"}"#,
        ];
        let scrubber = scrubber("the-key", "the-secret");
        let mut line = ScrubbedAnswers::default();
        for (which, is_whole) in answers {
            let extent = if is_whole { Extent::Whole } else { Extent::Cut };
            let scrubbed = line.scrub(&scrubber, given[which].into(), extent);
            prop_assert_eq!(String::from_utf8(scrubbed).unwrap(), body(&scrubber, given[which], extent));
        }
    }

    /// Whatever a credential is and however it is written within an answer: nothing of it is left, and the code stands.
    #[test]
    fn nothing_is_left_and_the_code_stands(
        key in "[ -~ü😀]{8,20}", secret in "[!-~]{8,30}", ways in prop::collection::vec(any::<u8>(), 1..9),
        code in -2_i64..60_000, before in "[ -~]{0,12}", after in "[ -~]{0,12}", which in 0_usize..3,
    ) {
        prop_assume!(key.trim() == key && !code.to_string().contains(&key));
        let encoded = pair(&key, &secret);
        let chosen = [&key, &secret, encoded.trim_end_matches('=')][which].to_owned();
        let mut at = 0;
        let way = written(&chosen, || { at += 1; ways[at % ways.len()] });
        let quoted = |text: &str| { let json = serde_json::to_string(text).unwrap(); json[1..json.len() - 1].to_owned() };
        let given = format!(r#"{{"code":{code},"message":"{}{way}{}"}}"#, quoted(&before), quoted(&after));
        let scrubber = scrubber(&key, &secret);
        let left = body(&scrubber, &given, Extent::Whole);
        let read = Body::parse(&left).unwrap();
        prop_assert_eq!(read.code, code);
        let message = read.message.unwrap();
        prop_assert!(!message.contains(&chosen), "{} in {}", chosen, message);
        prop_assert!(scrubber.find(left.as_bytes(), Extent::Whole).is_empty(), "{}", left);
    }
}
