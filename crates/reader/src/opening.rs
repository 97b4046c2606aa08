//! Inputs as the user names them, opened: what can be found wrong with them without reading.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{looks_like_a_value, path_text};

use crate::{
    error::{OpenError, ReadError},
    text::ChangeCheck,
};

/// An input as the user names it: a path, or `-` for standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputName {
    path: PathBuf,
    source: Arc<str>,
    /// The list that names it, and where in it.
    listed: Option<(Arc<str>, u64)>,
}

impl InputName {
    /// This path.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let path = path.as_ref();
        Self { path: path.into(), source: path_text(path).into(), listed: None }
    }

    /// The same, named by a list; `place`: its line, or how manieth name it is.
    pub fn listed(path: impl AsRef<OsStr>, list: &Arc<str>, place: u64) -> Self {
        Self { listed: Some((Arc::clone(list), place)), ..Self::new(path) }
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text in records, summaries and messages; two paths never have the same ([`model::path_text`]).
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// An error of this name's, with the place where it stands.
    fn placed(&self, error: OpenError) -> OpenError {
        match &self.listed {
            None => error,
            Some((list, place)) => {
                let (list, place, error) = (list.to_string(), *place, Box::new(untold(error)));
                OpenError::Listed { list, place, error }
            }
        }
    }

    /// Its text, with the place where it stands.
    fn placed_text(&self) -> String {
        match &self.listed {
            None => self.text(),
            Some((list, place)) => format!("{} ({list}, line {place})", self.source),
        }
    }

    /// Standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// What identifies the file or pipe; nothing where there is none, and for a device, which can be shared.
    pub fn file_id(&self) -> Option<FileId> {
        self.metadata().ok().as_ref().and_then(file_id)
    }

    fn text(&self) -> String {
        self.source.to_string()
    }

    /// What the name stands for, without opening it: a pipe would wait for whoever writes it.
    fn metadata(&self) -> Result<Metadata, OpenError> {
        if self.is_stdin() {
            return stdin().and_then(|file| file.metadata()).map_err(|cause| self.unopened(cause));
        }
        let metadata = fs::metadata(&self.path).map_err(|cause| self.unopened(cause))?;
        if metadata.is_dir() {
            return Err(self.placed(OpenError::Folder(self.text())));
        }
        if metadata.file_type().is_socket() {
            return Err(self.placed(OpenError::Socket(self.text())));
        }
        Ok(metadata)
    }

    fn unopened(&self, cause: io::Error) -> OpenError {
        let input = self.text();
        self.placed(if cause.kind() != ErrorKind::NotFound {
            OpenError::Unreadable { input, cause }
        } else if let Ok(target) = fs::read_link(&self.path) {
            OpenError::DanglingLink { input, target: path_text(target.as_os_str()).into_owned() }
        } else {
            OpenError::Missing(input)
        })
    }
}

/// Without a name that may be a row of an input that was taken for a list: its values don't belong into messages.
fn untold(error: OpenError) -> OpenError {
    let is_row = |name: &str| name.contains([',', ';', '\t', '|', '{']) || looks_like_a_value(name);
    let untold = || "what stands there".to_owned();
    match error {
        OpenError::Missing(name) if is_row(&name) => OpenError::Missing(untold()),
        OpenError::Unreadable { input, cause } if is_row(&input) => OpenError::Unreadable { input: untold(), cause },
        error => error,
    }
}

/// Device and inode: what two names of one file have in common.
pub type FileId = (u64, u64);

/// Looks at all names before any is opened: one that is missing, a folder, or the same as an earlier one is an error.
/// Returns what identifies each file or pipe; nothing for a device, which can be shared.
pub fn identify(names: &[InputName]) -> Result<Vec<Option<FileId>>, OpenError> {
    let mut ids: Vec<Option<FileId>> = Vec::with_capacity(names.len());
    let (mut paths, mut files) = (HashMap::new(), HashMap::new());
    for name in names {
        let id = file_id(&name.metadata()?);
        let by_file = id.and_then(|id| files.insert(id, name));
        if let Some(earlier) = paths.insert(&name.path, name).or(by_file) {
            let (input, earlier) = (name.text(), earlier.placed_text());
            return Err(name.placed(OpenError::Twice { input, earlier }));
        }
        ids.push(id);
    }
    Ok(ids)
}

fn file_id(metadata: &Metadata) -> Option<FileId> {
    (!metadata.file_type().is_char_device()).then(|| (metadata.dev(), metadata.ino()))
}

/// An input that was opened, once and for all, with what was known of it then.
#[derive(Debug)]
pub struct OpenInput {
    name: InputName,
    /// None where it was let go of: it is found by its name again.
    file: Option<File>,
    metadata: Metadata,
    /// Nothing that was read of it comes again.
    once: bool,
}

impl OpenInput {
    /// Opens it; a named pipe waits until somebody writes it.
    pub fn open(name: &InputName) -> Result<Self, OpenError> {
        let unopened = |cause| name.unopened(cause);
        let file = if name.is_stdin() { stdin() } else { File::open(&name.path) }.map_err(unopened)?;
        let metadata = file.metadata().map_err(unopened)?;
        if metadata.is_dir() {
            return Err(name.placed(OpenError::Folder(name.text())));
        }
        // Standard input may stand anywhere in its file, and who gave it may go on with it.
        let once = name.is_stdin() || !metadata.is_file();
        Ok(Self { name: name.clone(), file: Some(file), metadata, once })
    }

    /// Closes a file until it is read, and then finds it by its name: of many, not all can be open at once. One that is
    /// another file by then is an error.
    pub fn let_go(&mut self) {
        if !self.once {
            self.file = None;
        }
    }

    /// As given.
    pub fn name(&self) -> &InputName {
        &self.name
    }

    /// Whether it can be read only once: standard input, a pipe, a device.
    pub fn is_once(&self) -> bool {
        self.once
    }

    /// Puts a copy in the place of one that can be read only once. `copy` makes it of the file that it is handed, which
    /// may not have changed once that is done.
    pub fn replace_by_copy<E: From<ReadError> + From<OpenError>>(
        self,
        copy: impl FnOnce(&mut File) -> Result<File, E>,
    ) -> Result<Self, E> {
        let failed = |cause| OpenError::Unreadable { input: self.name.text(), cause };
        let mut file = self.file().map_err(failed)?;
        let copied = copy(&mut file)?;
        if let Some(what) = self.change_check(&file).map_err(failed)?() {
            return Err(ReadError::Changed { input: self.name.text(), line: None, what }.into());
        }
        let metadata = copied.metadata().map_err(failed)?;
        Ok(Self { name: self.name, file: Some(copied), metadata, once: false })
    }

    /// Bytes on disk; none where it isn't a file.
    pub(crate) fn size(&self) -> Option<u64> {
        self.metadata.is_file().then_some(self.metadata.len())
    }

    /// The same file, once more.
    pub(crate) fn again(&self) -> io::Result<Self> {
        let Self { name, file, metadata, once } = self;
        let file = file.as_ref().map(File::try_clone).transpose()?;
        Ok(Self { name: name.clone(), file, metadata: metadata.clone(), once: *once })
    }

    /// The file, opened again where it was let go of.
    fn file(&self) -> io::Result<File> {
        if let Some(file) = &self.file {
            return file.try_clone();
        }
        let file = File::open(&self.name.path)?;
        let is_same = file_id(&file.metadata()?) == file_id(&self.metadata);
        if is_same { Ok(file) } else { Err(io::Error::other("it is another file than the one that was looked at")) }
    }

    /// A handle that goes on where the file stands.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Ok(Handle { file: self.file()?, at: None })
    }

    /// A handle that reads from the beginning, whoever else reads the file.
    pub(crate) fn at_start(&self) -> io::Result<Handle> {
        Ok(Handle { file: self.file()?, at: Some(0) })
    }

    /// Compares size and time with those at the opening.
    pub(crate) fn change_check_of(&self, handle: &Handle) -> io::Result<ChangeCheck> {
        self.change_check(&handle.file)
    }

    /// Compares size and time of its file with those at the opening.
    fn change_check(&self, file: &File) -> io::Result<ChangeCheck> {
        if !self.metadata.is_file() {
            return Ok(Box::new(|| None));
        }
        let file = file.try_clone()?;
        let (size, modified) = (self.metadata.len(), (self.metadata.mtime(), self.metadata.mtime_nsec()));
        Ok(Box::new(move || match file.metadata() {
            Ok(now) if now.len() != size => Some("its size changed"),
            Ok(now) if (now.mtime(), now.mtime_nsec()) != modified => Some("it was written to"),
            Ok(_) => None,
            Err(_) => Some("it could no longer be looked at"),
        }))
    }
}

/// Reads an input's file.
#[derive(Debug)]
pub(crate) struct Handle {
    file: File,
    /// A position of its own; none: the file's, which all its handles share.
    at: Option<u64>,
}

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(at) = &mut self.at else { return self.file.read(buffer) };
        let count = self.file.read_at(buffer, *at)?;
        *at += count as u64;
        Ok(count)
    }
}

fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}
