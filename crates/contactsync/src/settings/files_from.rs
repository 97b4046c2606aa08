//! The list of `--files-from`: names of inputs, one a line.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
};

use model::path_text;
use reader::InputName;

use super::STANDARD_STREAM;
use crate::failure::Failure;

/// A million of long names; what has more is no list.
const MOST_BYTES: u64 = 256 << 20;
/// No path is longer.
const LONGEST_NAME: usize = 4_096;

/// The inputs that a list names, in its order; `-` is standard input.
pub(super) fn names_in(list: &Path) -> Result<Vec<InputName>, Failure> {
    let is_stdin = list == Path::new(STANDARD_STREAM);
    let shown: Arc<str> = if is_stdin { "standard input".into() } else { path_text(list.as_os_str()).into() };
    let of_list = |what: String| Failure::usage(format!("the list of `--files-from`, {shown}, {what}"));
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(MOST_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes =
        if is_stdin { read(&mut io::stdin().lock()) } else { File::open(list).and_then(|mut file| read(&mut file)) };
    let bytes = bytes.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => MISSPELT,
            io::ErrorKind::PermissionDenied => "let the user that runs this read it, and enter the folders above it",
            _ => NO_LIST,
        };
        of_list(format!("can't be read: {error}")).with_hint(hint.to_owned())
    })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(of_list(format!("has more than {} MiB", MOST_BYTES >> 20)).with_hint(NO_LIST.to_owned()));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(of_list("is UTF-16".to_owned()).with_hint("write it in UTF-8".to_owned()));
    }
    let mut names = Vec::new();
    for (place, name) in entries(&bytes) {
        if name.len() > LONGEST_NAME {
            let what = format!("has {} bytes in line {place}, more than any file's name", name.len());
            return Err(of_list(what).with_hint(NO_LIST.to_owned()));
        }
        names.push(InputName::listed(std::ffi::OsStr::from_bytes(name), &shown, place));
    }
    if names.is_empty() {
        let hint = "where there may be nothing to send, have the job look first: `[ -s LIST ]`";
        return Err(of_list("names no input".to_owned()).with_hint(hint.to_owned()));
    }
    if is_stdin {
        refuse_stdin_twice(&names)?;
    }
    Ok(names)
}

const MISSPELT: &str = "check the spelling; a name without a leading / is looked for from the current folder on";
const NO_LIST: &str = "a list holds names of inputs, one a line; an input itself is named without `--files-from`";

/// Standard input can't be the list and an input.
pub(super) fn refuse_stdin_twice(names: &[InputName]) -> Result<(), Failure> {
    if names.iter().any(InputName::is_stdin) {
        let hint = "write the list to a file, or name a file in the place of `-`";
        return Err(Failure::usage("standard input can't be an input and the list of `--files-from` too")
            .with_hint(hint.to_owned()));
    }
    Ok(())
}

/// The names with their lines. No path has a NUL, so where there is one, names end with it, as `find -print0` writes them.
fn entries(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let by_nul = bytes.contains(&0);
    let end = if by_nul { 0 } else { b'\n' };
    let lines = (1..).zip(bytes.split(move |byte| *byte == end));
    let names =
        lines.map(move |(place, line)| (place, if by_nul { line } else { line.strip_suffix(b"\r").unwrap_or(line) }));
    names.filter(
        move |(_, name)| {
            if by_nul { !name.is_empty() } else { !name.trim_ascii().is_empty() && !name.starts_with(b"#") }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_on_lines_or_end_with_nul() {
        let all = |text: &[u8]| entries(text).map(|(line, name)| (line, name.to_vec())).collect::<Vec<_>>();
        let named =
            |names: &[(u64, &[u8])]| names.iter().map(|(line, name)| (*line, name.to_vec())).collect::<Vec<_>>();
        assert_eq!(all(b"a.csv\nb.csv"), named(&[(1, b"a.csv"), (2, b"b.csv")]));
        assert_eq!(all(b"\xef\xbb\xbfa.csv\r\n \t\r\n# b\r\n./#c\r\n"), named(&[(1, b"a.csv"), (4, b"./#c")]));
        assert_eq!(all(b" a b \n\xff\n"), named(&[(1, b" a b "), (2, b"\xff")]));
        assert_eq!(all(b"a\nb\r\0# c\0 \0"), named(&[(1, b"a\nb\r"), (2, b"# c"), (3, b" ")]));
        assert_eq!(all(b"\n#\n"), named(&[]));
    }
}
