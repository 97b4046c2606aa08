/// Whether two values of a contact differ at most in how they are written: phones whose digits are the same, e-mail
/// addresses that are the same but for letter case. Of other contacts nothing is known.
pub(super) fn is_loosely_equal(name: &str, one: &str, other: &str) -> bool {
    if name == "email" {
        return one.to_lowercase() == other.to_lowercase();
    }
    if !name.ends_with("_phone") {
        return false;
    }
    let digits = |text: &'_ str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let one = digits(one);
    !one.is_empty() && one == digits(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_by_their_digits_and_addresses_without_case() {
        for (name, one, other) in [
            ("mobile_phone", "+1 201-555-0123", "12015550123"),
            ("landline_phone", "(201) 555 0123", "2015550123"),
            ("fax_phone", "1", "+1"),
            ("email", "Zoë@Example.com", "ZOË@example.COM"),
        ] {
            assert!(is_loosely_equal(name, one, other) && is_loosely_equal(name, other, one), "{name}");
        }
        for (name, one, other) in [
            ("mobile_phone", "12015550123", "2015550123"),
            ("mobile_phone", "unknown", "none"),
            ("mobile_phone", "", "+"),
            ("email", "a.b@example.com", "ab@example.com"),
            ("nick", "A", "a"),
            ("e_mail", "A@example.com", "a@example.com"),
        ] {
            assert!(!is_loosely_equal(name, one, other), "{name} {one}");
        }
    }
}
