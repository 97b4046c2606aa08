use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use indicatif::TermLike;

use super::late_writer::{Importance, LateWriter};

/// Its size where standard error is no terminal.
const OTHERWISE: (u16, u16) = (80, 24);

/// The terminal as a bar sees it: each drawing is gathered, and handed over as a whole.
#[derive(Debug)]
pub(super) struct BarTerminal {
    stderr: LateWriter,
    hidden: Arc<AtomicBool>,
    drawing: Mutex<String>,
}

impl BarTerminal {
    /// Nothing is drawn while `hidden`.
    pub(super) fn new(stderr: &LateWriter, hidden: &Arc<AtomicBool>) -> Self {
        Self { stderr: stderr.clone(), hidden: Arc::clone(hidden), drawing: Mutex::default() }
    }

    fn add(&self, text: &str) {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    fn move_cursor(&self, steps: usize, direction: char) {
        if steps > 0 {
            self.add(&format!("\x1b[{steps}{direction}"));
        }
    }
}

/// Columns and rows.
fn size() -> (u16, u16) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => OTHERWISE,
    }
}

impl TermLike for BarTerminal {
    fn width(&self) -> u16 {
        size().0
    }

    fn height(&self) -> u16 {
        size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text);
        self.add("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let drawing = std::mem::take(&mut *self.drawing.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.hidden.load(Relaxed) {
            self.stderr.write(drawing.as_bytes(), Importance::Drawing);
        }
        Ok(())
    }
}
