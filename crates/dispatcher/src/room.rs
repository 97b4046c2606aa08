//! Room for rows: how many may be let in and not be handed on, and how many bytes they may hold.

use model::limits::MAX_RECORD_BYTES;

/// Most bytes of rows that are let in at once.
const MOST_BYTES: usize = 16 * MAX_RECORD_BYTES;

#[derive(Debug)]
pub(crate) struct Room {
    most_rows: usize,
    rows: usize,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(most_rows: usize) -> Self {
        Self { most_rows, rows: 0, bytes: 0 }
    }

    /// Takes room for a row, where there is some. One row finds room always: were it larger than all there is, nothing
    /// would ever go on.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.rows < self.most_rows && self.bytes + bytes <= MOST_BYTES;
        let takes = fits || self.rows == 0;
        if takes {
            self.rows += 1;
            self.bytes += bytes;
        }
        takes
    }

    /// Gives room back.
    pub(crate) fn give_back(&mut self, rows: usize, bytes: usize) {
        self.rows -= rows;
        self.bytes -= bytes;
    }

    /// Whether so much is free that it is worth going on: else whoever lets rows in would be woken for each.
    pub(crate) fn is_ample(&self) -> bool {
        self.rows <= self.most_rows / 4 * 3 && self.bytes <= MOST_BYTES / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_bytes_bound_what_is_let_in() {
        let mut room = Room::new(8);
        assert!((0..8).all(|_| room.take(10)));
        assert!(!room.take(10));
        room.give_back(1, 10);
        assert!(!room.is_ample());
        room.give_back(1, 10);
        assert!(room.is_ample() && room.take(10));
        assert!(!room.take(MOST_BYTES));
        room.give_back(7, 70);
        assert!(room.take(2 * MOST_BYTES), "a row larger than all room goes alone");
        assert!(!room.take(1) && !room.is_ample());
    }
}
