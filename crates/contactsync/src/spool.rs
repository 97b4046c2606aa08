//! A private copy of what can be read only once: a pipe or standard input.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{exit::Exit, failure::Failure};

const BUFFER: usize = 256 << 10;

/// Copies all that `source` gives, which messages call `what`, into a file in `folder` that only this process can
/// open: it has no name, mode 0600 from its first moment on, and is gone with the process, however that ends. The file
/// that is returned stands at its beginning. The copy is streamed, so a pipe of any length takes no memory.
pub(crate) fn spool(what: &str, source: &mut impl Read, folder: &Path) -> Result<File, Failure> {
    let mut file = unnamed(folder).map_err(|error| {
        let folder = folder.display();
        Failure::usage(format!("{what} can't be spooled: no file can be made in {folder}: {error}"))
            .with_hint("name a folder with enough room with `--temp-dir`".to_owned())
    })?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                let message = format!("{what} could not be read to its end: {error}");
                return Err(Failure::new(Exit::ReadOrWrite, message));
            }
        };
        file.write_all(&buffer[..count]).map_err(|error| no_room(what, folder, &error))?;
    }
    file.rewind().map_err(|error| no_room(what, folder, &error))?;
    Ok(file)
}

fn no_room(what: &str, folder: &Path, error: &io::Error) -> Failure {
    let message = format!("{what} could not be spooled to its end, in the folder {}: {error}", folder.display());
    let hint = "name a folder with enough room with `--temp-dir`, or leave out `--spool`".to_owned();
    Failure::new(Exit::ReadOrWrite, message).with_hint(hint)
}

/// A file that was never in the folder's list; where the file system can't do that, one that is removed at once.
pub(crate) fn unnamed(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    #[cfg(target_os = "linux")]
    {
        let flags = rustix::fs::OFlags::TMPFILE.bits().cast_signed();
        match options.clone().custom_flags(flags).open(folder) {
            // Not every file system knows it, nor did every kernel.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::IsADirectory) => {}
            opened => return opened,
        }
    }
    named_and_removed(&mut options, folder)
}

fn named_and_removed(options: &mut OpenOptions, folder: &Path) -> io::Result<File> {
    options.create_new(true);
    for number in 0_u32.. {
        let path = folder.join(format!(".contactsync-spool-{}-{number}", std::process::id()));
        match options.open(&path) {
            // Left behind by a killed process of the same number.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// Gives so many bytes, a little each time, and is interrupted now and then.
    struct Source {
        left: usize,
        reads: usize,
        end: Option<ErrorKind>,
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            if self.reads.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
            let count = self.left.min(buffer.len()).min(70_001);
            if let (0, Some(end)) = (count, self.end) {
                return Err(end.into());
            }
            buffer[..count].fill(b'x');
            self.left -= count;
            Ok(count)
        }
    }

    #[test]
    fn a_copy_is_whole_and_nobody_else_can_open_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        // A name that is taken is left alone.
        fs::write(folder.path().join(format!(".contactsync-spool-{}-0", std::process::id())), "mine").expect("written");
        let removed = named_and_removed(&mut options, folder.path()).expect("a file");
        let mut copy = spool("-", &mut Source { left: 1_000_000, reads: 0, end: None }, folder.path()).expect("a copy");
        for file in [&removed, &copy] {
            let metadata = file.metadata().expect("a file");
            assert_eq!((metadata.permissions().mode() & 0o777, metadata.nlink()), (0o600, 0));
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let mut text = String::new();
        copy.read_to_string(&mut text).expect("text");
        assert_eq!((text.len(), text.trim_matches('x')), (1_000_000, ""));
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut broken = Source { left: 10, reads: 0, end: Some(ErrorKind::Other) };
        let failure = spool("-", &mut broken, folder.path()).expect_err("it breaks off");
        assert!(failure.exit == Exit::ReadOrWrite && failure.message.contains("read to its end"), "{failure:?}");
        let mut source = Source { left: 10, reads: 0, end: None };
        let failure = spool("-", &mut source, &folder.path().join("absent")).expect_err("no folder");
        assert!(failure.exit == Exit::Usage && failure.message.contains("absent"), "{failure:?}");
        assert_eq!(source.left, 10, "nothing is taken that can't be kept");
    }
}
