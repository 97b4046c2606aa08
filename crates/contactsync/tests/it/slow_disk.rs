//! A disk that takes its time: a library that is loaded before others and delays each sync of the program under test.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::support::Workplace;

/// Where it says that a sync was delayed.
const WITNESS: &str = "sync-witness";
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

static int late(const char *name, int fd) {
    int witness = open("sync-witness", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (witness >= 0) close(witness);
    usleep(200000);
    int (*sync)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    return sync(fd);
}

int fsync(int fd) { return late("fsync", fd); }
int fdatasync(int fd) { return late("fdatasync", fd); }
"#;

/// The library, in a folder of its own.
#[derive(Debug)]
pub(crate) struct SlowDisk {
    _folder: TempDir,
    library: PathBuf,
}

impl SlowDisk {
    /// None where there is no C compiler, or no such way to load a library.
    pub(crate) fn build() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let library = folder.path().join("slow_disk.so");
        let mut command = Command::new("cc");
        command.args(["-x", "c", "-shared", "-fPIC", "-o"]).arg(&library).args(["-", "-ldl"]);
        let mut compiler = command.stdin(Stdio::piped()).spawn().ok()?;
        compiler.stdin.take().unwrap().write_all(SOURCE.as_bytes()).unwrap();
        assert!(compiler.wait().unwrap().success(), "the slow disk isn't built");
        Some(Self { _folder: folder, library })
    }

    /// Has all runs in a folder wait for each sync.
    pub(crate) fn under(&self, place: Workplace) -> Workplace {
        place.variable("LD_PRELOAD", self.library.to_str().unwrap())
    }

    /// Whether a run in this folder waited.
    pub(crate) fn was_waited_for(place: &Workplace) -> bool {
        place.exists(WITNESS)
    }
}
