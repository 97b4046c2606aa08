use crate::support::Workplace;

#[test]
fn a_code_is_explained() {
    let ran = Workplace::new().run(&["explain", "55108"]).ends_with(0);
    insta::assert_snapshot!(ran.stdout, @r"
    55108: EUID invalid
      reason         euid_invalid
      sending again  changes nothing before the row is mended
      what to do     The number is well formed but EngageLab knows no such user: check from which project the EUID came.
    ");
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_negative_code_is_no_option() {
    let ran = Workplace::new().run(&["explain", "-1"]).ends_with(0);
    assert!(ran.stdout.starts_with("-1: internal server error\n"), "{ran}");
}

#[test]
fn a_reason_is_explained_however_it_is_spelt() {
    let ran = Workplace::new().run(&["explain", "EUID-invalid"]).ends_with(0);
    insta::assert_snapshot!(ran.stdout, @r"
    euid_invalid: The EUID is not a whole number from 1 to 9223372036854775807; or, where the row failed, the API knows no such user (code 55108).
      comes from     validation (rejected, never sent) or the API (failed, sent and refused)
      API codes      55108
      sending again  changes nothing before the row is mended
      what to do     Where the row was rejected, export ids as text, not as numbers: spreadsheets and dataframes turn them into 1.03625E+07 or 10362473.0. Where the API refused it, check from which project the EUID came; with `--identify-by` the next push asks for the id's EUID again.
    ");
}

#[test]
fn without_a_subject_all_are_listed() {
    let ran = Workplace::new().run(&["explain"]).ends_with(0);
    for listed in ["55014", "40050", "malformed_row", "no_contacts", "partial", "bad_response"] {
        assert!(ran.stdout.lines().any(|line| line.trim_start().starts_with(listed)), "{listed}\n{ran}");
    }
}

#[test]
fn what_is_unknown_gets_a_suggestion() {
    let place = Workplace::new();
    place.run(&["explain", "euid_invlaid"]).ends_with(2).says("did you mean `euid_invalid`?");
    place.run(&["explain", "5510"]).ends_with(2).says("the API's documentation lists no code 5510");
    place.run(&["explain", "\u{1b}[31m"]).ends_with(2).says("`\\u{1b}[31m` is neither an API code nor a reason");
}

#[test]
fn a_broken_configuration_is_no_obstacle() {
    let place = Workplace::new();
    place.file("contactsync.toml", "nonsense = 1");
    place.run(&["explain", "0"]).ends_with(0);
}
