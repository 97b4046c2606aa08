use model::{Euid, EuidFault, Reason, Rejection, ValueRef};

/// Reads a record's EUID; else says which habit of spreadsheets or dataframes spoilt it.
pub(crate) fn euid(value: ValueRef<'_>) -> Result<Euid, Rejection> {
    let text = match value {
        ValueRef::Missing | ValueRef::Null => return Err(empty()),
        ValueRef::Other(kind, text) if kind != "a fraction" => {
            let message = format!("the EUID is {kind}; it must be a whole number or a text of digits");
            return Err(Rejection::found(Reason::EuidInvalid, message, text));
        }
        ValueRef::Text(text) | ValueRef::Integer(text) | ValueRef::Other(_, text) => text,
    };
    Euid::parse(text).map_err(|fault| match fault {
        EuidFault::Blank => empty(),
        EuidFault::OutOfRange => Rejection::found(
            Reason::EuidInvalid,
            "the EUID lies outside 1 to 9223372036854775807; check whether it is another kind of id",
            text,
        ),
        EuidFault::NotDigits if text.trim().is_empty() => {
            Rejection::found(Reason::EuidInvalid, "the EUID is blank but for special spaces; fill it in", text)
        }
        EuidFault::NotDigits => Rejection::found(Reason::EuidInvalid, habit(text), text),
    })
}

fn empty() -> Rejection {
    Rejection::new(Reason::EuidEmpty, "the EUID is empty; fill it in, or check --euid-column")
}

/// What most likely happened to an EUID that isn't plain digits, and what to do.
fn habit(text: &str) -> &'static str {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let has = |wanted: fn(char) -> bool| text.chars().any(wanted);
    let only = |allowed: fn(char) -> bool| text.chars().all(allowed);
    if text.starts_with('=') || text.starts_with('\'') || (text.starts_with('"') && text.ends_with('"')) {
        "the EUID is wrapped in a spreadsheet formula or in quotes, like =\"123\"; export the bare number"
    } else if has(|c| matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}' | '\u{200b}' | '\u{feff}')) {
        "the EUID has a no-break or invisible space, as copied from a web page or spreadsheet; remove it"
    } else if has(|c| c.is_numeric() && !c.is_ascii()) {
        "the EUID has digits other than 0 to 9 (full-width or of another script); write it with ASCII digits"
    } else if is_scientific(text) {
        "the EUID is in scientific notation, as spreadsheets show long numbers, and digits may be lost; format the column as text or as a number without decimals and export again"
    } else if is_decimal(text) {
        "the EUID has a decimal part, as dataframes write integer columns with gaps; read the column as text (pandas: dtype=str or Int64) and export again"
    } else if has(|c| c.is_ascii_digit()) && only(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '\'' | '_' | ' ')) {
        "the EUID has thousands separators; export the column without number formatting"
    } else if text.starts_with(['-', '+']) && only(|c| c.is_ascii_digit() || matches!(c, '-' | '+')) {
        "the EUID has a sign; an EUID is a whole number from 1 on, in digits only"
    } else {
        "the EUID is not a whole number in digits; check whether the column holds another id (an EUID comes from EngageLab)"
    }
}

/// Digits with an exponent: `1.03625E+07`.
pub(crate) fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    is_number && mantissa.bytes().any(|byte| byte.is_ascii_digit()) && digits(exponent.trim_start_matches(['-', '+']))
}

/// One point with fewer than three digits behind it, or zeros only: `10362473.0`.
fn is_decimal(text: &str) -> bool {
    let Some((whole, fraction)) = text.trim_start_matches(['-', '+']).split_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (fraction.is_empty()
            || (digits(fraction) && (fraction.len() != 3 || whole.len() > 3 || fraction == "000" && whole.len() > 3)))
}
