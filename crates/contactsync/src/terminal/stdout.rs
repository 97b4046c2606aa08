use std::io::{self, ErrorKind, Write};

use crate::{exit::Exit, failure::Failure};

/// Writes what was asked for to standard output. A reader that went away is no fault: it had enough.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::ReadOrWrite, format!("standard output can't be written: {error}")))
        }
        _ => Ok(()),
    }
}
